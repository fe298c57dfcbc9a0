"""Learned motion against plain baselines, on motion and bodies that nothing here learnt from.

    python -m benchmarks.motion [--quick] [--json FILE] [--picture FILE]

The prior's log-likelihood beside a Gaussian and a mixture, and how it tells spoiled poses; joints
of two views with and without it, in capture itself; the completer beside the conditional Gaussian
and interpolation over time; the refiner beside filters; packed against padded batches. Reads the
held-out clips of `../shared/train/motions`; where that is missing, made walkers stand in, which
says little about the likelihoods, and the output says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from models.errors import WeightsMissing
from models.prior import PosePrior
from models.training.motion_baselines import read_baselines

from .motion_completion import completion
from .motion_data import held_out_motion
from .motion_likelihood import draw_roc, likelihood
from .motion_triangulation import real_pairs, triangulation

BASELINES = Path(__file__).parents[1] / "models/weights/prior-baselines.npz"
HEADLINE = "3 joints, 0.5 s"  # what `completer_error` is of, in mm


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--picture", type=Path, help="also draw the ROC curves, .png")
    options = parser.parse_args(arguments)
    motion = held_out_motion(bodies=2 if options.quick else 8)
    print(f"{_machine()}\n{motion.name}, none learnt from\n")
    told: dict[str, Any] = {"machine": _machine(), "data": motion.name}
    parts: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
        ("prior", lambda: _prior(motion.tracks, options.quick, options.picture)),
        ("triangulation", lambda: _triangulation(motion.tracks, options.quick)),
        ("completer", lambda: _completer(motion.tracks, options.quick)),
        ("refiner", lambda: _refiner(options.quick)),
    )
    for name, part in parts:
        begun = time.perf_counter()
        try:
            told |= part()
        except WeightsMissing as error:
            print(f"{name}: left out, {error}\n")
        told[f"{name}_seconds"] = time.perf_counter() - begun
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _prior(tracks: Sequence[Any], quick: bool, picture: Path | None) -> dict[str, Any]:
    prior = PosePrior()
    figures, curves = likelihood(prior, read_baselines(BASELINES), tracks, 12 if quick else 4)
    print("| model | nats per dimension (lower is better) | AUC swap | noise | mirror |")
    print("| --- | --- | --- | --- | --- |")
    for name in ("prior", "mixture", "gaussian"):
        auc = " | ".join(f"{figures[f'{k}_auc_{name}']:.3f}" for k in ("swap", "noise", "mirror"))
        print(f"| {name} | {figures[f'{name}_nats_per_dim']:.3f} | {auc} |")
    four = np.stack([track[len(track) // 2] for track in tracks[:4]])
    prior.plausibility(four)
    begun = time.process_time()
    for _ in range(50):
        prior.plausibility(four)
    figures["plausibility_ms_4_people"] = 1000 * (time.process_time() - begun) / 50
    print(f"plausibility of 4 people: {figures['plausibility_ms_4_people']:.2f} ms of one core\n")
    if picture is not None:
        draw_roc(curves, figures, picture)
    return dict(figures)


def _triangulation(tracks: Sequence[Any], quick: bool) -> dict[str, Any]:
    rows = triangulation(tracks, 80 if quick else 600)
    real = real_pairs(20 if quick else 3)
    rows += [real] if real is not None else []
    print("| cameras | joints | MPJPE mm without prior | with | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows:
        for part, name in (("two_views", "of two views"), ("more_views", "of more views")):
            if f"{part}_ratio" in row:
                print(
                    f"| {row['case']} | {name} | {row[f'{part}_without_mm']:.1f} "
                    f"| {row[f'{part}_with_mm']:.1f} | {row[f'{part}_ratio']:.3f} |"
                )
    print()
    return {"triangulation": rows}


def _completer(tracks: Sequence[Any], quick: bool) -> dict[str, Any]:
    from models.completer import Completer

    rows = completion(Completer(), tracks, 150 if quick else 1500)
    print(
        "| hidden | completer mm | conditional Gaussian | interpolation | in 50 / 80 / 95 % "
        "| ms a body |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        inside = " / ".join(f"{100 * float(row[f'coverage_{k}']):.0f}" for k in (50, 80, 95))
        print(
            f"| {row['scene']} | {row['completer_mm']:.1f} | {row['gaussian_mm']:.1f} "
            f"| {row['interpolation_mm']:.1f} | {inside} | {row['ms']:.1f} |"
        )
    print()
    head = next(row for row in rows if row["scene"] == HEADLINE)
    best = [min(_finite(row["gaussian_mm"]), _finite(row["interpolation_mm"])) for row in rows]
    wins = [float(row["completer_mm"]) < least for row, least in zip(rows, best, strict=True)]
    return {
        "completion": rows,
        "completer_error": head["completer_mm"],
        "completer_baseline_error": best[rows.index(head)],
        "completer_default": "on" if all(wins) else "off",
    }


def _finite(value: float | str) -> float:
    return float(value) if np.isfinite(float(value)) else float("inf")


def _refiner(quick: bool) -> dict[str, Any]:
    try:
        from .motion_refiner import measure
    except ImportError as error:
        print(f"refiner: left out, {error}")
        return {}
    return dict(measure(quick))


def _machine() -> str:
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        if line.startswith("model name")
    ]
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"python {platform.python_version()}, numpy {np.__version__}, "
        f"onnxruntime {onnxruntime.__version__}"
    )


if __name__ == "__main__":
    main()
