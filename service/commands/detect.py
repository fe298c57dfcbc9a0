"""`quadglass detect`: people in pictures, as COCO keypoint results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadValue
from .networks import Backend, chosen_network
from .screen import bar, remark, show_json

if TYPE_CHECKING:
    from models.predictor import Predictor
    from models.sighting import Sighting

    from ..config import ModelSettings

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
PERSON = 1  # COCO's category id


def detect(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Results as COCO keypoint JSON.")],
    annotations: Annotated[
        Path | None,
        typer.Option(help="COCO annotation file whose image ids the results use; else file names."),
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Folder for the pictures with the people drawn in.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of shipped weights, an ONNX file, or a checkpoint.")
    ] = None,
    backend: Annotated[
        Backend | None, typer.Option(help="What runs the network; torch: on a GPU, our kernels.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Leave out people that score less.")
    ] = 0.0,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Look at the mirror image too: twice the time.")
    ] = False,
    scale: Annotated[
        list[float] | None,
        typer.Option(min=0.1, max=4, help="Look at this share of the input's size too; several."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts as JSON on stdout.")] = False,
) -> None:
    """Find people in pictures and write them as COCO keypoint results."""
    from ..pipeline import PipelineSettings, run_frame_set

    pictures = _pictures(paths)
    ids = image_ids(annotations, pictures)
    predictor = predictor_for(chosen_network(model, backend), mirror, scale or ())
    results: list[dict[str, Any]] = []
    with bar("looking", len(pictures)) as step:
        for done, path in enumerate(pictures):
            step(done)
            seen = run_frame_set(
                {path.name: path.read_bytes()}, None, predictor, PipelineSettings()
            )
            people = [one for one in seen.single_view[path.name] if one.score >= min_score]
            results += [coco_result(ids[path], one) for one in people]
            if draw is not None:
                _draw(path, people, draw)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, allow_nan=False), encoding="utf-8")
    if as_json:
        show_json({"pictures": len(pictures), "people": len(results), "out": str(out)})
    remark(f"{len(results)} people in {len(pictures)} pictures -> {out}")


def predictor_for(settings: ModelSettings, mirror: bool, scales: Sequence[float]) -> Predictor:
    """The network, looking once or as often as asked for."""
    from models.letterbox import whole_side
    from models.looks import SeveralLooks

    from ..network import load_predictor

    first = load_predictor(settings)
    if not mirror and not scales:
        return first
    sides = [whole_side(first.input_side * scale) for scale in scales]
    sizes = [first, *(load_predictor(settings, side) for side in sides)]
    return SeveralLooks(sizes, mirror=mirror)


def image_ids(annotations: Path | None, pictures: Sequence[Path]) -> Mapping[Path, int | str]:
    """The id of each picture: the annotation file's, or its file name.

    Raises:
        BadValue: the annotation file is not COCO's, or does not know a picture.
    """
    if annotations is None:
        return {path: path.name for path in pictures}
    try:
        listed = json.loads(annotations.read_text(encoding="utf-8"))["images"]
        known = {Path(image["file_name"]).name: image["id"] for image in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(
            f"{annotations} is no COCO annotation file ({type(error).__name__}: {error}); it needs "
            "'images', each with 'id' and 'file_name'"
        ) from error
    unknown = [path.name for path in pictures if path.name not in known]
    if unknown:
        raise BadValue(
            f"{annotations} has no id for {len(unknown)} of {len(pictures)} pictures, the first "
            f"is {unknown[0]}; leave them out or add them to the file"
        )
    return {path: known[path.name] for path in pictures}


def coco_result(image_id: int | str, person: Sighting) -> dict[str, Any]:
    """One person as COCO's result format has it: x, y and score of each joint, zeros for unseen.

    The format has no other way to say that a joint was not found.
    """
    keypoints: list[float] = []
    for (x, y), score in zip(person.joints_px.tolist(), person.scores.tolist(), strict=True):
        seen = x == x and y == y  # not NaN
        keypoints += [round(x, 2), round(y, 2), round(score, 4)] if seen else [0.0, 0.0, 0.0]
    return {
        "image_id": image_id,
        "category_id": PERSON,
        "keypoints": keypoints,
        "score": round(float(person.score), 4),
    }


def _pictures(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
        elif path.exists():
            found.append(path)
        else:
            raise BadValue(f"{path} is not there; correct the path")
    if not found:
        raise BadValue(f"no pictures in {', '.join(map(str, paths))}; give JPEG or PNG files")
    return found


def _draw(path: Path, people: Sequence[Sighting], folder: Path) -> None:
    import cv2
    import numpy as np

    from capture.draw import draw_sightings

    folder.mkdir(parents=True, exist_ok=True)
    image = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), dtype=np.uint8)
    cv2.imwrite(str(folder / path.name), draw_sightings(image, people))
