"""The training run: one process, resumable, its figures in a file as it goes."""

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..hourglass import HourglassConfig, StackedHourglass, quadglass_m
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .curves import draw_curves
from .evaluation import held_out, measure
from .frozen import FrozenTrunk
from .losses import Losses, LossSettings, total_loss
from .mix import Batch, Mix, MixSettings
from .movenet_file import import_trunk
from .photos import Photo
from .rivals import TorchPredictor

__all__ = ["TrainReport", "TrainSettings", "train"]

logger = logging.getLogger(__name__)

_LAST = "last.ckpt"
_LOG = "log.jsonl"
_CURVES = "curves.png"
_LARGEST_GRADIENT = 5.0
# Old weights that a batch may move the average by; 1/500 averages over some minutes.
_AVERAGE_STEP = 0.002
_FINAL_RATE = 0.02  # of the first learning rate


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """A training run."""

    output: Path  # folder; a run found there goes on
    mix: MixSettings
    steps: int
    config: HourglassConfig = field(default_factory=quadglass_m)
    start: Path | None = None  # checkpoint whose weights a new run begins with
    trunk: Path | None = None  # MoveNet's ONNX file, for a new run that begins with that alone
    learning_rate: float = 1e-3
    trunk_rate: float = 0.0  # share of the learning rate for the trunk; 0 keeps it frozen
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    losses: LossSettings = field(default_factory=LossSettings)
    validation: tuple[Path, ...] = ()  # sets whose held-out photos are measured on
    validation_photos: int = 40  # of each set
    validation_side: int = 256
    validate_every: int = 500
    log_every: int = 25
    save_every: int = 100
    threads: int = 1
    workers: int = 1  # processes that prepare batches; 0 prepares them in this one
    most_minutes: float | None = None  # stop then, to go on another time
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Where a run stands."""

    checkpoint: Path
    step: int
    loss: float  # mean of the last interval logged
    ap: float | None  # of the last validation


def train(settings: TrainSettings) -> TrainReport:
    """Train, or go on training, until the last step or the last minute.

    Raises:
        BadTrainingData: a set cannot be read.
        CheckpointMismatch: the weights to begin with do not fit.
    """
    torch.set_num_threads(settings.threads)
    settings.output.mkdir(parents=True, exist_ok=True)
    state = _State(settings)
    photos = _validation_photos(settings)
    batches = _batches(settings, state.step)
    begun = time.monotonic()
    while state.step < settings.steps:
        state.learn(next(batches))
        if state.step % settings.log_every == 0:
            state.log()
        if photos and state.step % settings.validate_every == 0:
            state.validate(photos)
        if state.step % settings.save_every == 0:
            state.save()
        minutes = (time.monotonic() - begun) / 60
        if settings.most_minutes is not None and minutes >= settings.most_minutes:
            break
    path = state.save()
    return TrainReport(path, state.step, state.loss, state.ap)


class _State:
    """Holds what a run changes: weights, their average, the optimizer, the figures."""

    def __init__(self, settings: TrainSettings) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.network = StackedHourglass(settings.config)
        self.average = StackedHourglass(settings.config).eval()
        self.step, self.seconds = 0, 0.0
        self.loss = math.nan
        self.ap: float | None = None
        trunk = self.network.trunk
        trunk_parameters = list(trunk.parameters()) if trunk is not None else []
        for parameter in trunk_parameters:
            parameter.requires_grad_(settings.trunk_rate > 0)
        of_trunk = {id(parameter) for parameter in trunk_parameters}
        rest = [p for p in self.network.parameters() if id(p) not in of_trunk]
        groups = [{"params": rest, "share": 1.0}]
        if settings.trunk_rate > 0:
            groups.append({"params": trunk_parameters, "share": settings.trunk_rate})
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._sums: dict[str, float] = {}
        self._pictures, self._since = 0, time.monotonic()
        self._begin()
        self._frozen: FrozenTrunk | None = None
        if trunk is not None and settings.trunk_rate == 0:
            self._frozen = FrozenTrunk(trunk, settings.threads)
        # Depthwise and 1x1 convolutions train 1.3 to 1.6 times faster this way on a CPU.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def learn(self, batch: Batch) -> None:
        """One step."""
        self.network.train()
        share = _rate(self.settings, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share * group["share"]
        images = batch.images.float().contiguous(memory_format=torch.channels_last)
        if self._frozen is not None:
            maps = self.network.above(images, self._frozen(images))
        else:
            maps = self.network(images)
        loss, parts = total_loss(maps, batch, self.settings.losses)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self._follow()
        self.step += 1
        self._count(loss, parts, len(images))

    def log(self) -> None:
        """Append the means since the last line, draw the curves anew."""
        now = time.monotonic()
        spent, self._since = now - self._since, now
        self.seconds += spent
        counted = self._sums.pop("count")
        means = {name: round(value / counted, 5) for name, value in self._sums.items()}
        self.loss = means["loss"]
        rate = round(self._pictures / spent, 2)
        self._write(
            {
                "step": self.step,
                "minutes": round(self.seconds / 60, 2),
                **means,
                "images_per_s": rate,
            }
        )
        self._sums, self._pictures = {}, 0

    def validate(self, photos: list[Photo]) -> None:
        """Measure the averaged network on photos kept out of training."""
        finder = TorchPredictor(self.average, self.settings.validation_side)
        row = measure("average", self.settings.validation_side, photos, finder)
        self.ap = row.ap
        self._write({"step": self.step, "ap": row.ap, "oracle_ap": row.oracle_ap, "pck": row.pck})
        draw_curves(self.settings.output / _LOG, self.settings.output / _CURVES)
        self._since = time.monotonic()

    def save(self) -> Path:
        """Write the checkpoint."""
        path = self.settings.output / _LAST
        save_checkpoint(
            path,
            Checkpoint(
                config=self.settings.config,
                network=self.network.state_dict(),
                average=self.average.state_dict(),
                optimizer=self.optimizer.state_dict(),
                step=self.step,
                seconds=self.seconds,
            ),
        )
        return path

    def _begin(self) -> None:
        """Go on from the run in the output folder, or begin with the weights named."""
        last = self.settings.output / _LAST
        if last.is_file():
            stored = load_checkpoint(last)
            self.network.load_state_dict(stored.network)
            self.average.load_state_dict(stored.average)
            self.optimizer.load_state_dict(stored.optimizer)
            self.step, self.seconds = stored.step, stored.seconds
            logger.info("going on from step %d of %s", self.step, last)
            return
        if self.settings.start is not None:
            self.network.load_state_dict(load_checkpoint(self.settings.start).average)
        elif self.settings.trunk is not None:
            assert self.network.trunk is not None, f"{self.settings.config.name} has no trunk"
            import_trunk(self.network.trunk, self.settings.trunk)
        self.average.load_state_dict(self.network.state_dict())
        described = json.dumps(asdict(self.settings), default=str, indent=1)
        (self.settings.output / "settings.json").write_text(described, encoding="utf-8")

    def _follow(self) -> None:
        """Move the average towards the weights, faster while there is little to average."""
        fresh = self.settings.start is None
        step = max(_AVERAGE_STEP, 1 / (self.step + 2)) if fresh else _AVERAGE_STEP
        with torch.no_grad():
            pairs = zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            )
            for ours, theirs in pairs:
                if ours.dtype.is_floating_point:
                    ours.lerp_(theirs, step)
                else:
                    ours.copy_(theirs)

    def _count(self, loss: Tensor, parts: Losses, pictures: int) -> None:
        values = {"loss": loss, **parts._asdict()}
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._sums["count"] = self._sums.get("count", 0.0) + 1
        self._pictures += pictures

    def _write(self, figures: dict[str, float]) -> None:
        with (self.settings.output / _LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(figures) + "\n")


def _rate(settings: TrainSettings, step: int) -> float:
    """Share of the learning rate: a short rise, then half a cosine."""
    rise = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))
    return rise * (_FINAL_RATE + (1 - _FINAL_RATE) * fall)


def _validation_photos(settings: TrainSettings) -> list[Photo]:
    if not settings.validation:
        return []
    return held_out(settings.validation, False, settings.validation_photos)


def _batches(settings: TrainSettings, step: int) -> Iterator[Batch]:
    """The stream from here on; another seed after a restart, so that nothing comes twice."""
    seed = settings.mix.seed + 1_000_003 * step
    mix = Mix(replace(settings.mix, seed=seed))
    loader = DataLoader(mix, batch_size=None, num_workers=settings.workers)
    return iter(loader)
