"""Our import and decoding of the published networks beside the original code.

python -m benchmarks.published [--quick] [--json FILE]
    [--pose-ae DIR] [--single DIR] [--mmpose DIR] [--mmpose-group FILE]

The folders are checkouts of princeton-vl/pose-ae-train, princeton-vl/pytorch_stacked_hourglass and
open-mmlab/mmpose (1.x; needs `mmengine` and `mmcv-lite`), FILE is
mmpose/core/post_processing/group.py of its branch 0.x (needs `munkres`, as pose-ae-train does).
Each network is built by its own code with random weights, saved in its own format, imported here,
and shown the same picture. Each decoder groups the same 40 scenes of maps as ours; both are given
one solver, and wherever they assign, munkres, which they use, must find the same cost.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.published.checkpoints import import_checkpoint
from models.published.people import PublishedSettings, group_maps, like_mmpose, like_princeton

F32: TypeAlias = NDArray[np.float32]
SCENES = 40
CROWDS = (0, 1, 2, 4, 8, 20, 35)
NOISES = (0.0, 0.03, 0.06)
SIDE = 128  # cells
FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@dataclass(frozen=True, slots=True)
class Network:
    """One network beside its original."""

    layout: str
    stacks: int
    side: int
    keys_read: int
    keys_unread: int
    largest_output: float
    largest_difference: float


@dataclass(slots=True)
class Decoder:
    """One decoder beside its original; filled as the scenes are grouped."""

    name: str
    people: int = 0
    filled: int = 0
    largest_cells: float = 0.0  # difference of a joint's place
    largest_score: float = 0.0
    assignments: int = 0  # that munkres solved too
    solved_otherwise: int = 0  # by munkres, of the same cost
    largest_cost: float = 0.0  # difference of the two costs


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small pictures, few scenes")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    for name in ("--pose-ae", "--single", "--mmpose", "--mmpose-group"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = (
        ("ae", options.pose_ae, 512),
        ("single-8", options.single, 256),
        ("single-2", options.single, 256),
        ("mmpose", options.mmpose, 512),
    )
    networks = [
        _network(kind, folder, 128 if options.quick else side)
        for kind, folder, side in wanted
        if folder is not None
    ]
    scenes = 7 if options.quick else SCENES
    decoders = []
    if options.pose_ae is not None:
        decoders.append(
            _decoder("princeton", _princeton(options.pose_ae), like_princeton(), scenes)
        )
    if options.mmpose_group is not None:
        decoders.append(
            _decoder("mmpose 0.x", _mmpose(options.mmpose_group), like_mmpose(), scenes)
        )
    print(_table(networks, decoders))
    if options.json is not None:
        figures = {
            "networks": [asdict(one) for one in networks],
            "decoders": [asdict(one) for one in decoders],
        }
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _network(kind: str, folder: Path, side: int) -> Network:
    script = Path(__file__).with_name("published_originals.py")
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "theirs.pth"
        command = [sys.executable, str(script), kind, str(folder), str(out), str(side)]
        subprocess.run(command, check=True)
        known = np.load(f"{out}.npz")
        found = import_checkpoint(out)
    raw: list[torch.Tensor] = []
    for stack in found.network.stacks:
        stack.register_forward_hook(lambda _part, _given, said: raw.append(said[1]))
    with torch.no_grad():
        found.network(torch.from_numpy(known["pixels"]).permute(0, 3, 1, 2).contiguous())
    ours, theirs = torch.stack(raw, 1).numpy(), known["said"]
    return Network(
        found.layout,
        len(raw),
        side,
        len(found.read),
        len(found.unread),
        float(np.abs(theirs).max()),
        float(np.abs(ours - theirs).max()),
    )


Grouper: TypeAlias = Callable[[F32, F32], tuple[Any, Sequence[float]]]
Original: TypeAlias = Callable[[Callable[[Any], Any]], Grouper]


def _decoder(name: str, original: Original, settings: PublishedSettings, scenes: int) -> Decoder:
    result = Decoder(name)
    theirs = original(lambda cost: _both(cost, result))
    rng = np.random.default_rng(0)
    for index in range(scenes):
        crowd, noise = CROWDS[index % len(CROWDS)], NOISES[index % len(NOISES)]
        heat, tags = _scene(rng, crowd, 1 + index % 2, noise)
        if settings.clip:
            heat = np.minimum(heat, 1)
        people, scores = theirs(heat.copy(), tags.copy())
        ours = group_maps(heat, tags, settings)
        assert len(people) == len(ours), f"scene {index}: {len(people)} people, ours {len(ours)}"
        result.people += len(ours)
        for person, score, one in zip(people, scores, ours, strict=True):
            has = person[:, 2] > 0
            assert np.array_equal(has, one.scores > 0), f"scene {index}: other joints"
            apart = np.abs(person[has, :2] - one.joints_px[has]).max()
            off = max(np.abs(person[:, 2] - one.scores).max(), abs(score - one.score))
            result.largest_cells = max(result.largest_cells, float(apart))
            result.largest_score = max(result.largest_score, float(off))
            result.filled += int(one.inferred.sum())
    return result


def _both(cost: Any, result: Decoder) -> Any:
    """The pairs of the one solver, its cost checked against munkres's where that is quick."""
    from munkres import Munkres  # type: ignore[import-not-found]

    rows, columns = linear_sum_assignment(cost)
    pairs = np.stack([rows, columns], 1)
    if cost.size <= 900:
        other = np.array(Munkres().compute(cost.copy())).astype(int)
        real = [sum(c for c in cost[tuple(way.T)] if c < 1e9) for way in (pairs, other)]
        result.assignments += 1
        result.solved_otherwise += not np.array_equal(pairs, other)
        result.largest_cost = max(result.largest_cost, abs(real[0] - real[1]))
    return pairs


def _scene(rng: np.random.Generator, people: int, parts: int, noise: float) -> tuple[F32, F32]:
    """Blobs of people with tags of their own, over noise; a quarter of the joints hidden."""
    heat = rng.normal(0, noise, (17, SIDE, SIDE))
    tags = rng.normal(0, 0.3, (17, SIDE, SIDE, parts))
    ys, xs = np.mgrid[:SIDE, :SIDE]
    for _ in range(people):
        center, tag = rng.uniform(20, SIDE - 20, 2), rng.normal(0, 2.5, parts)
        for joint in np.flatnonzero(rng.random(17) > 0.25):
            x, y = np.clip(center + rng.normal(0, 12, 2), 0, SIDE - 1)
            blob = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 8) * rng.uniform(0.3, 1.1)
            near = blob > 0.05
            heat[joint] = np.maximum(heat[joint], blob)
            # No two cells with one tag: the originals would take two such people for one.
            unlike = rng.normal(0, 1e-3, (int(near.sum()), parts))
            tags[joint][near] = tag + rng.normal(0, 0.3, parts) + unlike
    return heat.astype(np.float32), tags.astype(np.float32)


def _princeton(folder: Path) -> Original:
    def original(solver: Callable[[Any], Any]) -> Grouper:
        reference = types.ModuleType("data.coco_pose.ref")
        vars(reference).update(ref_dir="", flipRef=FLIP)
        for name in ("utils", "data", "data.coco_pose"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["data.coco_pose.ref"] = reference
        _load("utils.misc", folder / "utils/misc.py")
        group = _load("utils.group", folder / "utils/group.py")
        test = _load("pose_ae_test", folder / "test.py")
        group.py_max_match = lambda scores: solver(-scores)

        def grouper(heat: F32, tags: F32) -> tuple[Any, Sequence[float]]:
            people = test.parser.parse(heat[None], tags[None])[0]
            scores = [person[:, 2].mean() for person in people]
            return [test.refine(heat, tags, person) for person in people], scores

        return grouper

    return original


def _mmpose(path: Path) -> Original:
    def original(solver: Callable[[Any], Any]) -> Grouper:
        for name in ("mmpose", "mmpose.core", "mmpose.core.evaluation"):
            sys.modules[name] = types.ModuleType(name)
        vars(sys.modules["mmpose.core.evaluation"])["post_dark_udp"] = None
        group = _load("mmpose_group", path)
        group._py_max_match = solver
        settings = {"num_joints": 17, "max_num_people": 30, "detection_threshold": 0.1}
        settings |= {"tag_threshold": 1, "use_detection_val": True, "ignore_too_much": False}
        parser = group.HeatmapParser(
            {**settings, "nms_kernel": 5, "nms_padding": 2, "tag_per_joint": True}
        )

        def grouper(heat: F32, tags: F32) -> tuple[Any, Sequence[float]]:
            people, scores = parser.parse(
                torch.from_numpy(heat)[None], torch.from_numpy(tags)[None]
            )
            return people[0], scores

        return grouper

    return original


def _load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _table(networks: Sequence[Network], decoders: Sequence[Decoder]) -> str:
    lines = [
        "| network | stacks | px | keys read | stored, never used | largest output | difference |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {one.layout} | {one.stacks} | {one.side} | {one.keys_read} | {one.keys_unread} "
        f"| {one.largest_output:.2f} | {one.largest_difference:.1e} |"
        for one in networks
    ]
    lines += [
        "",
        "| decoder | people | joints filled | place differs, cells | score differs | assignments "
        "| munkres chose otherwise | cost differs |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {one.name} | {one.people} | {one.filled} | {one.largest_cells:g} "
        f"| {one.largest_score:.1e} | {one.assignments} | {one.solved_otherwise} "
        f"| {one.largest_cost:g} |"
        for one in decoders
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
