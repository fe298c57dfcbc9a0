"""The refiner beside One-Euro, Butterworth and Kalman at their best settings.

    python -m benchmarks.motion_refiner [--quick] [--json FILE] [--tune]

Held-out clips on held-out bodies, spoiled as `models/training/spoiled.py` says: 5 to 30 mm noise
an axis, 5 % outliers of 80 to 400 mm, gaps. Every filter's setting is the best of a grid on
*training* clips (`--tune` prints the grid's winners). Errors are of all joints of all frames, those
in gaps as well: every filter must fill them. Offline everybody sees the whole track; online
everybody answers three frames late.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from calibration.camera import F64
from models.errors import WeightsMissing
from models.refiner import LAG, packaged_refiner, refine
from models.refiner_tracks import RawTrack
from models.training.motion_clips import RATE_HZ
from models.training.poses import read_split, tracks_of
from models.training.spoiled import SpoilSettings, spoil

from .machine import machine, machine_line
from .motion_data import MOTIONS, held_out_motion
from .motion_filters import Filter, best_of, live_filters, offline_filters

__all__ = ["measure"]

# The winners of `--tune`.
OFFLINE = {
    "Butterworth": "3.0 Hz, gate 3.0",
    "Kalman/RTS": "2.0 m/s2/sqrt(Hz), gate 3.0, decay 0.15 s",
}
LIVE = {
    "One-Euro": "3.0 Hz, beta 1.0, gate 3.0, shift 1",
    "Butterworth": "3.0 Hz once, gate 3.0, shift 2",
    "Kalman": "2.0 m/s2/sqrt(Hz), gate 3.0, decay 0.15 s",
}
LEAST_GAIN = 0.20  # under the best filter's MPJPE; with less the refiner is switched off
_QUICK_FRAMES = 240
_LEVELS_MM = (5.0, 15.0, 30.0)
_MORE = {
    **{f"noise {mm:.0f} mm": SpoilSettings(noise_mm=(mm, mm)) for mm in _LEVELS_MM},
    "no outliers, no gaps": SpoilSettings(outliers=0.0, joint_gaps=0.0, body_gaps=0.0),
    "half of the noise lasts 0.2 s": SpoilSettings(drifting=0.5),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What one filter leaves over."""

    who: str
    mpjpe_mm: float  # all joints of all frames
    seen_mm: float  # those that were measured
    gap_mm: float  # those that were not
    acceleration: float  # m/s^2, mean length of the error


def spoiled(truth: Sequence[F64], settings: SpoilSettings, seed: int = 0) -> list[RawTrack]:
    """Each track as measured, the same every time."""
    return [
        spoil(joints, RATE_HZ, settings, np.random.default_rng([seed, index]))
        for index, joints in enumerate(truth)
    ]


def score(
    who: str, found: Sequence[F64], raw: Sequence[RawTrack], truth: Sequence[F64], lag: int
) -> Scored:
    """Errors of estimates that come ``lag`` frames late."""
    off, seen, jerk = [], [], []
    for mine, track, joints in zip(found, raw, truth, strict=True):
        mine, joints = mine[lag:], joints[: len(joints) - lag]
        off.append(np.linalg.norm(mine - joints, axis=2))
        seen.append(np.isfinite(track.positions[: len(joints), :, 0]))
        change = np.diff(mine - joints, 2, axis=0) * track.rate_hz**2
        jerk.append(np.linalg.norm(change, axis=2))
    all_off, all_seen = 1000 * np.concatenate(off), np.concatenate(seen)
    gaps = float(all_off[~all_seen].mean()) if not all_seen.all() else float("nan")
    return Scored(
        who,
        float(all_off.mean()),
        float(all_off[all_seen].mean()),
        gaps,
        float(np.concatenate(jerk).mean()),
    )


def measure(quick: bool) -> dict[str, Any]:
    """All figures, printed as they come.

    Returns:
        ``refiner_mpjpe_mm``, ``refiner_baseline_mpjpe_mm`` and ``refiner_default`` of the offline
        refiner, the same with ``refiner_live_`` of the online one, and all tables.
    """
    motion = held_out_motion(1 if quick else 3)
    truth = [t[:_QUICK_FRAMES] if quick else t for t in motion.tracks]
    frames = sum(len(t) for t in truth)
    print(f"refiner: {motion.name}, {frames} frames, noise 5 to 30 mm, 5 % outliers, gaps")
    report: dict[str, Any] = {"refiner_data": motion.name, "refiner_frames": frames}
    for name, chosen, filters, lag, prefix in (
        ("refiner", OFFLINE, offline_filters, 0, "refiner"),
        ("refiner_live", LIVE, lambda: live_filters(LAG), LAG, "refiner_live"),
    ):
        peers = [f for f in filters() if chosen.get(f.kind) == f.setting]
        table = _table(name, peers, truth, SpoilSettings(), lag)
        if not quick:
            more = {
                case: _table(name, peers, truth, spoiling, lag, case)
                for case, spoiling in _MORE.items()
            }
            report[f"{prefix}_cases"] = more
        report[f"{prefix}_table"] = table
        best = min(row["mpjpe_mm"] for row in table if row["who"] != "refiner")
        ours = next((row["mpjpe_mm"] for row in table if row["who"] == "refiner"), None)
        report[f"{prefix}_mpjpe_mm"] = ours
        report[f"{prefix}_baseline_mpjpe_mm"] = best
        on = ours is not None and ours <= (1 - LEAST_GAIN) * best
        report[f"{prefix}_default"] = "on" if on else "off"
    if find_spec("torch") is not None:
        from .motion_packing import measure_packing  # the packed network is PyTorch's

        report |= measure_packing(quick)
    return report


def _table(
    weights: str,
    peers: Sequence[Filter],
    truth: Sequence[F64],
    spoiling: SpoilSettings,
    lag: int,
    case: str = "",
) -> list[dict[str, Any]]:
    raw = spoiled(truth, spoiling)
    rows = [score(f.kind, [f.run(track) for track in raw], raw, truth, lag) for f in peers]
    try:
        found = refine(raw, packaged_refiner(weights))
    except WeightsMissing:
        print(f"{weights}: not measured, its weights are not here")
    else:
        # What the refiner starts from, at a setting that did better on validation clips.
        rows.append(score("its own start", [one.base for one in found], raw, truth, lag))
        rows.append(score("refiner", [one.positions for one in found], raw, truth, lag))
    where = "whole track seen" if not lag else f"answers {lag} frames late"
    print(f"\n{where}{', ' + case if case else ''}")
    print(f"{'':14}{'MPJPE mm':>10}{'measured':>10}{'in gaps':>10}{'acc. m/s2':>11}")
    best = min(row.mpjpe_mm for row in rows if row.who != "refiner")
    for row in rows:
        print(
            f"{row.who:14}{row.mpjpe_mm:10.2f}{row.seen_mm:10.2f}{row.gap_mm:10.2f}"
            f"{row.acceleration:11.2f}{100 * (row.mpjpe_mm / best - 1):+7.1f} % of the best filter"
        )
    return [asdict(row) for row in rows]


def tune() -> None:
    """Print the best setting of each filter on training clips."""
    clips = read_split(MOTIONS, "train")[::5]
    truth = [track.joints[:150] for track in tracks_of(clips, [0])]
    raw = spoiled(truth, SpoilSettings(), seed=1)
    for filters, lag in ((offline_filters(), 0), (live_filters(LAG), LAG)):
        for kind, one in best_of(filters, raw, truth, lag).items():
            print(f"lag {lag}: {kind}: {one.setting}")


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one body, 8 s of each clip")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--tune", action="store_true", help="look for the filters' best settings")
    asked = parser.parse_args()
    print(machine_line(machine()))
    if asked.tune:
        tune()
        return
    report = measure(asked.quick)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
