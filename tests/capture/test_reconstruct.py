"""2D files of another tool to people in metres, on a real take and on made ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import F64
from calibration.errors import UnknownCamera
from calibration.formats import read_any
from capture.errors import BadDetections, TooFewCameras
from capture.export import export_take
from capture.people import Frame
from capture.reconstruct import ReconstructSettings, reconstruct
from models.skeleton import COCO17
from tests.capture.test_export import read_trc
from tests.scenes import Noise, detect, ring_rig, walkers

BALANCING = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pose2sim-balancing"
needs_balancing = pytest.mark.skipif(not BALANCING.is_dir(), reason=f"needs {BALANCING}")

# The markers of the shipped TRC that COCO-17 has too.
MARKERS = {
    "RHip": "right_hip",
    "RKnee": "right_knee",
    "RAnkle": "right_ankle",
    "LHip": "left_hip",
    "LKnee": "left_knee",
    "LAnkle": "left_ankle",
    "Nose": "nose",
    "RShoulder": "right_shoulder",
    "RElbow": "right_elbow",
    "RWrist": "right_wrist",
    "LShoulder": "left_shoulder",
    "LElbow": "left_elbow",
    "LWrist": "left_wrist",
}
LIMBS = (
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "right_shoulder"),
)


@pytest.fixture(scope="module")
def balancing() -> list[Frame]:
    rig = read_any((BALANCING / "calibration" / "Calib.qca.txt").read_bytes(), name="balancing")
    folders = {name: BALANCING / "pose2d" / name for name in rig.names}
    return reconstruct(rig, folders, skeleton="body25b", rate_hz=60.0)


@pytest.fixture(scope="module")
def shipped() -> dict[str, F64]:
    """COCO joint -> (100, 3) metres in our world; world = (Z, X, Y) of the TRC."""
    text = (BALANCING / "trc" / "Balancing_for_IK.trc").read_text()
    _, names, _, values = read_trc(text)
    return {
        joint: values[:, names.index(marker)][:, [2, 0, 1]] for marker, joint in MARKERS.items()
    }


def of_subject(frames: list[Frame]) -> dict[str, F64]:
    """COCO joint -> (F, 3) of the person of id 0."""
    subject = [next(p for p in frame.people if p.id == 0) for frame in frames]
    positions = np.array([person.positions for person in subject])
    return {joint: positions[:, j] for j, joint in enumerate(COCO17.joints)}


@needs_balancing
def test_the_subject_is_where_the_shipped_take_has_it(
    balancing: list[Frame], shipped: dict[str, F64]
) -> None:
    ours = of_subject(balancing)
    off_mm = np.array(
        [1000 * np.linalg.norm(ours[joint] - shipped[joint], axis=1) for joint in shipped]
    )
    # A plain score-weighted DLT reaches 7.0 and 11.4 (the data's README); both are to be beaten.
    assert np.nanmedian(off_mm) <= 7.0
    assert np.nanmean(off_mm) <= 11.0
    assert np.isfinite(off_mm).mean() >= 0.99
    assert np.isfinite(np.array(list(ours.values()))[..., 0]).mean() >= 0.99


@needs_balancing
def test_reprojection_is_what_the_calibration_allows(balancing: list[Frame]) -> None:
    subject = [next(p for p in frame.people if p.id == 0) for frame in balancing]
    # The shipped calibration is off by about 4 px itself: 10 px are reached, 12 allowed.
    assert np.nanmean([person.reprojection_px for person in subject]) <= 12.0


@needs_balancing
def test_one_subject_all_along_and_bystanders_apart(
    balancing: list[Frame], shipped: dict[str, F64]
) -> None:
    hips = (shipped["left_hip"] + shipped["right_hip"]) / 2
    for frame, hip in zip(balancing, hips, strict=True):
        near = []
        for person in frame.people:
            middle = np.nanmean(person.positions[11:13], axis=0)
            if np.linalg.norm(middle - hip) < 0.3:
                near.append(person)
            else:
                # Only cam01 and cam02 have bystanders in view.
                assert set(person.sightings) <= {"cam01", "cam02"}
        assert [person.id for person in near] == [0]
        assert set(near[0].sightings) == {"cam01", "cam02", "cam03", "cam04"}
        assert set(frame.single_view) <= {"cam01", "cam02"}


@needs_balancing
def test_limbs_are_as_long_as_in_the_shipped_take(
    balancing: list[Frame], shipped: dict[str, F64]
) -> None:
    ours = of_subject(balancing)
    for a, b in LIMBS:
        mine = np.linalg.norm(ours[a] - ours[b], axis=1)
        theirs = np.linalg.norm(shipped[a] - shipped[b], axis=1)
        assert np.nanmean(mine) == pytest.approx(theirs.mean(), rel=0.02), (a, b)
        # No less steady, but for the half millimetre in which the two filters differ.
        assert np.nanstd(mine) <= 1.15 * theirs.std() + 0.001, (a, b)


@needs_balancing
def test_the_take_as_trc(balancing: list[Frame], shipped: dict[str, F64]) -> None:
    frames = [
        Frame(**{name: getattr(f, name) for name in f.__slots__ if name != "people"},
              people=tuple(p for p in f.people if p.id == 0))
        for f in balancing
    ]  # fmt: skip
    text = export_take(frames, ring_rig(4), "trc", rate_hz=60.0).decode()
    header, names, _, values = read_trc(text)
    assert (header["NumFrames"], header["DataRate"]) == ("100", "60")
    off = values[:, names.index("left_knee")][:, [2, 0, 1]] - shipped["left_knee"]
    assert np.nanmedian(np.linalg.norm(off, axis=1)) < 0.01


def write_coco(folder: Path, truth: F64, noise: Noise) -> dict[str, Path]:
    """What a detector says of the truth, as OpenPose folders of COCO-17 joints."""
    rig = ring_rig(4)
    folders = {name: folder / name for name in rig.names}
    for path in folders.values():
        path.mkdir()
    for number, seen in enumerate(detect(rig, truth, noise, seed=4)):
        for name, sightings in seen.sightings.items():
            people = []
            for sighting in sightings:
                rows = np.column_stack([np.nan_to_num(sighting.joints_px), sighting.scores])
                people.append({"pose_keypoints_2d": rows.ravel().tolist()})
            file = folders[name] / f"{name}_{number:012}_keypoints.json"
            file.write_text(json.dumps({"version": 1.3, "people": people}))
    return folders


def test_two_people_from_files(tmp_path: Path) -> None:
    truth = walkers(2, 1.0, 30, seed=5)
    folders = write_coco(tmp_path, truth, Noise())
    steps: list[tuple[int, int]] = []
    frames = reconstruct(
        ring_rig(4), folders, skeleton="coco17", rate_hz=30.0, name="walk",
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps == [(n, 30) for n in range(1, 31)]
    assert [frame.sequence for frame in frames] == list(range(30))
    assert frames[3].timestamp_ns == 100_000_000
    assert frames[3].capture == "walk"
    for frame, bodies in zip(frames, truth, strict=True):
        assert {person.id for person in frame.people} == {0, 1}
        for person in frame.people:
            off = np.linalg.norm(bodies - person.positions, axis=2)
            assert np.nanmedian(off, axis=1).min() < 0.03


def test_smoothing_can_be_left_out(tmp_path: Path) -> None:
    truth = walkers(1, 1.0, 30, seed=6)
    folders = write_coco(tmp_path, truth, Noise())
    raw = reconstruct(
        ring_rig(4), folders, skeleton="coco17", settings=ReconstructSettings(smooth=None)
    )
    smooth = reconstruct(ring_rig(4), folders, skeleton="coco17")

    def mean_off(frames: list[Frame]) -> float:
        off = [f.people[0].positions - t[0] for f, t in zip(frames, truth, strict=True)]
        return float(np.nanmean(np.linalg.norm(off, axis=2)))

    assert mean_off(smooth) < mean_off(raw)


def test_files_that_do_not_fit_the_rig(tmp_path: Path) -> None:
    folders = write_coco(tmp_path, walkers(1, 0.1, 30), Noise())
    with pytest.raises(UnknownCamera, match="cam9"):
        reconstruct(ring_rig(4), {"cam9": folders["cam0"], **folders}, skeleton="coco17")
    with pytest.raises(TooFewCameras, match="two"):
        reconstruct(ring_rig(4), {"cam0": folders["cam0"]}, skeleton="coco17")
    with pytest.raises(BadDetections, match="25"):
        reconstruct(ring_rig(4), folders, skeleton="body25b")
