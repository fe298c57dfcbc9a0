"""Where in each picture to look next: tracked people with a margin, at full detail.

In a picture of 1920 pixels a person is often 150 pixels tall, and a network that sees the whole
of it at 384 pixels sees 30. The tracks say where everybody will be; the network then gets only that
part, at the same cost. Somebody new shows in whole pictures only: those come at the start, every
so often, and when somebody tracked was not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.camera import Camera, frame_from_calibrated, project
from calibration.rig import Rig

from .people import F64, Person, Prediction

__all__ = ["Lookout", "Region", "RegionSettings", "region_of"]


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """How much around people, and how often everything."""

    margin: float = 0.2  # around everybody, of the tallest person's picture
    sigmas: float = 2.0  # of where a joint is expected, further out
    whole_every: int = 15  # frames; who enters is seen half a second later at 30 Hz
    min_side_px: int = 256  # of the longer side; smaller parts would only be blown up
    # Of the picture's longer side: a larger part gained nothing (Balancing: 35 mm became 39).
    most: float = 0.5


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture in frame pixels, edges included on the left and top."""

    x: int
    y: int
    width: int
    height: int


@dataclass(slots=True)
class Lookout:
    """Decides for each frame where to look (state: how long ago it saw everything)."""

    rig: Rig
    settings: RegionSettings = field(default_factory=RegionSettings)
    _since_whole: int | None = None  # None: never
    _lost: bool = False

    def regions(self, predicted: Sequence[Prediction]) -> Mapping[str, Region]:
        """The part to look at by camera; a camera that is not named looks at everything."""
        since = self._since_whole
        if since is None or since + 1 >= self.settings.whole_every or self._lost or not predicted:
            self._since_whole = 0
            return {}
        self._since_whole = since + 1
        found = {c.name: region_of(c, predicted, self.settings) for c in self.rig.cameras}
        return {name: region for name, region in found.items() if region is not None}

    def saw(self, predicted: Sequence[Prediction], people: Sequence[Person]) -> None:
        """Tells who was found of those expected; after a loss the next look is at everything.

        Only every other look: who has left must not keep the views wide until the track is
        forgotten.
        """
        missing = bool({one.id for one in predicted} - {person.id for person in people})
        self._lost = missing and self._since_whole != 0


def region_of(
    camera: Camera, predicted: Sequence[Prediction], settings: RegionSettings
) -> Region | None:
    """The part of the camera's picture that holds everybody expected; None for all of it.

    Args:
        camera: the camera.
        predicted: people in the world.
        settings: margins and limits.
    """
    width, height = camera.frame_size_px
    lows, highs, tallest = [], [], 0.0
    for person in predicted:
        pixels = frame_from_calibrated(camera, project(camera, person.positions))
        known = np.isfinite(pixels).all(axis=1)
        if not known.any():
            continue
        reach = _reach_px(camera, person, settings.sigmas)[known, None]
        low, high = (pixels[known] - reach).min(axis=0), (pixels[known] + reach).max(axis=0)
        if (high < 0).any() or (low > [width - 1, height - 1]).any():
            continue  # beside the picture
        lows.append(low)
        highs.append(high)
        tallest = max(tallest, float((high - low).max()))
    if not lows:
        return None
    margin = settings.margin * tallest
    low, high = np.min(lows, axis=0) - margin, np.max(highs, axis=0) + margin
    grow = max(0.0, settings.min_side_px - float((high - low).max())) / 2
    x, y = np.floor(np.clip(low - grow, 0, [width, height])).astype(int).tolist()
    right, bottom = np.ceil(np.clip(high + grow, 0, [width, height])).astype(int).tolist()
    if max(right - x, bottom - y) > settings.most * max(width, height) or right <= x or bottom <= y:
        return None
    return Region(x, y, right - x, bottom - y)


def _reach_px(camera: Camera, person: Prediction, sigmas: float) -> F64:
    """(J,) how far a joint may be from where it is expected, in frame pixels."""
    R, t = camera.cam_from_world[2, :3], camera.cam_from_world[2, 3]
    depth = np.maximum(person.positions @ R + t, 0.3)
    sigma = np.minimum(person.sigma_m, 0.3)  # a joint not seen for long says nothing
    return np.asarray(sigmas * sigma / depth * camera.K[0, 0] / camera.source.scale)
