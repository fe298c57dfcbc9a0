"""Tracks of people with jitter and outliers taken out and gaps filled: learned, on ONNX Runtime.

The classical smoother (:mod:`models.kalman_smoother`) goes first; a small transformer then says how
far each joint is to move, by what the whole body and the other frames say. All frames of all
tracks go through the network in one call, packed: no padded frame is computed. Imports no PyTorch.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import WeightsDamaged, WeightsMissing
from .kalman_smoother import SmootherSettings
from .refiner_tracks import LAG, Batch, RawTrack, batch_of, features, moved_by

__all__ = ["OFFLINE", "ONLINE", "Packing", "Refined", "pack", "packaged_refiner", "refine"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]

# Best of a grid on validation clips, among them the gaps; what the weights were trained to correct.
OFFLINE = SmootherSettings(acceleration=1.5, gate=2.0, decay_s=0.3)
ONLINE = SmootherSettings(acceleration=1.5, gate=3.0, decay_s=0.15, lag=LAG)

_RATE_HZ = 30.0  # of the clips it was trained on
_RATES_HZ = (20.0, 40.0)  # that are taken for it; faster tracks are looked at in turns
_WINDOW = 96  # frames, the longest it was trained on
_OVERLAP = 16  # on each side, looked at and not used
_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Refined:
    """One track, put right."""

    positions: F64  # (F, 17, 3) metres
    base: F64  # (F, 17, 3) what the classical smoother alone says


@dataclass(frozen=True, slots=True)
class Packing:
    """Frames of S sequences one after the other, and where attention finds them."""

    tokens: F32  # (T, width)
    positions: NDArray[np.int64]  # (T,) place in its own sequence
    slots: NDArray[np.int64]  # (S, N) token at each place of a sequence, 0 beyond its end
    places: NDArray[np.int64]  # (T,) place of each token among the S N slots
    hidden: F32  # (S, N, N) 0 where a frame may look at another, else -inf


def refine(tracks: Sequence[RawTrack], session: onnxruntime.InferenceSession) -> list[Refined]:
    """All tracks of all captures in one call of the network.

    Args:
        tracks: of any lengths; rates below 20 Hz are smoothed classically and no more.
        session: from :func:`packaged_refiner`; it says itself whether it waits (`LAG`).

    Returns:
        One for each track. With a lag d frame i holds the estimate of frame i - d, and the first
        d frames that of the first.
    """
    settings = ONLINE if _lag(session) is not None else OFFLINE
    out: list[Refined | None] = [None] * len(tracks)
    shares: list[tuple[int, int, int]] = []  # track, first frame, stride
    for index, track in enumerate(tracks):
        stride = max(1, round(track.rate_hz / _RATE_HZ))
        low, high = _RATES_HZ
        if len(track.positions) and low <= track.rate_hz / stride <= high:
            shares += [(index, first, stride) for first in range(min(stride, len(track.positions)))]
        else:
            base = _classical(track, settings)
            out[index] = Refined(base, base)
    by_rate: dict[float, list[tuple[int, int, int]]] = {}
    for share in shares:
        by_rate.setdefault(tracks[share[0]].rate_hz / share[2], []).append(share)
    batches = [
        batch_of([_every(tracks[i], first, stride) for i, first, stride in alike], settings)
        for alike in by_rate.values()
    ]
    shares = [share for alike in by_rate.values() for share in alike]
    for (index, first, stride), found in zip(shares, _looked(batches, session), strict=True):
        before = out[index]
        if before is None:
            before = Refined(*(np.empty(tracks[index].positions.shape) for _ in range(2)))
            out[index] = before
        before.positions[first::stride], before.base[first::stride] = found.positions, found.base
    return [one for one in out if one is not None]


@functools.cache
def packaged_refiner(name: str = "refiner") -> onnxruntime.InferenceSession:
    """The session of the packaged weights, opened once.

    Args:
        name: ``refiner`` sees whole tracks, ``refiner_live`` only what is past.

    Raises:
        WeightsMissing: they are not in the package.
        WeightsDamaged: the file cannot be read.
    """
    return open_refiner_weights(_FOLDER / f"{name}.onnx")


def open_refiner_weights(path: Path) -> onnxruntime.InferenceSession:
    """A single-threaded session on an exported refiner.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or is no refiner.
    """
    if not path.is_file():
        raise WeightsMissing(f"no refiner at {path}; train one (docs/motion.md) or leave it off")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        _lag(session)
    # ONNX Runtime raises a family of classes of its own for a bad file, none of them exported.
    except Exception as error:
        raise WeightsDamaged(
            f"{path} is not a refiner ({type(error).__name__}); export it again"
        ) from error
    return session


def pack(rows: Sequence[F32], *, causal: bool) -> Packing:
    """Sequences (n_i, width) as one, with what attention must know.

    Attention itself works on the sequences side by side, where a short one leaves places empty:
    it is a tenth of the network's work. Every other layer sees real frames only.
    """
    lengths = [len(row) for row in rows]
    longest, starts = max(lengths), np.cumsum([0, *lengths])
    slots = np.zeros((len(rows), longest), dtype=np.int64)
    hidden = np.full((len(rows), longest, longest), -np.inf, dtype=np.float32)
    hidden[:, :, 0] = 0.0  # an empty place looks at something, or it would be NaN
    places = []
    for index, (start, stop) in enumerate(pairwise(starts)):
        size = stop - start
        slots[index, :size] = np.arange(start, stop)
        open_ = np.tri(size, dtype=np.bool_) if causal else np.ones((size, size), dtype=np.bool_)
        hidden[index, :size, :size] = np.where(open_, 0.0, -np.inf)
        places.append(index * longest + np.arange(size))
    return Packing(
        np.concatenate(rows),
        np.concatenate([np.arange(size) for size in lengths]),
        slots,
        np.concatenate(places),
        hidden,
    )


def _looked(batches: Sequence[Batch], session: onnxruntime.InferenceSession) -> list[Refined]:
    """Every track of every batch: cut into windows, all windows of all of them packed."""
    if not batches:
        return []
    causal = batches[0].lag is not None
    told = [features(batch) for batch in batches]
    windows = [
        (index, row, *window)
        for index, batch in enumerate(batches)
        for row, frames in enumerate(batch.lengths)
        for window in _windows(frames, causal=causal)
    ]
    packing = pack([told[i][0][row, a:b] for i, row, a, b, _, _ in windows], causal=causal)
    answers = np.asarray(
        session.run(
            None,
            {
                "tokens": packing.tokens,
                "positions": packing.positions,
                "slots": packing.slots,
                "places": packing.places,
                "hidden": packing.hidden,
            },
        )[0]
    )
    kept = [np.zeros((*turn.shape[:2], answers.shape[1]), np.float32) for _, turn in told]
    at = 0
    for index, row, start, stop, first, last in windows:
        kept[index][row, first:last] = answers[at + first - start : at + last - start]
        at += stop - start
    return [
        Refined(moved[row, :frames], batch.base.positions[row, :frames])
        for batch, answer, (_, turn) in zip(batches, kept, told, strict=True)
        for moved in (moved_by(batch, answer, turn),)
        for row, frames in enumerate(batch.lengths)
    ]


def _windows(frames: int, *, causal: bool) -> list[tuple[int, int, int, int]]:
    """Start and stop of each window, and of the frames whose answer counts."""
    found, first = [], 0
    ahead = 0 if causal else _OVERLAP
    while first < frames:
        start = max(0, first - (_WINDOW // 2 if causal else _OVERLAP))
        stop = min(frames, start + _WINDOW)
        last = frames if stop == frames else stop - ahead
        found.append((start, stop, first, last))
        first = last
    return found


def _every(track: RawTrack, first: int, stride: int) -> RawTrack:
    """Every ``stride``-th frame."""
    return RawTrack(
        track.positions[first::stride],
        track.sigma_mm[first::stride],
        track.scores[first::stride],
        track.views[first::stride],
        track.reprojection_px[first::stride],
        track.rate_hz / stride,
    )


def _classical(track: RawTrack, settings: SmootherSettings) -> F64:
    if not len(track.positions):
        return track.positions.copy()
    base: F64 = batch_of([track], settings).base.positions[0]
    return base


def _lag(session: Any) -> int | None:
    """Frames that a network waits, as its file says."""
    lag = int(session.get_modelmeta().custom_metadata_map["lag"])
    return None if lag < 0 else lag
