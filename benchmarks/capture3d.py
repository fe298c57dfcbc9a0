"""How good and how fast the 3D part is: 2D people of several views in, named people in metres out.

    python -m benchmarks.capture3d [--quick] [--json FILE]

A made crowd with known truth (walkers in a ring of cameras; 3 px noise, 20 % of joints missed, 5 %
gross outliers, false people), the same with sides swapped, and, where `../shared/data` is, the
Balancing take of Pose2Sim against its shipped TRC. The peer in the crowd is the same triangulation
told who is who. Times are CPU times of one thread, one frame set after the other.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy

from calibration.camera import F64
from calibration.formats import read_any
from calibration.rig import Rig
from calibration.triangulate import triangulate
from capture.frame import people_in_frame
from capture.people import Person
from capture.reconstruct import ReconstructSettings, reconstruct
from capture.track import Tracker
from models.skeleton import COCO17
from tests.scenes import Noise, Seen, detect, ring_rig, walkers

RATE_HZ = 30
NOISE = Noise(pixel=3.0, missed=0.2, outliers=0.05, false_people=0.1, missed_people=0.02)
BALANCING = Path(__file__).resolve().parents[2] / "shared" / "data" / "pose2sim-balancing"
# TRC markers that COCO-17 has too.
MARKERS = ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args(arguments)
    seconds = 4.0 if options.quick else 60.0
    swapped = replace(NOISE, swapped=0.05)
    rows = [
        crowd("4 people x 4 cameras", 4, 4, seconds, NOISE),
        crowd("  5 % swapped sides", 4, 4, seconds, swapped),
        crowd("10 people x 8 cameras", 10, 8, seconds / 4, NOISE),
        crowd("4 people x 12 cameras", 4, 12, seconds / 4, NOISE),
    ]
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, "
          f"scipy {scipy.__version__}")  # fmt: skip
    print(f"{'crowd':24}{'found %':>9}{'false %':>9}{'switches':>10}{'MPJPE mm':>10}"
          f"{'told who':>10}{'ms':>8}{'sets/s':>8}")  # fmt: skip
    for row in rows:
        print(f"{row['crowd']:24}{row['found_percent']:9.2f}{row['false_percent']:9.2f}"
              f"{row['switches']:10}{row['mpjpe_mm']:10.1f}{row['told_who_mpjpe_mm']:10.1f}"
              f"{row['ms']:8.2f}{1000 / row['ms']:8.0f}")  # fmt: skip
    take = balancing()
    if take is None:
        print(f"no Balancing take: {BALANCING} is missing")
    else:
        for name, row in take.items():
            print(f"Balancing, {name}: median {row['median_mm']:.2f} mm, mean {row['mean_mm']:.2f} "
                  f"mm to the shipped TRC, {row['found_percent']:.2f} % of joints")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"crowds": rows, "balancing": take}, indent=1))


def crowd(
    name: str, people: int, cameras: int, seconds: float, noise: Noise
) -> dict[str, str | int | float]:
    """One made crowd: what was found, how well, how fast."""
    rig = ring_rig(cameras, radius_m=5.0 if people < 8 else 7.0)
    truth = walkers(people, seconds, RATE_HZ, area_m=1.8 if people < 8 else 3.0, seed=1)
    seen = detect(rig, truth, noise, seed=2)
    tracker, results = Tracker(), []
    people_in_frame(rig, seen[0].sightings)  # the first call loads what is loaded late
    start = time.process_time()
    for frame, views in enumerate(seen):
        time_ns = round(frame * 1e9 / RATE_HZ)
        found = people_in_frame(rig, views.sightings, None, tracker.predict(time_ns))
        results.append(tracker.update(found.people, time_ns))
    ms = 1000 * (time.process_time() - start) / len(seen)
    return {
        "crowd": name,
        "frames": len(seen),
        **_judged(truth, results),
        "told_who_mpjpe_mm": told_who(rig, truth, seen),
        "ms": ms,
    }


def _judged(truth: F64, results: Sequence[Sequence[Person]]) -> dict[str, int | float]:
    found = false = switches = 0
    names: dict[int, int] = {}
    off_m = []
    for bodies, people in zip(truth, results, strict=True):
        taken = set()
        for person in people:
            off = np.linalg.norm(bodies - person.positions, axis=2)  # (truth, J)
            who = int(np.nanmedian(off, axis=1).argmin())
            if np.nanmedian(off[who]) > 0.25 or who in taken:
                false += 1
                continue
            taken.add(who)
            switches += names.get(who, person.id) != person.id
            names[who] = person.id
            off_m.append(off[who])
        found += len(taken)
    return {
        "found_percent": 100 * found / (truth.shape[0] * truth.shape[1]),
        "false_percent": 100 * false / max(1, found + false),
        "switches": switches,
        "mpjpe_mm": float(1000 * np.nanmean(off_m)),
    }


def told_who(rig: Rig, truth: F64, seen: Sequence[Seen]) -> float:
    """MPJPE in mm of the same pixels triangulated with everybody's views known."""
    off_m = []
    views, people = len(rig.cameras), truth.shape[1]
    for bodies, frame in zip(truth, seen, strict=True):
        pixels = np.full((views, people, 17, 2), np.nan)
        scores = np.zeros((views, people, 17))
        for v, name in enumerate(rig.names):
            for sighting, owner in zip(frame.sightings[name], frame.owners[name], strict=True):
                if owner >= 0:
                    pixels[v, owner], scores[v, owner] = sighting.joints_px, sighting.scores
        result = triangulate(
            rig.cameras,
            pixels.reshape(views, -1, 2),
            scores.reshape(views, -1),
            groups=np.repeat(np.arange(people), 17),
        )
        off_m.append(np.linalg.norm(result.points - bodies.reshape(-1, 3), axis=1))
    return float(1000 * np.nanmean(off_m))


def balancing() -> dict[str, dict[str, float]] | None:
    """The real take, as measured and smoothed, against the shipped TRC."""
    if not BALANCING.is_dir():
        return None
    rig = read_any((BALANCING / "calibration" / "Calib.qca.txt").read_bytes(), name="balancing")
    folders = {name: BALANCING / "pose2d" / name for name in rig.names}
    lines = (BALANCING / "trc" / "Balancing_for_IK.trc").read_text().splitlines()
    markers = [name for name in lines[3].split("\t")[2:] if name]
    table = np.array([[float(cell) for cell in line.split("\t")[2:]] for line in lines[5:] if line])
    world = table.reshape(len(table), -1, 3)[:, :, [2, 0, 1]]
    pairs = [(COCO17.joints.index("nose"), markers.index("Nose"))]
    for side, letter in (("left", "L"), ("right", "R")):
        for part in MARKERS:
            joint = COCO17.joints.index(f"{side}_{part.lower()}")
            pairs.append((joint, markers.index(letter + part)))
    ours, theirs = map(list, zip(*pairs, strict=True))
    result = {}
    for name, settings in (
        ("as measured", ReconstructSettings(smooth=None)),
        ("6 Hz low pass", ReconstructSettings()),
    ):
        frames = reconstruct(rig, folders, rate_hz=60.0, settings=settings)
        subject = [next(p.positions for p in frame.people if p.id == 0) for frame in frames]
        off_mm = 1000 * np.linalg.norm(np.array(subject)[:, ours] - world[:, theirs], axis=2)
        result[name] = {
            "median_mm": float(np.nanmedian(off_mm)),
            "mean_mm": float(np.nanmean(off_mm)),
            "found_percent": float(100 * np.isfinite(off_mm).mean()),
        }
    return result


if __name__ == "__main__":
    main()
