"""Many small variants of a network, each trained for a moment on the same pictures.

The trunk's maps of every picture are kept, so a step costs only what lies above the trunk. So
short a training orders variants at its beginning and says nothing of where they end.
"""

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.hourglass import HourglassConfig, PoseMaps, StackedHourglass
from models.movenet import MULTIPOSE, MoveNetTrunk, TrunkMaps
from models.training.evaluation import held_out
from models.training.frozen import FrozenTrunk
from models.training.losses import LossSettings, heat_loss, total_loss
from models.training.mix import Batch, Mix, MixSettings
from models.training.movenet_file import import_trunk
from models.training.photos import Photo
from models.training.scene import Scene, crop, joint_cells, random_view, targets

__all__ = ["Lesson", "Lessons", "Outcome", "read_lessons", "train_shortly"]

BATCH = 8
_MOST_PEOPLE = 16
_LEARNING_RATE = 2e-3
_WARMUP_STEPS = 5
_REACH = 0.1  # of a person's size within which a joint counts as found


class Lesson(NamedTuple):
    """A batch and what the trunk says of it."""

    batch: Batch
    trunk: TrunkMaps


class Lessons(NamedTuple):
    """What every variant learns from, in this order, and what it is measured on."""

    learned: list[Lesson]
    held_out: list[Lesson]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A variant after its training, on the held-out pictures."""

    heat: float  # loss of its heatmaps
    total: float  # the whole loss, tags and centre field too
    found: float  # share of joints whose highest cell within the person is theirs
    cpu_s: float  # of the training


def read_lessons(
    mix: MixSettings, photos: tuple[Path, ...], batches: int, most_photos: int, teacher: Path
) -> Lessons:
    """Batches of a mix and pictures of photos that it never shows, with the trunk's maps.

    Args:
        mix: of one size.
        photos: sets whose held-out photos are measured on, one view each.
        batches: to learn from.
        most_photos: of each set.
        teacher: MoveNet MultiPose's ONNX file.
    """
    trunk = MoveNetTrunk(MULTIPOSE)
    import_trunk(trunk, teacher)
    look = FrozenTrunk(trunk.eval(), threads=1)
    rng = np.random.default_rng(mix.seed + 1)
    side = mix.sizes[0][0]
    scenes = [_scene(photo, side, rng) for photo in held_out(photos, False, most_photos)]
    measured = [_batch(scenes[k : k + BATCH]) for k in range(0, len(scenes), BATCH)]
    learned = islice(iter(Mix(mix)), batches)

    def with_trunk(batch: Batch) -> Lesson:
        return Lesson(batch, look(batch.images.float()))

    return Lessons(list(map(with_trunk, learned)), list(map(with_trunk, measured)))


def train_shortly(config: HourglassConfig, lessons: Lessons, steps: int, seed: int = 0) -> Outcome:
    """How a new network does after so many steps.

    Args:
        config: with or without a trunk.
        lessons: gone through in their order, again and again.
        steps: batches to learn from.
        seed: of the first weights.
    """
    torch.manual_seed(seed)
    network = StackedHourglass(config)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = [p for name, p in network.named_parameters() if not name.startswith("trunk.")]
    optimizer = torch.optim.AdamW(weights, lr=_LEARNING_RATE, weight_decay=1e-3)
    begun = time.process_time()
    network.train()
    for step in range(steps):
        share = min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - step / steps)
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * share
        lesson = lessons.learned[step % len(lessons.learned)]
        loss = total_loss(_maps(network, lesson), lesson.batch, LossSettings())[0]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 5.0)
        optimizer.step()
    cpu_s = time.process_time() - begun
    heat, total, found, known = 0.0, 0.0, 0, 0
    network.eval()
    with torch.no_grad():
        for lesson in lessons.held_out:
            maps = _maps(network, lesson)
            last = maps.stacks[-1].heat
            heat += float(heat_loss(last, lesson.batch.heat, lesson.batch.weight))
            total += float(total_loss(maps, lesson.batch, LossSettings())[0])
            right, of = found_joints(last, lesson.batch.cells)
            found, known = found + right, known + of
    count = len(lessons.held_out)
    return Outcome(heat / count, total / count, found / max(known, 1), cpu_s)


def found_joints(heat: Tensor, cells: Tensor) -> tuple[int, int]:
    """How many joints have the highest cell of the box around their person, and of how many.

    Args:
        heat: (B, J, h, w)
        cells: (B, P, J, 2) x, y, NaN where not labelled.
    """
    right = known = 0
    for maps, people in zip(heat, cells, strict=True):
        for joints in people:
            labelled = (~joints[:, 0].isnan()).nonzero()[:, 0]
            if not len(labelled):
                continue
            place = joints[labelled]
            left, top = (int(v) for v in place.amin(0))
            right_edge, bottom = (int(v) + 1 for v in place.amax(0))
            size = max(right_edge - left, bottom - top)
            window = maps[labelled, top:bottom, left:right_edge]
            best = window.flatten(1).argmax(1)
            width = right_edge - left
            at = torch.stack([best % width + left, best // width + top], 1)
            right += int(((at - place).norm(dim=1) <= max(1.0, _REACH * size)).sum())
            known += len(labelled)
    return right, known


def _maps(network: StackedHourglass, lesson: Lesson) -> PoseMaps:
    images = lesson.batch.images.float().contiguous(memory_format=torch.channels_last)
    return network.above(images, lesson.trunk if network.trunk is not None else None)


def _scene(photo: Photo, side: int, rng: np.random.Generator) -> Scene:
    image = np.asarray(cv2.imread(str(photo.path), cv2.IMREAD_COLOR), dtype=np.uint8)
    return crop(image, photo, random_view(photo, side, rng, 0.0), side, rng)


def _batch(scenes: list[Scene]) -> Batch:
    cells = np.full((len(scenes), _MOST_PEOPLE, 17, 2), np.nan, dtype=np.float32)
    heats, weights = zip(*map(targets, scenes), strict=True)
    for row, scene in zip(cells, scenes, strict=True):
        people = joint_cells(scene)[:_MOST_PEOPLE]
        row[: len(people)] = people
    images = np.stack([scene.image[:, :, ::-1].transpose(2, 0, 1) for scene in scenes])
    return Batch(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        heat=torch.from_numpy(np.stack(heats)),
        weight=torch.from_numpy(np.stack(weights)),
        cells=torch.from_numpy(cells),
    )
