"""What a capture knows goes with its next frame set, so any worker does as the files' way does.

The crowd is one of `scenes.py`, its detector's noise included; the pictures only say which moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml
from capture.frame import people_in_frame
from capture.people import Frame, Prediction
from capture.regions import Region
from capture.result import frame_to_json
from capture.track import Tracker
from service.config import BatchSettings, Settings
from service.decode import decode, part_of
from service.pipeline import PipelineSettings, decode_views, run_views
from service.task import Hint
from service.wire import task_from_fields, task_to_fields

from ..scenes import Noise, Seen, detect, ring_rig, walkers
from .dots import DotPredictor, draw, jpeg, standing
from .live import live
from .recall import Recall, marked
from .server import running
from .tasks import task
from .world import FRAME_NS, RIG, as_files, frame_set, person

FRAMES = 12
CROWD_RIG: Rig = ring_rig(4, radius_m=5.0, size_px=(640, 400), focal_px=460.0, dist=(0.0,) * 5)
NOISE = Noise(pixel=2.0, missed=0.25, outliers=0.05, missed_people=0.05, false_people=0.1)


def crowd(people: int, frames: int) -> tuple[NDArray[np.float64], list[Seen]]:
    truth = walkers(people, frames / 30.0, 30.0, area_m=1.4, seed=5)
    return truth, detect(CROWD_RIG, truth, NOISE, seed=6)


def by_files(seen: Sequence[Seen]) -> list[list[Any]]:
    """People of each frame as `quadglass capture` finds them."""
    predictor, settings, tracker = Recall(CROWD_RIG, seen), PipelineSettings(), Tracker()
    frames = []
    for moment in range(len(seen)):
        expected = tracker.predict(moment * FRAME_NS)
        views = decode_views(
            marked(CROWD_RIG, moment), CROWD_RIG, 160, settings, predicted=expected
        )
        found = run_views([views], predictor, settings)[0]
        frames.append(list(tracker.update(found.people, moment * FRAME_NS)))
    return frames


def test_the_service_gives_what_the_files_way_gives(settings: Settings) -> None:
    _, seen = crowd(4, FRAMES)
    with running(settings, predictor=Recall(CROWD_RIG, seen)) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=rig_to_yaml(CROWD_RIG).encode())
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        with live(client, "/v1/rigs/studio/stream?capture=take") as stream:
            results = []
            for moment in range(FRAMES):
                stream.send(marked(CROWD_RIG, moment), moment * FRAME_NS)
                results.append(stream.next("result")["result"])
    for result, people in zip(results, by_files(seen), strict=True):
        expected = frame_to_json(_frame(people))["people"]
        assert result["people"] == expected


def _frame(people: Any) -> Any:
    return Frame("", "", "", 0, 0, "coco17", {}, tuple(people))


def test_a_hint_travels_through_the_queue() -> None:
    positions = np.arange(51, dtype=np.float64).reshape(17, 3) / 7
    positions[3] = np.nan
    sigma = np.linspace(0.01, 0.2, 17)
    sigma[3] = np.nan
    hint = Hint((Prediction(4, positions, sigma),), {"cam0": Region(3, 5, 300, 200)})
    sent = task(rig=RIG)
    sent = type(sent)(sent.images, None, sent.posted_ns, sent.deadline_ns, hint=hint)
    got = task_from_fields(task_to_fields(sent, "")).hint
    assert got.regions == hint.regions
    (one,) = got.predicted
    assert one.id == 4
    np.testing.assert_allclose(one.positions, positions, atol=5e-5)
    np.testing.assert_allclose(one.sigma_m, sigma, atol=5e-5)


def test_a_part_of_a_reduced_picture_gives_pixels_of_the_posted_one() -> None:
    """Dots in an 8-fold larger picture, decoded at a half: their places come out in full pixels."""
    joints = standing(700, 500, 300)
    data = jpeg(draw([joints], (1600, 1200), radius_px=6.0, face_radius_px=6.0))
    whole = decode(data, max_pixels=10**8, target_side=800)
    assert whole.scale == 0.5
    part = part_of(whole, Region(551, 301, 301, 401))
    assert part.size_px == (1600, 1200)
    found = DotPredictor().predict([np.zeros((8, 8, 3), np.uint8)])  # its warm-up
    (found,) = DotPredictor().predict([part.image])
    assert len(found) == 1
    np.testing.assert_allclose(part.to_posted(found[0].joints_px), joints, atol=1.5)


class Sizes(DotPredictor):
    """Remembers how large the pictures were that it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> Any:
        self.seen += [image.shape[1::-1] for image in images]
        return super().candidates(images)


def test_a_capture_may_look_closer_where_people_are(settings: Settings) -> None:
    predictor = Sizes()
    far = person(-1.6, 1.4)
    chosen = settings.model_copy(update={"batch": BatchSettings(pictures=4)})
    rig = ring_rig(4, radius_m=9.0, size_px=(640, 400), focal_px=450.0, dist=(0.0,) * 5)
    images = frame_set([far], rig)
    with running(chosen, predictor=predictor) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=rig_to_yaml(rig).encode())
        made = client.post("/v1/captures", json={"rig": "studio", "name": "take", "regions": True})
        assert made.json()["regions"] is True
        results = [_post(client, images, n) for n in range(4)]
        shown = client.get("/v1/captures/take/frames/3/cam0.jpg").content
    whole = predictor.seen.count((640, 400))
    parts = [size for size in predictor.seen if size[0] < 330]
    assert len(parts) >= 8
    assert whole >= 4  # the first look is at everything
    places = [
        np.array([j["position"] or [np.nan] * 3 for j in one["people"][0]["joints"][5:]])
        for one in results
    ]
    assert {one["people"][0]["id"] for one in results} == {0}
    for place in places:
        off = np.linalg.norm(place - far[5:], axis=1)
        assert np.isfinite(off).sum() >= 10
        # A dot that another covers is off by its radius at most: 3 px, 450 px focal length, 9 m.
        assert np.nanmax(off) < 0.06
    assert cv2.imdecode(np.frombuffer(shown, np.uint8), 1).shape[:2] == (400, 640)


def _post(client: httpx.Client, images: dict[str, bytes], number: int) -> Any:
    response = client.post(
        "/v1/rigs/studio/frames",
        files=as_files(images),
        data={"timestamp_ns": str(number * FRAME_NS), "capture": "take"},
    )
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.slow
def test_hints_lose_fewer_people_and_see_sharper() -> None:
    """Five people before four cameras, a third of joints and a fifth of sightings missed."""
    rig = ring_rig(4)
    truth = walkers(5, 15.0, 30.0, seed=2)
    noise = Noise(pixel=3.0, missed=0.3, outliers=0.05, missed_people=0.2, false_people=0.1)
    seen = detect(rig, truth, noise, seed=9)

    def judged(hints: bool) -> tuple[int, float]:
        names: dict[int, int] = {}
        switches, errors = 0, []
        tracker = Tracker()
        for frame, views in enumerate(seen):
            expected = tracker.predict(frame * FRAME_NS) if hints else ()
            found = people_in_frame(rig, views.sightings, None, expected)
            for one in tracker.update(found.people, frame * FRAME_NS):
                off = np.nanmean(np.linalg.norm(truth[frame] - one.positions, axis=2), axis=1)
                who = int(np.nanargmin(off))
                switches += names.get(who, one.id) != one.id
                names[who] = one.id
                errors.append(off[who])
        return switches, float(np.mean(errors))

    (switches, error_m), (blind_switches, blind_error_m) = judged(True), judged(False)
    assert switches < blind_switches
    assert error_m < 0.95 * blind_error_m
