"""People across views."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from calibration.errors import UnknownCamera
from capture.associate import associate
from capture.people import Prediction
from models.sighting import Sighting
from tests.scenes import FALSE_PERSON, Noise, Seen, detect, gait, ring_rig, walkers

EXACT = Noise(pixel=0.0, missed=0.0, outliers=0.0)


def owners_of(seen: Seen, group: Mapping[str, int]) -> list[int]:
    return [seen.owners[camera][index] for camera, index in group.items()]


def standing(*places: tuple[float, float]) -> np.ndarray:
    """(1, people, 17, 3) people standing at these places on the floor."""
    body = gait(np.zeros(1), np.full(1, 0.3), np.ones(5))[0]
    return np.stack([body + np.array([x, y, 0]) for x, y in places])[None]


def test_one_person_in_all_views() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing((0, 0)), EXACT)[0]
    assert associate(rig, seen.sightings) == ({f"cam{i}": 0 for i in range(4)},)


def test_two_people_a_metre_apart() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing((0.5, 0), (-0.5, 0)), EXACT)[0]
    groups = associate(rig, seen.sightings)
    assert len(groups) == 2
    for group in groups:
        assert len(group) == 4
        assert len(set(owners_of(seen, group))) == 1


def test_nobody_nowhere() -> None:
    rig = ring_rig(4)
    assert associate(rig, {}) == ()
    assert associate(rig, {"cam0": [], "cam1": []}) == ()


def test_a_camera_that_sees_nobody() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing((0, 0)), EXACT)[0]
    groups = associate(rig, {**seen.sightings, "cam2": []})
    assert groups == ({"cam0": 0, "cam1": 0, "cam3": 0},)


def test_somebody_seen_once_joins_nobody() -> None:
    rig = ring_rig(4)
    seen = detect(rig, standing((0, 0)), EXACT)[0]
    other = detect(rig, standing((1.2, 0.7)), EXACT)[0]
    both = {**seen.sightings, "cam1": [*seen.sightings["cam1"], *other.sightings["cam1"]]}
    assert associate(rig, both) == ({f"cam{i}": 0 for i in range(4)},)


def test_a_sighting_with_too_few_joints_says_nothing() -> None:
    rig = ring_rig(2)
    seen = detect(rig, standing((0.3, 0.2)), EXACT)[0]
    few = []
    for sightings in seen.sightings.values():
        scores = np.where(np.arange(17) < 2, 1.0, 0.0)
        pixels = np.where(scores[:, None] > 0, sightings[0].joints_px, np.nan)
        few.append(Sighting(pixels, scores, 0.5, np.zeros(17, dtype=np.bool_)))
    assert associate(rig, {"cam0": [few[0]], "cam1": [few[1]]}) == ()


def test_unknown_camera() -> None:
    with pytest.raises(UnknownCamera, match="cam9"):
        associate(ring_rig(4), {"cam9": []})


def test_a_track_tells_apart_whom_two_views_cannot() -> None:
    """Two cameras at one height and two people in their common plane: rays alone are ambiguous."""
    rig = ring_rig(2, height_m=1.0)
    truth = standing((0.0, 0.6), (0.0, -0.6))
    seen = detect(rig, truth, Noise(pixel=3.0, missed=0.0, outliers=0.0), seed=2)[0]
    tracks = [Prediction(i, truth[0, i] + 0.03, np.full(17, 0.05)) for i in (0, 1)]
    groups = associate(rig, seen.sightings, tracks=tracks)
    assert len(groups) == 2
    assert all(len(set(owners_of(seen, group))) == 1 for group in groups)


@pytest.mark.parametrize(("people", "cameras"), [(4, 4), (10, 8), (6, 3), (3, 16)])
def test_a_crowd_with_all_faults(people: int, cameras: int) -> None:
    """Of all groups at most 1 % may mix two people, and all but 2 % of the people are found."""
    rig = ring_rig(cameras, radius_m=6.0)
    truth = walkers(people, 3.0, 10, area_m=2.5, seed=4)
    noise = Noise(false_people=0.2, missed_people=0.02)
    groups = mixed = found = 0
    for seen in detect(rig, truth, noise, seed=5):
        purest = set()
        for group in associate(rig, seen.sightings):
            owners = owners_of(seen, group)
            groups += 1
            mixed += len(set(owners) - {FALSE_PERSON}) > 1
            if max(owners.count(o) for o in set(owners)) >= 2:
                purest.add(max(set(owners), key=owners.count))
        found += len(purest - {FALSE_PERSON})
    assert found >= 0.98 * people * truth.shape[0]
    assert mixed <= 0.01 * groups
