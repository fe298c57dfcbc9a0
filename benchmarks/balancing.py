"""The Balancing take of Pose2Sim against its shipped TRC: used by `benchmarks.capture3d`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.camera import F64
from calibration.formats import read_any
from capture.people import Frame
from capture.reconstruct import (
    ReconstructSettings,
    read_streams,
    reconstruct,
    synchronized,
    take_of,
)
from capture.streams import Stream
from models.skeleton import COCO17

__all__ = ["BALANCING", "balancing", "late_camera"]

BALANCING = Path(__file__).resolve().parents[2] / "shared" / "data" / "pose2sim-balancing"
RATE_HZ = 60.0
LATE = ("cam03", 7)  # a camera started so many frames late
# TRC markers that COCO-17 has too.
MARKERS = ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")


def balancing() -> dict[str, dict[str, float]] | None:
    """The real take, as measured and smoothed, against the shipped TRC."""
    if not BALANCING.is_dir():
        return None
    rig, folders = _rig(), _folders()
    return {
        name: _judged(reconstruct(rig, folders, rate_hz=RATE_HZ, settings=settings))
        for name, settings in (
            ("as measured", ReconstructSettings(smooth=None, prior=None)),
            ("6 Hz low pass", ReconstructSettings(prior=None)),
            ("as measured, with the prior", ReconstructSettings(smooth=None)),
            ("6 Hz low pass, with the prior", ReconstructSettings()),
        )
    }


def late_camera() -> dict[str, dict[str, float]] | None:
    """The take with one camera started late: taken as it is, and synchronized by its motion."""
    if not BALANCING.is_dir():
        return None
    rig = _rig()
    streams = read_streams(rig, _folders(), rate_hz=RATE_HZ)
    name, frames = LATE
    late = streams[name]
    streams[name] = Stream(late.times_s[:-frames], late.people[frames:])
    model = {"name": "files", "sha256": ""}
    sync, _, moments = synchronized(rig, streams, RATE_HZ)
    found = next(one for one in sync.cameras if one.camera == name)
    put_right = take_of(rig, moments, RATE_HZ, model=model)
    for moment in moments:
        for camera, stream in streams.items():
            if moment.sequence < len(stream.people):
                moment.sightings[camera] = stream.people[moment.sequence]  # type: ignore[index]
    as_it_is = take_of(rig, moments[:-frames], RATE_HZ, model=model)
    told = {"offset_frames": found.offset_frames, "sigma_frames": found.sigma_frames}
    return {"not synchronized": _judged(as_it_is), "synchronized": {**_judged(put_right), **told}}


def _rig():  # type: ignore[no-untyped-def]
    content = (BALANCING / "calibration" / "Calib.qca.txt").read_bytes()
    return read_any(content, name="balancing")


def _folders() -> dict[str, Path]:
    return {name: BALANCING / "pose2d" / name for name in _rig().names}


def _truth() -> tuple[F64, list[int], list[int]]:
    """(100, 21, 3) markers in metres of the world, and the joints and markers that are one."""
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
    return world, ours, theirs


def _judged(frames: Sequence[Frame]) -> dict[str, float]:
    world, ours, theirs = _truth()
    off = []
    for frame in frames:
        truth = world[frame.sequence][theirs]
        all_of_them = [np.linalg.norm(p.positions[ours] - truth, axis=1) for p in frame.people]
        medians = [np.nanmedian(o) if np.isfinite(o).any() else np.inf for o in all_of_them]
        near = all_of_them[int(np.argmin(medians))] if medians else np.full(len(ours), np.nan)
        off.append(near)
    off_mm = 1000 * np.array(off)
    return {
        "median_mm": float(np.nanmedian(off_mm)),
        "mean_mm": float(np.nanmean(off_mm)),
        "found_percent": float(100 * np.isfinite(off_mm).mean()),
    }
