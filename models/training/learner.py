"""What a training run changes from step to step."""

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..hourglass import HourglassConfig, StackedHourglass
from ..movenet import EARLY_BLOCKS, MoveNetTrunk, TrunkMaps
from .anchors import anchor_losses
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .curves import draw_curves
from .evaluation import measure
from .frozen import FrozenTrunk
from .losses import total_loss
from .mix import Batch
from .movenet_file import import_trunk
from .photos import Photo
from .rivals import TorchPredictor
from .settings import TrainSettings

__all__ = ["Learner"]

logger = logging.getLogger(__name__)

_LAST = "last.ckpt"
_COMPANION = "companion.ckpt"
_LOG = "log.jsonl"
_CURVES = "curves.png"
_LARGEST_GRADIENT = 5.0
# Old weights that a batch may move the average by; 1/500 averages over some minutes.
_AVERAGE_STEP = 0.002
_FINAL_RATE = 0.02  # of the first learning rate


@dataclass(frozen=True, slots=True)
class _Pupil:
    """A network and the moving average of its weights; a companion shares the first one's trunk."""

    network: StackedHourglass
    average: StackedHourglass
    file: str  # its checkpoint in the run's folder
    suffix: str  # of its figures in the log

    def own_parameters(self) -> list[nn.Parameter]:
        """All but the trunk's."""
        named = self.network.named_parameters()
        return [parameter for name, parameter in named if not name.startswith("trunk.")]


class Learner:
    """Holds what a run changes: weights, their averages, the optimizer, the figures."""

    def __init__(self, settings: TrainSettings) -> None:
        """Begin as the settings say, or go on from the run in the output folder."""
        torch.manual_seed(settings.seed)
        self.settings = settings
        self._pupils = [_pupil(settings.config, _LAST, "")]
        trunk = self._pupils[0].network.trunk
        if settings.companion is not None:
            companion = _pupil(settings.companion, _COMPANION, f" ({settings.companion.name})")
            companion.network.trunk = trunk
            companion.average.trunk = self._pupils[0].average.trunk
            self._pupils.append(companion)
        self.step, self.seconds = 0, 0.0
        self.loss = math.nan
        self.ap: float | None = None
        self._trained = trained = _choose_trained(trunk, settings)
        rest = [parameter for pupil in self._pupils for parameter in pupil.own_parameters()]
        groups: list[dict[str, Any]] = [{"params": rest, "share": 1.0, "size": 1.0}]
        # Each at a rate relative to its own size: batch normalisation was folded into MoveNet's
        # weights, whose typical sizes lie between 0.0002 and 5. At one rate for all, 1e-5 a step,
        # the smallest layer was lost within a hundred steps, and the heatmaps with it.
        groups += [{"params": [p], "share": settings.trunk_rate, "size": 1.0} for p in trained]
        self._optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._sums: dict[str, float] = {}
        self._pictures, self._since = 0, time.monotonic()
        self._begin()
        self._frozen: FrozenTrunk | None = None
        self._anchor: FrozenTrunk | None = None
        self._early_from_anchor = False
        if trunk is not None and not trained:
            self._frozen = FrozenTrunk(trunk, settings.threads)
        elif trunk is not None and settings.anchor is not None:
            before = MoveNetTrunk(trunk.config)
            import_trunk(before, settings.anchor)
            self._anchor = FrozenTrunk(before, settings.threads)
            self._early_from_anchor = not settings.trunk_early and _same_early(trunk, before)
        # Depthwise and 1x1 convolutions train 1.3 to 1.6 times faster this way on a CPU.
        for pupil in self._pupils:
            pupil.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def learn(self, batch: Batch) -> None:
        """One step."""
        share = _rate(self.settings, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share * group["share"] * group["size"]
        images = batch.images.float().contiguous(memory_format=torch.channels_last)
        before = self._anchor(images) if self._anchor is not None else None
        trunk = self._look(images, before)
        total = images.new_zeros(())
        parts: dict[str, Tensor] = {}
        for pupil in self._pupils:
            maps = pupil.network.train().above(images, trunk)
            loss, losses = total_loss(maps, batch, self.settings.losses)
            total = total + loss
            found = losses._asdict()
            if before is not None:
                anchors = anchor_losses(maps, before, batch)
                known = anchors._asdict()
                if pupil is not self._pupils[0]:  # what the trunk alone says counts once
                    known = {"heat": anchors.heat}
                total = total + sum(known.values()) * self.settings.losses.anchor
                found |= {f"old {name}": value for name, value in known.items()}
            parts |= {name + pupil.suffix: value for name, value in found.items()}
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        for pupil in self._pupils:
            nn.utils.clip_grad_norm_(pupil.own_parameters(), _LARGEST_GRADIENT)
        if self._trained:
            nn.utils.clip_grad_norm_(self._trained, _LARGEST_GRADIENT)
        self._optimizer.step()
        for ours, theirs in self._averaged():
            _follow(ours, theirs, self._average_step())
        self.step += 1
        self._count({"loss": total, **parts}, len(images))

    def log(self) -> None:
        """Append the means since the last line, draw the curves anew."""
        now = time.monotonic()
        spent, self._since = now - self._since, now
        self.seconds += spent
        counted = self._sums.pop("count")
        means = {name: round(value / counted, 5) for name, value in self._sums.items()}
        self.loss = means["loss"]
        rate = round(self._pictures / spent, 2)
        minutes = round(self.seconds / 60, 2)
        self._write({"step": self.step, "minutes": minutes, **means, "images_per_s": rate})
        self._sums, self._pictures = {}, 0

    def validate(self, photos: list[Photo]) -> None:
        """Measure the averaged networks on photos kept out of training."""
        side = self.settings.validation_side
        for pupil in reversed(self._pupils):
            row = measure("average", side, photos, TorchPredictor(pupil.average, side))
            figures = {"ap": row.ap, "oracle_ap": row.oracle_ap, "pck": row.pck}
            named = {name + pupil.suffix: value for name, value in figures.items()}
            self._write({"step": self.step, **named})
            self.ap = row.ap
        draw_curves(self.settings.output / _LOG, self.settings.output / _CURVES)
        self._since = time.monotonic()

    def save(self) -> Path:
        """Write the checkpoints; the first one's is returned and holds the optimizer."""
        for pupil in reversed(self._pupils):
            first = pupil is self._pupils[0]
            save_checkpoint(
                self.settings.output / pupil.file,
                Checkpoint(
                    config=pupil.network.config,
                    network=pupil.network.state_dict(),
                    average=pupil.average.state_dict(),
                    optimizer=self._optimizer.state_dict() if first else {},
                    step=self.step,
                    seconds=self.seconds,
                ),
            )
        return self.settings.output / _LAST

    def _look(self, images: Tensor, before: TrunkMaps | None) -> TrunkMaps | None:
        if self._frozen is not None:
            return self._frozen(images)
        trunk = self._pupils[0].network.trunk
        if trunk is None:
            return None
        if before is not None and self._early_from_anchor:  # it has run the same blocks, faster
            return trunk.late(*before.sides[:2])
        maps: TrunkMaps = trunk(images)
        return maps

    def _begin(self) -> None:
        """Go on from the run in the output folder, or begin with the weights named."""
        first = self._pupils[0]
        if (self.settings.output / _LAST).is_file():
            for pupil in reversed(self._pupils):
                stored = load_checkpoint(self.settings.output / pupil.file)
                pupil.network.load_state_dict(stored.network)
                pupil.average.load_state_dict(stored.average)
            self._optimizer.load_state_dict(stored.optimizer)
            self.step, self.seconds = stored.step, stored.seconds
            logger.info("going on from step %d of %s", self.step, self.settings.output)
            return
        if self.settings.start is not None:
            first.network.load_state_dict(load_checkpoint(self.settings.start).average)
        elif self.settings.trunk is not None:
            assert first.network.trunk is not None, f"{first.network.config.name} has no trunk"
            import_trunk(first.network.trunk, self.settings.trunk)
        for pupil in self._pupils:
            pupil.average.load_state_dict(pupil.network.state_dict())
        for group in self._optimizer.param_groups[1:]:
            group["size"] = float(group["params"][0].detach().abs().median())
        described = json.dumps(asdict(self.settings), default=str, indent=1)
        (self.settings.output / "settings.json").write_text(described, encoding="utf-8")

    def _averaged(self) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]:
        """Averages and what they follow, the trunk that networks share once."""
        for pupil in self._pupils:
            ours, theirs = pupil.average.state_dict(), pupil.network.state_dict()
            if pupil is not self._pupils[0]:
                ours = {k: v for k, v in ours.items() if not k.startswith("trunk.")}
            yield ours, theirs

    def _average_step(self) -> float:
        """Larger while there is little to average."""
        fresh = self.settings.start is None
        return max(_AVERAGE_STEP, 1 / (self.step + 2)) if fresh else _AVERAGE_STEP

    def _count(self, values: Mapping[str, Tensor], pictures: int) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._sums["count"] = self._sums.get("count", 0.0) + 1
        self._pictures += pictures

    def _write(self, figures: Mapping[str, float]) -> None:
        with (self.settings.output / _LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(figures) + "\n")


def _pupil(config: HourglassConfig, file: str, suffix: str) -> _Pupil:
    return _Pupil(StackedHourglass(config), StackedHourglass(config).eval(), file, suffix)


def _choose_trained(trunk: MoveNetTrunk | None, settings: TrainSettings) -> list[nn.Parameter]:
    """Mark what of a trunk is trained, if anything."""
    if trunk is None:
        return []
    trunk.requires_grad_(settings.trunk_rate > 0)
    if not settings.trunk_early:
        for part in _early(trunk):
            part.requires_grad_(False)
    return [parameter for parameter in trunk.parameters() if parameter.requires_grad]


def _early(trunk: MoveNetTrunk) -> list[nn.Module]:
    return [trunk.stem, *trunk.blocks[:EARLY_BLOCKS]]


def _same_early(trunk: MoveNetTrunk, other: MoveNetTrunk) -> bool:
    """Whether the first blocks are the same weights."""
    return all(
        torch.equal(ours, theirs)
        for part, like in zip(_early(trunk), _early(other), strict=True)
        for ours, theirs in zip(part.parameters(), like.parameters(), strict=True)
    )


def _follow(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], step: float) -> None:
    """Move averages towards the weights."""
    with torch.no_grad():
        for name, average in ours.items():
            if average.dtype.is_floating_point:
                average.lerp_(theirs[name], step)
            else:
                average.copy_(theirs[name])


def _rate(settings: TrainSettings, step: int) -> float:
    """Share of the learning rate: a short rise, then half a cosine."""
    rise = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
    return rise * (_FINAL_RATE + (1 - _FINAL_RATE) * fall)
