"""A frame as JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from capture.errors import BadResult
from capture.frame import people_in_frame
from capture.people import Frame
from capture.result import frame_from_json, frame_to_json
from models.skeleton import COCO17
from tests.scenes import Noise, detect, ring_rig, walkers


def a_frame() -> Frame:
    """Two people, some joints missing, and one that only cam2 saw."""
    rig = ring_rig(4)
    seen = detect(rig, walkers(2, 0.1), Noise(missed=0.3), seed=3)[0]
    seen.sightings["cam2"] += detect(rig, walkers(1, 0.1, seed=9))[0].sightings["cam2"]
    found = people_in_frame(rig, seen.sightings)
    people = tuple(replace(person, id=number) for number, person in enumerate(found.people))
    inferred = np.arange(17) == 4
    name, sighting = next(iter(people[0].sightings.items()))
    sightings = {**people[0].sightings, name: replace(sighting, inferred=inferred)}
    return Frame(
        rig="studio",
        calibration="c7",
        capture="take-3",
        sequence=412,
        timestamp_ns=1_785_000_000_000_000_000,
        skeleton="coco17",
        model={"name": "quadglass-m", "sha256": "ab"},
        people=(replace(people[0], sightings=sightings), *people[1:]),
        single_view=found.single_view,
        timings_ms={"network": 18.123456},
    )


def test_the_shape_of_a_result() -> None:
    frame = a_frame()
    result = frame_to_json(frame)
    text = json.dumps(result, allow_nan=False)  # NaN would raise
    assert json.loads(text) == result
    assert set(result) == {
        "rig", "calibration", "capture", "sequence", "timestamp_ns", "units", "skeleton", "model",
        "people", "single_view", "timings_ms",
    }  # fmt: skip
    assert result["units"] == "m"
    person = result["people"][0]
    assert set(person) == {"id", "score", "plausibility", "joints", "views"}
    assert [joint["name"] for joint in person["joints"]] == list(COCO17.joints)
    assert set(person["joints"][0]) == {
        "name", "position", "sigma_mm", "score", "views", "reprojection_px", "source",
    }  # fmt: skip
    view = next(iter(person["views"].values()))
    assert len(view["joints_px"]) == 17
    assert all(row is None or len(row) == 3 for row in view["joints_px"])
    assert view["inferred"] == ["right_ear"]
    assert list(result["single_view"]) == ["cam2"]


def test_missing_is_null_with_a_reason() -> None:
    frame = a_frame()
    for person, shown in zip(frame.people, frame_to_json(frame)["people"], strict=True):
        for joint, at in zip(shown["joints"], person.positions, strict=True):
            assert (joint["position"] is None) == bool(np.isnan(at).any())
            assert (joint["position"] is None) == (joint["source"] != "triangulated")
            assert joint["position"] is None or len(joint["position"]) == 3
            if joint["position"] is None:
                assert joint["sigma_mm"] is None
                assert joint["reprojection_px"] is None
                assert joint["score"] == 0


def test_there_and_back() -> None:
    frame = a_frame()
    back = frame_from_json(json.loads(json.dumps(frame_to_json(frame))))
    assert frame_to_json(back) == frame_to_json(frame)
    for ours, theirs in zip(frame.people, back.people, strict=True):
        # Rounded to 10 um, half of that off at most.
        assert theirs.positions == pytest.approx(ours.positions, abs=5.1e-6, nan_ok=True)
        assert theirs.sources == ours.sources
        assert theirs.views.tolist() == ours.views.tolist()
        assert list(theirs.sightings) == list(ours.sightings)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"units": "mm"}, "mm"),
        ({"skeleton": "body99"}, "body99"),
        ({"sequence": "many"}, "many"),
        ({"people": [{}]}, "joints"),
        ({"model": None}, "NoneType"),
    ],
)
def test_what_is_not_a_result_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(BadResult, match=word):
        frame_from_json({**frame_to_json(a_frame()), **change})


@pytest.mark.parametrize("value", [None, [], "frame", 3])
def test_not_even_an_object(value: object) -> None:
    with pytest.raises(BadResult, match="JSON object"):
        frame_from_json(value)


def test_an_unknown_source_is_refused() -> None:
    result = frame_to_json(a_frame())
    result["people"][0]["joints"][3]["source"] = "guessed"
    with pytest.raises(BadResult, match="guessed"):
        frame_from_json(result)
