"""Other ways to the same answer, measured beside our file: a network not exported, MoveNet."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from kernels.preprocess import preprocess

from ..candidates import Candidates
from ..grouping import DecodeSettings, group
from ..hourglass import StackedHourglass
from ..letterbox import Letterbox, fit_letterbox, to_image
from ..predictor import to_candidates
from ..sighting import Sighting
from ..skeleton import COCO17, Skeleton
from .frozen import cpu_session
from .peaks import PeakSettings, gather

__all__ = ["MultiPose", "TorchPredictor"]

U8: TypeAlias = NDArray[np.uint8]

# MultiPose always answers with six people; below this its own demo draws none.
_LEAST_SCORE = 0.05
_PEOPLE_COLUMNS = 51  # 17 x (y, x, score), then the box, then the person's score


class TorchPredictor:
    """Holds a network that is still in training and looks through it as serving would."""

    def __init__(
        self,
        network: StackedHourglass,
        input_side: int,
        peaks: PeakSettings | None = None,
        settings: DecodeSettings | None = None,
    ) -> None:
        self.name, self.sha256 = network.config.name, ""
        self.skeleton: Skeleton = COCO17
        self.input_side = input_side
        self._network, self._peaks = network, peaks or PeakSettings()
        self._settings = settings or DecodeSettings()

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks and tags of each picture."""
        return [self._look(image) for image in images]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first."""
        return [group(found, self._settings) for found in self.candidates(images)]

    def _look(self, image: U8) -> Candidates:
        height, width = image.shape[:2]
        box = fit_letterbox((width, height), self.input_side)
        rgb = _fitted(image, box)[:, :, ::-1].transpose(2, 0, 1)
        with torch.no_grad():
            maps = self._network(torch.from_numpy(rgb.astype(np.float32))[None])
            outputs = [output[0].numpy() for output in gather(maps, self._peaks)]
        return to_candidates(outputs, box, (width, height))


class MultiPose:
    """Holds a session on MoveNet MultiPose, the peer: at most six people, its own grouping."""

    def __init__(self, path: Path, input_side: int) -> None:
        self.input_side = input_side
        self._session = cpu_session(str(path), threads=1)

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first."""
        return [self._look(image) for image in images]

    def _look(self, image: U8) -> list[Sighting]:
        box = fit_letterbox((image.shape[1], image.shape[0]), self.input_side)
        rgb = np.ascontiguousarray(_fitted(image, box)[None, :, :, ::-1])
        rows = np.asarray(self._session.run(None, {"input:0": rgb.astype(np.int32)})[0])[0]
        people = []
        for row in rows[rows[:, -1] >= _LEAST_SCORE]:
            points = row[:_PEOPLE_COLUMNS].reshape(len(COCO17.joints), 3).astype(np.float64)
            # Its answers are shares of the whole input, counted from its upper left corner.
            joints = points[:, 1::-1] * np.asarray(box.outer_px) - 0.5
            nothing = np.zeros(len(points), dtype=bool)
            people.append(Sighting(to_image(joints, box), points[:, 2], float(row[-1]), nothing))
        return people


def _fitted(image: U8, box: Letterbox) -> U8:
    """(outer height, outer width, 3) the picture inside a network's input, as serving does it."""
    return np.asarray(preprocess([image], [box.inner_px], box.outer_px)[0], dtype=np.uint8)
