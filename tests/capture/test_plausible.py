"""The learned prior and completer in capture: what they change, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture.complete import CompleteSettings, complete_take
from capture.frame import PriorSettings, people_in_frame
from capture.people import Frame, Person
from capture.result import frame_from_json, frame_to_json
from tests.scenes import Noise, detect, ring_rig, walkers

EXACT_PEOPLE = Noise(pixel=5.0, missed=0.0, outliers=0.0)
WITHOUT, WITH = PriorSettings(weak_views=0), PriorSettings(weak_views=2)


def test_two_views_come_nearer_and_four_stay() -> None:
    rig = ring_rig(4)
    pair = replace(rig, cameras=rig.cameras[:2])
    truth = walkers(1, 2.0, seed=3)[::3]
    off: dict[str, list[float]] = {"with": [], "without": []}
    for bodies, seen in zip(truth, detect(pair, truth, EXACT_PEOPLE), strict=True):
        for name, prior in (("with", WITH), ("without", WITHOUT)):
            (person,) = people_in_frame(pair, seen.sightings, prior=prior).people
            off[name].append(float(np.linalg.norm(person.positions - bodies[0], axis=1).mean()))
    assert np.mean(off["with"]) < 0.9 * np.mean(off["without"])
    (seen,) = detect(rig, truth[:1], EXACT_PEOPLE)
    (moved,) = people_in_frame(rig, seen.sightings, prior=WITH).people
    (plain,) = people_in_frame(rig, seen.sightings, prior=WITHOUT).people
    more = plain.views > 2
    assert more.sum() >= 15
    assert np.array_equal(moved.positions[more], plain.positions[more])
    assert np.array_equal(moved.sigma_mm[more], plain.sigma_mm[more])


def test_plausibility_goes_into_the_result_and_back() -> None:
    rig = ring_rig(4)
    truth = walkers(1, 0.1, seed=4)[:1]
    (seen,) = detect(rig, truth, EXACT_PEOPLE)
    (person,) = people_in_frame(rig, seen.sightings).people
    assert 0.02 < person.plausibility <= 1
    frame = _frame(0, person)
    told = frame_to_json(frame)
    assert told["people"][0]["plausibility"] == round(person.plausibility, 3)
    (back,) = frame_from_json(told).people
    assert back.plausibility == round(person.plausibility, 3)
    # Where z may not be up nothing is said.
    (person,) = people_in_frame(replace(rig, world="reference"), seen.sightings).people
    assert np.isnan(person.plausibility)
    assert frame_to_json(_frame(0, person))["people"][0]["plausibility"] is None


def test_missing_joints_of_a_take_are_completed_and_marked() -> None:
    truth = walkers(1, 2.0, seed=5)[:, 0]
    frames = []
    for number, joints in enumerate(truth):
        positions = joints.copy()
        sources = ["triangulated"] * 17
        if 20 <= number < 32:
            positions[[9]] = np.nan
            sources[9] = "unseen"
        person = Person(
            id=0,
            score=0.9,
            positions=positions,
            sigma_mm=np.where(np.isfinite(positions[:, 0]), 5.0, np.nan),
            scores=np.isfinite(positions[:, 0]).astype(float),
            views=4 * np.isfinite(positions[:, 0]).astype(np.int64),
            reprojection_px=np.ones(17),
            sources=tuple(sources),  # type: ignore[arg-type]
        )
        frames.append(_frame(number, person))
    done = complete_take(frames, 30.0, CompleteSettings(max_sigma_mm=150.0))
    for number, (before, after) in enumerate(zip(frames, done, strict=True)):
        (old,), (new,) = before.people, after.people
        if not 20 <= number < 32:
            assert new is old
            continue
        assert new.sources[9] == "completed"
        assert new.views[9] == 0
        assert np.linalg.norm(new.positions[9] - truth[number, 9]) < 0.25  # of a swing of 0.5 m
        assert 1 < new.sigma_mm[9] < 150
        assert np.array_equal(np.delete(new.positions, 9, 0), np.delete(old.positions, 9, 0))
    # Nobody is surer than that, so nothing is filled in.
    strict = complete_take(frames, 30.0, CompleteSettings(max_sigma_mm=0.1))
    assert all(new.people[0] is old.people[0] for new, old in zip(strict, frames, strict=True))


def _frame(number: int, person: Person) -> Frame:
    return Frame(
        rig="ring4",
        calibration="",
        capture="take",
        sequence=number,
        timestamp_ns=round(number * 1e9 / 30),
        skeleton="coco17",
        model={"name": "made", "sha256": ""},
        people=(person,),
    )
