"""Live: people who leave and come back get their first names again."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest

from capture.errors import BadResult
from capture.gallery import MAX_KNOWN, Gallery
from capture.people import F64
from capture.reidentify import ReidentifySettings
from capture.track import Tracker, TrackSettings
from tests.capture.test_reidentify import BUILDS, seen
from tests.capture.test_track import person

STEP_NS = 33_333_333


class Show:
    """Feeds a tracker, frame after frame."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self.tracker, self.frame = tracker or Tracker(), 0

    def play(self, *series: F64) -> list[list[int]]:
        """The names of people (frames, 17, 3) seen at the same time."""
        names = []
        for bodies in zip(*series, strict=True):
            self.tracker.predict(self.frame * STEP_NS)
            people = self.tracker.update([person(b) for b in bodies], self.frame * STEP_NS)
            names.append([one.id for one in people])
            self.frame += 1
        return names

    def wait(self, frames: int) -> None:
        for _ in range(frames):
            self.tracker.update([], self.frame * STEP_NS)
            self.frame += 1


@pytest.mark.parametrize("who", [0, 1, 2])
def test_who_comes_back_gets_the_first_name_after_a_second(who: int) -> None:
    show = Show()
    everybody = [seen(build, 90, 2.0 * i, seed=i) for i, build in enumerate(BUILDS)]
    assert show.play(*everybody)[-1] == [0, 1, 2]
    show.wait(120)
    names = show.play(seen(BUILDS[who], 60, 1.0, seed=7))
    assert names[0] == [3]
    assert names[28] == [3]
    assert names[29] == [who]  # 30 frames make the bones known
    assert names[-1] == [who]
    assert show.play(seen(BUILDS[1], 1, 6.0, seed=8)) == [[4]]  # no name is used again


def test_the_return_is_told_once() -> None:
    show = Show()
    show.play(seen(BUILDS[0], 40, 0.0, seed=1), seen(BUILDS[2], 40, 2.0, seed=2))
    show.wait(90)
    told = []
    for body in seen(BUILDS[2], 40, 0.0, seed=3):
        show.play(body[None])
        told += show.tracker.returned
    ((old, new, gap_s),) = [(one.old, one.new, one.gap_s) for one in told]
    assert (old, new) == (1, 2)
    assert gap_s == pytest.approx(91 / 30, abs=0.01)


def test_somebody_of_another_build_stays_new() -> None:
    show = Show()
    show.play(seen(BUILDS[0], 60, 0.0, seed=1))
    show.wait(90)
    assert show.play(seen(BUILDS[1], 130, 0.0, seed=2))[-1] == [1]


def test_never_somebody_who_was_there_at_the_same_time() -> None:
    """Twins: the second comes while the first is in view, and stays the second."""
    show = Show()
    show.play(seen(BUILDS[0], 60, 0.0, seed=1))
    both = show.play(seen(BUILDS[0], 60, 0.0, seed=2), seen(BUILDS[0], 60, 2.0, seed=3))
    assert both[-1] == [0, 1]


def test_of_two_who_fit_alike_neither_is_taken() -> None:
    show = Show()
    show.play(seen(BUILDS[0], 60, 0.0, seed=1), seen(BUILDS[0], 60, 2.0, seed=2))
    show.wait(90)
    assert show.play(seen(BUILDS[0], 60, 0.0, seed=3))[-1] == [2]


def test_nobody_walks_at_forty_metres_a_second() -> None:
    show = Show()
    show.play(seen(BUILDS[0], 60, 0.0, seed=1))
    show.wait(60)
    assert show.play(seen(BUILDS[0], 60, 80.0, seed=2))[-1] == [1]


def test_a_restart_goes_on_where_it_was() -> None:
    """The state through JSON while somebody is away; it stays small."""
    show = Show()
    show.play(seen(BUILDS[0], 60, 0.0, seed=1), seen(BUILDS[1], 60, 2.0, seed=2))
    show.wait(90)
    text = json.dumps(show.tracker.state())
    assert len(text) < 2 * 1500
    again = Show(Tracker.restore(None, json.loads(text)))
    again.frame = show.frame
    assert again.play(seen(BUILDS[1], 40, 0.0, seed=3)) == show.play(
        seen(BUILDS[1], 40, 0.0, seed=3)
    )
    assert again.play(seen(BUILDS[1], 1, 0.0, seed=4))[-1] == [1]


def test_states_of_before_have_no_gallery() -> None:
    show = Show()
    show.play(seen(BUILDS[0], 3, 0.0, seed=1))
    state = show.tracker.state()
    del state["known"]
    assert (
        Tracker.restore(None, state).update([person(seen(BUILDS[0], 4, 0.0, 1)[3])], 10**8)[0].id
        == 0
    )
    state["known"] = [{"ids": 1}]
    with pytest.raises(BadResult, match="start the capture's tracking anew"):
        Tracker.restore(None, state)


def test_switched_off_nobody_is_recognized() -> None:
    show = Show(Tracker(TrackSettings(reidentify=False)))
    show.play(seen(BUILDS[0], 60, 0.0, seed=1))
    show.wait(90)
    assert show.play(seen(BUILDS[0], 60, 0.0, seed=2))[-1] == [1]
    assert show.tracker.state()["known"] == []


def test_the_running_mean_is_the_mean_and_outliers_are_cut() -> None:
    bodies = seen(BUILDS[0], 200, 0.0, seed=5)
    bodies[120, 9] += 3.0  # a wrist three metres away, once
    gallery = Gallery.empty()
    for body in bodies:
        gallery = gallery.after(np.array([4]), body[None], 0)
    from capture.reidentify import LONG_BONES
    from capture.watch import bone_lengths

    lengths = bone_lengths(np.delete(bodies, 120, axis=0))[:, LONG_BONES]
    # One departure of 3 sd among 200.
    assert gallery.mean[0] == pytest.approx(lengths.mean(axis=0), abs=3.5 * 0.02 / 200)
    spread = np.sqrt(gallery.square[0] / (gallery.count[0] - 1))
    assert spread == pytest.approx(lengths.std(axis=0), rel=0.06)


def test_the_gallery_does_not_grow() -> None:
    gallery, settings = Gallery.empty(), ReidentifySettings(min_frames=1)
    body = seen(BUILDS[0], 1, 0.0, seed=1)
    for identity in range(200):
        gallery = gallery.after(np.array([identity]), body, identity * 10**9)
        gallery = gallery.kept(np.array([identity]), identity * 10**9, settings)
    assert len(gallery.ids) == MAX_KNOWN + 1
    assert gallery.ids[0] == 199 - MAX_KNOWN
    late = gallery.kept(np.array([199]), 10**13, settings)
    assert late.ids.tolist() == [199]
    assert all(len(getattr(late, one.name)) == 1 for one in fields(Gallery))
