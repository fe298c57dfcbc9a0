"""What 3D people must hold to besides the crowds: sigmas, swapped sides, labels, drift."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.camera import F64, Camera
from calibration.triangulate import triangulate
from capture.frame import people_in_frame
from capture.people import Person
from capture.streams import Stream
from capture.sync import SyncSettings, synchronize
from capture.track import Tracker
from tests.scenes import Noise, detect, ring_rig, stereo_rig, walkers

__all__ = ["campus", "drift", "honesty", "restored_sides", "stereo"]

RATE_HZ = 30
CAMPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "campus-mini"
MIN_ERRORS = 400  # an sd of so many is known to 0.04 or better


def honesty(truth: F64, results: Sequence[Sequence[Person]]) -> dict[str, float]:
    """Standard deviation of error over sigma: of all, and the extremes over joints and views."""
    ratios, joints, views = [], [], []
    for bodies, people in zip(truth, results, strict=True):
        for person in people:
            off = np.linalg.norm(bodies - person.positions, axis=2)
            who = int(np.nanmedian(off, axis=1).argmin())
            if np.nanmedian(off[who]) > 0.25:
                continue
            ratios.append((person.positions - bodies[who]) / person.sigma_mm[:, None] * 1000)
            joints.append(np.arange(len(person.views)))
            views.append(person.views)
    ratio, joint, view = np.concatenate(ratios), np.concatenate(joints), np.concatenate(views)
    by_joint = [np.nanstd(ratio[joint == one]) for one in np.unique(joint)]
    by_views = {
        int(one): np.nanstd(ratio[view == one])
        for one in np.unique(view)
        if one >= 2 and (view == one).sum() >= MIN_ERRORS
    }
    both = [
        np.nanstd(ratio[(view == one) & (joint == other)])
        for one in by_views
        for other in np.unique(joint)
        if ((view == one) & (joint == other)).sum() >= MIN_ERRORS
    ]
    return {
        "sd_all": float(np.nanstd(ratio)),
        "sd_joint_least": float(min(by_joint)),
        "sd_joint_most": float(max(by_joint)),
        "sd_views_least": float(min(by_views.values())),
        "sd_views_most": float(max(by_views.values())),
        "sd_joint_and_views_least": float(min(both, default=np.nan)),
        "sd_joint_and_views_most": float(max(both, default=np.nan)),
    }


def stereo(seconds: float) -> dict[str, float]:
    """Two cameras side by side, one walker, 3 px: error over sigma, and the error."""
    rig = stereo_rig()
    # Within what both see, and not nearer than two metres.
    truth = walkers(1, seconds, RATE_HZ, area_m=0.8, seed=11) + np.array([0.0, 0.5, 0.0])
    tracker, results = Tracker(), []
    seen = detect(rig, truth, Noise(3.0, 0.1, 0.0), seed=12)
    for frame, views in enumerate(seen):
        time_ns = round(frame * 1e9 / RATE_HZ)
        people = people_in_frame(rig, views.sightings, None, tracker.predict(time_ns), None).people
        results.append(tracker.update(people, time_ns))
    off = [np.linalg.norm(p.positions - t[0], axis=1) for r, t in zip(results, truth, strict=True)
           for p in r]  # fmt: skip
    told = honesty(truth, results)
    return {"sd": told["sd_all"], "mpjpe_mm": float(1000 * np.nanmean(off))}


def restored_sides(seconds: float) -> dict[str, float]:
    """In every other frame one camera takes left for right: how many are put right, and false."""
    rig = ring_rig(4)
    truth = walkers(4, seconds, RATE_HZ, seed=7)
    fair = Noise(3.0, 0.2, 0.05, missed_people=0.02, false_people=0.1)
    spoilt = replace(fair, swapped=1.0)
    seen, turned = detect(rig, truth, fair, seed=8), detect(rig, truth, spoilt, seed=8)
    rng = np.random.default_rng(9)
    tracker, right, missed, wrong, sound = Tracker(), 0, 0, 0, 0
    for frame, (views, others) in enumerate(zip(seen, turned, strict=True)):
        camera = rig.names[rng.integers(4)] if frame % 2 else None
        sightings = {**views.sightings, **({camera: others.sightings[camera]} if camera else {})}
        time_ns = round(frame * 1e9 / RATE_HZ)
        people = people_in_frame(rig, sightings, None, tracker.predict(time_ns), None).people
        for person in tracker.update(people, time_ns):
            for name in person.sightings:
                told, true = name in person.swapped, name == camera
                right, missed = right + (told and true), missed + (true and not told)
                wrong, sound = wrong + (told and not true), sound + (not true)
    return {
        "repaired_percent": 100 * right / (right + missed),
        "false_percent": 100 * wrong / sound,
    }


def campus() -> float | None:
    """Mean mm between hand-made labels triangulated and the points shipped with them."""
    if not CAMPUS.is_dir():
        return None
    cameras = []
    for name, row in sorted(json.loads((CAMPUS / "calibration_campus.json").read_text()).items()):
        pose = np.eye(4)
        pose[:3, :3] = np.array(row["R"])
        pose[:3, 3] = -pose[:3, :3] @ (np.array(row["T"]).ravel() / 1000)
        K = np.array([[row["fx"], 0, row["cx"]], [0, row["fy"], row["cy"]], [0, 0, 1.0]])
        cameras.append(Camera(name, (360, 288), K, np.zeros(5), pose))
    off = []
    for person in json.loads((CAMPUS / "ground_truth.json").read_text())["people"]:
        pixels = np.stack([np.array(person["joints2d_px"][camera.name]) for camera in cameras])
        points = triangulate(cameras, pixels, np.ones(pixels.shape[:2])).points
        off.append(1000 * np.linalg.norm(points - np.array(person["joints3d_m"]), axis=1))
    return float(np.mean(off))


def drift(seconds: float = 600.0) -> dict[str, float]:
    """Clocks 50 ppm fast and slow, found from the motion of two people over ten minutes."""
    rig, ppm, offsets = ring_rig(4), (0.0, 50.0, -50.0, 0.0), (0.0, 0.3, -0.4, 5.5)
    own = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    # Only what is looked at is made: six stretches of four seconds.
    middles = 1.0 + (seconds - 2.0) * np.arange(6) / 5
    there = np.abs(own[:, None] - middles).min(axis=1) < 2.0
    fine = 8
    track = walkers(2, seconds + 2.0, RATE_HZ * fine, seed=1)
    noise = Noise(3.0, 0.2, 0.05, missed_people=0.02, false_people=0.1)
    streams = {}
    for v, camera in enumerate(rig.cameras):
        real = own * (1 + ppm[v] * 1e-6) + (offsets[v] + 1.0) / RATE_HZ
        places = real[there] * RATE_HZ * fine
        before = places.astype(np.int64)
        share = (places - before)[:, None, None, None]
        bodies = track[before] * (1 - share) + track[before + 1] * share
        rows = iter(detect(replace(rig, cameras=(camera,)), bodies, noise, seed=100 + v))
        seen = [next(rows).sightings[camera.name] if yes else [] for yes in there]
        streams[camera.name] = Stream(own, seen)
    sync = synchronize(rig, streams, SyncSettings(rounds=1, stretches=6, stretch_s=2.0))
    pairs = list(zip(sync.cameras[1:], ppm[1:], strict=True))
    return {
        "worst_ppm": max(abs(one.drift_ppm - true) for one, true in pairs),
        "sigma_ppm": max(one.sigma_ppm or np.nan for one, _ in pairs),
    }
