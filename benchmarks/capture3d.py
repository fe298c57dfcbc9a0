"""How good and how fast the 3D part is: 2D people of several views in, named people in metres out.

    python -m benchmarks.capture3d [--quick] [--json FILE]

A made crowd with known truth (walkers in a ring of cameras; 3 px noise, 20 % of joints missed, 5 %
gross outliers, false people), the same with sides swapped, and, where `../shared/data` is, the
Balancing take of Pose2Sim against its shipped TRC. The peer in the crowd is the same triangulation
told who is who. Times are CPU times of one thread, one frame set after the other, the fastest of
three stretches, so that other work on the machine counts less. Then what else must hold: sigmas
against errors, sides put right, hand-made labels, offsets and drifts of clocks
(`capture_checks.py`).
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
from calibration.rig import Rig
from calibration.triangulate import triangulate
from capture.frame import PriorSettings, people_in_frame
from capture.people import Person
from capture.streams import stream_of
from capture.sync import synchronize
from capture.track import Tracker
from capture.warmup import warm_up
from tests.scenes import Noise, Seen, detect, ring_rig, walkers

from .balancing import BALANCING, LATE, balancing, late_camera
from .capture_checks import campus, drift, honesty, restored_sides, stereo

RATE_HZ = 30
NOISE = Noise(pixel=3.0, missed=0.2, outliers=0.05, false_people=0.1, missed_people=0.02)


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
        crowd("  with the prior", 4, 4, seconds / 4, NOISE, prior=PriorSettings()),
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
    for row in rows:
        spans = [
            f"by {what} {row[f'sd_{key}_least']:.2f} to {row[f'sd_{key}_most']:.2f}"
            for what, key in (("views", "views"), ("joint", "joint"), ("both", "joint_and_views"))
        ]
        name = str(row["crowd"]).strip()
        print(f"error / sigma, {name:22} sd {row['sd_all']:.2f}; {', '.join(spans)}")
    pair = stereo(seconds / 3)
    print(f"stereo pair: error / sigma sd {pair['sd']:.2f}, MPJPE {pair['mpjpe_mm']:.1f} mm")
    sides = restored_sides(seconds / 3)
    print(f"sides swapped in one view of every other frame: {sides['repaired_percent']:.1f} % put "
          f"right, {sides['false_percent']:.2f} % of the others turned")  # fmt: skip
    labels = campus()
    if labels is not None:
        print(f"Campus, labels triangulated: mean {labels:.3f} mm to the shipped points")
    take = balancing()
    if take is None:
        print(f"no Balancing take: {BALANCING} is missing")
    else:
        for name, row in take.items():
            print(f"Balancing, {name}: median {row['median_mm']:.2f} mm, mean {row['mean_mm']:.2f} "
                  f"mm to the shipped TRC, {row['found_percent']:.2f} % of joints")  # fmt: skip
    clocks = synchronization(6.0 if options.quick else 20.0)
    print(f"clocks of the crowd's cameras: worst {clocks['worst_frames']:.3f} frames off, said "
          f"+- {clocks['sigma_frames']:.3f}, {clocks['cpu_s']:.1f} s")  # fmt: skip
    slow = None if options.quick else drift()
    if slow is not None:
        print(f"drift of 50 ppm over ten minutes: worst {slow['worst_ppm']:.1f} ppm off, said +- "
              f"{slow['sigma_ppm']:.1f}")  # fmt: skip
    late = late_camera()
    if late is not None:
        for name, row in late.items():
            said = f", offset {row['offset_frames']:.2f} +- {row['sigma_frames']:.2f} frames" \
                if "offset_frames" in row else ""  # fmt: skip
            print(f"Balancing, {LATE[0]} {LATE[1]} frames late, {name}: median "
                  f"{row['median_mm']:.2f} mm, mean {row['mean_mm']:.2f} mm{said}")  # fmt: skip
    if options.json:
        told = {
            "crowds": rows, "balancing": take, "clocks": clocks, "late_camera": late,
            "drift": slow, "stereo": pair, "sides": sides, "campus_mm": labels,
        }  # fmt: skip
        options.json.write_text(json.dumps(told, indent=1))


def crowd(
    name: str,
    people: int,
    cameras: int,
    seconds: float,
    noise: Noise,
    prior: PriorSettings | None = None,
) -> dict[str, str | int | float]:
    """One made crowd: what was found, how well, how fast, by geometry alone or with the prior."""
    rig = ring_rig(cameras, radius_m=5.0 if people < 8 else 7.0)
    truth = walkers(people, seconds, RATE_HZ, area_m=1.8 if people < 8 else 3.0, seed=1)
    seen = detect(rig, truth, noise, seed=2)
    tracker, results, spent = Tracker(), [], []
    warm_up()
    for frame, views in enumerate(seen):
        start = time.process_time()
        time_ns = round(frame * 1e9 / RATE_HZ)
        found = people_in_frame(rig, views.sightings, None, tracker.predict(time_ns), prior)
        results.append(tracker.update(found.people, time_ns))
        spent.append(time.process_time() - start)
    third = max(1, len(spent) // 3)
    ms = 1000 * min(float(np.mean(spent[k : k + third])) for k in (0, third, 2 * third))
    return {
        "crowd": name,
        "frames": len(seen),
        **_judged(truth, results),
        "told_who_mpjpe_mm": told_who(rig, truth, seen),
        **honesty(truth, results),
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


def synchronization(seconds: float) -> dict[str, float]:
    """Four people, four cameras at 30 Hz started apart: how far off the offsets are, in frames."""
    rig, offsets = ring_rig(4), (0.0, 0.4, 9.7, -25.6)
    fine = 8  # moments of the truth per frame
    truth = walkers(4, seconds + 2.0, RATE_HZ * fine, seed=1)
    streams = {}
    for camera, offset in zip(rig.cameras, offsets, strict=True):
        places = (np.arange(round(seconds * RATE_HZ)) + offset + 28.0) * fine
        before = places.astype(np.int64)
        share = (places - before)[:, None, None, None]
        bodies = truth[before] * (1 - share) + truth[before + 1] * share
        seen = detect(replace(rig, cameras=(camera,)), bodies, NOISE, seed=len(streams))
        people = [views.sightings[camera.name] for views in seen]
        streams[camera.name] = stream_of(people, RATE_HZ)
    start = time.process_time()
    sync = synchronize(rig, streams)
    pairs = zip(sync.cameras, offsets, strict=True)
    return {
        "worst_frames": max(abs(one.offset_frames - truth) for one, truth in pairs),
        "sigma_frames": max(one.sigma_frames for one in sync.cameras),
        "cpu_s": time.process_time() - start,
    }


if __name__ == "__main__":
    main()
