"""A take in numbers, against numbers that can be counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from capture.people import Frame, Person
from service.take_summary import best_frame, summarize


def person(found, *, identity=0, reprojection_px=2.0, sigma_mm=5.0):
    """Somebody with the first `found` of 17 joints."""
    there = np.arange(17) < found
    return Person(
        id=identity,
        score=1.0,
        positions=np.where(there[:, None], 1.0, np.nan) * np.ones((17, 3)),
        sigma_mm=np.where(there, sigma_mm, np.nan),
        scores=there.astype(float),
        views=np.where(there, 3, 0),
        reprojection_px=np.where(there, reprojection_px, np.nan),
        sources=tuple("triangulated" if yes else "unseen" for yes in there),
    )


def frame(sequence, *people):
    return Frame("rig", "c1", "take", sequence, sequence, "coco17", {}, people)


def test_the_numbers_of_a_small_take():
    frames = [
        frame(0, person(17, reprojection_px=1.0), person(10, identity=1, reprojection_px=4.0)),
        frame(1, person(4)),  # too little of a body to count
        frame(2),
        frame(3, person(17, sigma_mm=50.0, reprojection_px=1.0)),
    ]
    summary = summarize(frames)
    assert (summary.frames, summary.people) == (4, 2)
    assert summary.share_captured == 0.5
    assert summary.joints_share == pytest.approx((17 + 10 + 17) / (3 * 17))
    assert summary.reprojection_px == pytest.approx((34 * 1.0 + 10 * 4.0) / 44)
    assert summary.sigma_mm == 5.0
    assert summary.views == 3.0


@pytest.mark.parametrize("frames", [[], [frame(0)], [frame(0, person(3))]])
def test_without_anybody_nothing_is_measured(frames):
    summary = summarize(frames)
    assert (summary.people, summary.share_captured) == (0, 0.0)
    assert (summary.reprojection_px, summary.sigma_mm, summary.views) == (None, None, None)


def test_swapped_views_are_counted():
    one = replace(person(17), sightings={"cam0": None, "cam1": None}, swapped=("cam1",))
    summary = summarize([frame(0, one), frame(1, person(17))])
    assert (summary.swapped, summary.sightings) == (1, 2)


def test_the_best_frame_is_the_middle_one_of_equals():
    frames = [frame(0, person(9)), *(frame(n, person(17)) for n in (1, 2, 3)), frame(4)]
    assert best_frame(frames) == 2
    assert best_frame([frame(0)]) is None
