"""How far an average precision would move if other photos had been taken."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ap_interval"]

F64: TypeAlias = NDArray[np.float64]

_RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision
_MOST_PEOPLE = 20  # of a photo, COCO's limit for keypoints
_EVERY_SIZE = [0, 1e10]  # areas in px², COCO's "all"


def ap_interval(judged: Sequence[Any], photos: int, draws: int) -> tuple[float, float]:
    """The 95 % interval of COCO's AP by the bootstrap over photos (Efron 1979).

    Args:
        judged: pycocotools' ``evalImgs`` after ``evaluate``.
        photos: how many were measured on, also those without anybody.
        draws: how often as many photos are drawn from them, with a fixed seed.

    Returns:
        NaN twice for no draws, or where nobody is labelled.
    """
    tables = [_table(one) for one in judged if one is not None and one["aRng"] == _EVERY_SIZE]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        times = np.bincount(rng.integers(photos, size=photos), minlength=photos)
        drawn = [table for table in tables for _ in range(times[table[0]])]
        found.append(_average([table[1:] for table in drawn]))
    found = [value for value in found if not np.isnan(value)]
    if not found:
        return float("nan"), float("nan")
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def _table(one: dict[str, Any]) -> tuple[int, F64, F64, F64, int]:
    """Photo, scores (N,), hits and false finds (T, N), and how many people there were."""
    matched = np.asarray(one["dtMatches"])[:, :_MOST_PEOPLE] > 0
    ignored = np.asarray(one["dtIgnore"])[:, :_MOST_PEOPLE].astype(bool)
    scores = np.asarray(one["dtScores"], dtype=np.float64)[:_MOST_PEOPLE]
    hits, false = matched & ~ignored, ~matched & ~ignored
    people = int((np.asarray(one["gtIgnore"]) == 0).sum())
    return int(one["image_id"]), scores, hits.astype("f8"), false.astype("f8"), people


def _average(tables: Sequence[tuple[F64, F64, F64, int]]) -> float:
    """COCO's AP: precision made falling, read at 101 recalls, averaged over OKS thresholds."""
    people = sum(table[3] for table in tables)
    if not people:
        return float("nan")
    order = np.argsort(-np.concatenate([table[0] for table in tables]), kind="mergesort")
    hits = np.concatenate([table[1] for table in tables], axis=1)[:, order].cumsum(1)  # (T, N)
    false = np.concatenate([table[2] for table in tables], axis=1)[:, order].cumsum(1)
    precision = hits / np.maximum(hits + false, np.finfo(np.float64).eps)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    read = []
    for recall, row in zip(hits / people, precision, strict=True):
        at = np.searchsorted(recall, _RECALLS, side="left")
        read.append(np.where(at < len(row), np.append(row, 0.0)[np.minimum(at, len(row))], 0.0))
    return float(np.mean(read))
