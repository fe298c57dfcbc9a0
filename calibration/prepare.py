"""From what was filmed to footage that can be calibrated; four-in-one pictures are cut apart.

`manifest.yaml` beside the cut pictures says where each came from; later steps read it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import yaml
from pydantic import AfterValidator, Field, ValidationError

from .camera import Source
from .errors import BadFootage, BadRigFile, Cancelled
from .footage import Clip, Footage, Gray, clips_in, pictures, quad_clips
from .layout import Layout, parse_layout
from .plain_yaml import load_yaml
from .rig_numbers import Name
from .rig_schema import Block
from .sharp import choose_frames

__all__ = [
    "Footage",
    "Layout",
    "footage_from_dir",
    "footage_from_manifest",
    "footage_from_quad",
    "parse_layout",
    "prepare",
]

MANIFEST = "manifest.yaml"
FORMAT = "quadglass-footage/1"
# Moments taken from videos: beyond this more views add little (the error falls with their root).
MAX_MOMENTS = 80
# Where the board is looked for before moments are chosen, so many are worth a look.
CANDIDATES = 2 * MAX_MOMENTS


def _check_moment(name: str) -> str:
    if not 1 <= len(name) <= 200 or name.startswith(".") or not name.isprintable():
        raise ValueError(f"{name[:80]!r} is not the name of a picture")
    if "/" in name or "\\" in name:
        raise ValueError(f"{name[:80]!r} leaves its folder")
    return name


class _CutBlock(Block):
    """One camera's pictures and where they were cut from."""

    folder: Name
    source: str
    crop_xywh: tuple[int, int, int, int] | None = None


class _MomentBlock(Block):
    """One moment: its file name, and the frame of the video."""

    name: Annotated[str, AfterValidator(_check_moment)]
    frame: int | None = None


class _Manifest(Block):
    """The file."""

    format: Literal["quadglass-footage/1"]
    created: str
    layout: str | None = None
    cameras: Annotated[dict[Name, _CutBlock], Field(min_length=1)]
    moments: list[_MomentBlock]


def footage_from_dir(
    folder: Path,
    intrinsics: Path | None = None,
    *,
    moments: int = MAX_MOMENTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Footage:
    """Footage of a folder with one folder of images or one video per camera, or a manifest.

    Args:
        folder: synchronized pictures; those of one moment share a file name or a frame index.
        intrinsics: the same, but not synchronized: close-ups for the lenses.
        moments: how many moments to take from videos.
        progress: called with frames of videos read and about how many there are; may raise.

    Raises:
        BadFootage: nothing usable there.
    """
    if (folder / MANIFEST).is_file():
        synchronized = footage_from_manifest(folder).clips
    else:
        synchronized = choose_frames(clips_in(folder), moments, progress=progress)
    extra: tuple[Clip, ...] = ()
    if intrinsics is not None:
        # Not synchronized: every video's frames are chosen on their own.
        extra = tuple(
            choose_frames([clip], moments, progress=progress)[0] for clip in clips_in(intrinsics)
        )
        names = {clip.camera for clip in synchronized}
        unknown = sorted({clip.camera for clip in extra} - names)
        if unknown:
            raise BadFootage(
                f"{intrinsics} has cameras {', '.join(unknown)} that {folder} has not "
                f"({', '.join(sorted(names))}); name them alike"
            )
    return Footage(synchronized, extra)


def footage_from_quad(
    path: Path,
    layout: Layout,
    *,
    moments: int = MAX_MOMENTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Footage:
    """Footage of one four-in-one image folder or video, cut while it is read.

    Raises:
        BadFootage: nothing readable.
        BadLayout: the layout does not fit.
    """
    return Footage(choose_frames(quad_clips(path, layout), moments, progress=progress))


def prepare(
    source: Path,
    out: Path,
    layout: Layout | None = None,
    *,
    moments: int = MAX_MOMENTS,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Footage:
    """Cut pictures in `out/CAMERA/MOMENT.png` with their `manifest.yaml`, as footage.

    Args:
        source: a four-in-one image folder or video (with `layout`), or a folder per camera.
        out: folder to write; made if missing.
        layout: how the cameras lie in one picture; None when they are apart already.
        moments: how many moments to take from videos.
        progress: called with pictures written and their total.
        cancelled: asked between pictures; True stops.

    Raises:
        BadFootage: nothing readable, or `out` already holds prepared footage.
        BadLayout: the layout does not fit.
        Cancelled: the caller asked to stop.
    """
    if (out / MANIFEST).exists():
        raise BadFootage(f"{out} already holds prepared footage; choose another folder")

    def stop_if_asked() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("stopped while cutting the footage; nothing was calibrated")

    clips = clips_in(source) if layout is None else quad_clips(source, layout)
    clips = choose_frames(clips, moments, progress=lambda done, total: stop_if_asked())
    total = sum(len(clip.moments) for clip in clips)
    written: dict[str, list[Path]] = {clip.camera: [] for clip in clips}
    for done, (clip, moment, gray) in enumerate(pictures(clips), start=1):
        stop_if_asked()
        written[clip.camera].append(_write_picture(out / clip.camera / f"{moment}.png", gray))
        if progress is not None:
            progress(done, total)
    _write_manifest(out, clips, layout)
    cut = [replace(c, files=tuple(written[c.camera]), frames=(), crop_xywh=None) for c in clips]
    return Footage(tuple(cut))


def _write_picture(file: Path, gray: Gray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), gray):
        raise BadFootage(f"{file} cannot be written; is the disk full?")
    return file


def footage_from_manifest(folder: Path) -> Footage:
    """The footage that `prepare` wrote into a folder.

    Raises:
        BadFootage: the manifest is malformed, or names files that are not there.
    """
    try:
        content = load_yaml((folder / MANIFEST).read_bytes())
        manifest = _Manifest.model_validate(content)
    except (BadRigFile, ValidationError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadFootage(f"{folder / MANIFEST}: {reason}; prepare the footage again") from None
    clips = []
    for camera, block in manifest.cameras.items():
        files = {m.name: folder / block.folder / f"{m.name}.png" for m in manifest.moments}
        present = {name: file for name, file in files.items() if file.is_file()}
        if not present:
            raise BadFootage(
                f"{folder / block.folder} holds none of the {len(files)} pictures of the manifest; "
                "prepare the footage again",
                camera=camera,
            )
        cut_from = Source(file=block.source, crop_xywh=block.crop_xywh)
        clips.append(Clip(camera, tuple(present.values()), tuple(present), cut_from=cut_from))
    return Footage(tuple(clips))


def _write_manifest(out: Path, clips: tuple[Clip, ...], layout: Layout | None) -> None:
    frames = {m: f for clip in clips for m, f in zip(clip.moments, clip.frames, strict=False)}
    names = dict.fromkeys(moment for clip in clips for moment in clip.moments)
    moments: list[dict[str, Any]] = [
        {"name": name, **({"frame": frames[name]} if name in frames else {})} for name in names
    ]
    content = {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "layout": layout.text if layout else None,
        "cameras": {
            clip.camera: {
                "folder": clip.camera,
                "source": (clip.files[0] if clip.is_video else clip.files[0].parent).name,
                "crop_xywh": list(clip.crop_xywh) if clip.crop_xywh else None,
            }
            for clip in clips
        },
        "moments": moments,
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    (out / MANIFEST).write_text(text, encoding="utf-8")
