"""Pictures in, people in each of them out, on ONNX Runtime.

Imports no PyTorch: the network is the exported file, with peaks found inside its graph.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnxruntime import OrtValue

from kernels.preprocess import preprocess
from kernels.warmup import warm_up

from .candidates import Candidates
from .errors import BadImage
from .grouping import DecodeSettings, group
from .letterbox import INPUT_MULTIPLE, Letterbox, fit_letterbox, to_image
from .sighting import Sighting
from .skeleton import COCO17, Skeleton
from .weights import open_weights

__all__ = ["DEFAULT_PROVIDERS", "OnnxPredictor", "Predictor", "check_image", "to_candidates"]

logger = logging.getLogger(__name__)

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
_CELL_INPUT = 4.0  # input pixels per heatmap cell


class Predictor(Protocol):
    """Anything that finds people in pictures."""

    @property
    def name(self) -> str:
        """Of the network."""

    @property
    def sha256(self) -> str:
        """Of its weights."""

    @property
    def input_side(self) -> int:
        """What the longer side of a picture becomes, in pixels."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints it finds."""

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks and tags of each picture."""

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first."""


class OnnxPredictor:
    """Holds one ONNX Runtime session: state, so make one for each worker and keep it.

    One single-threaded session a worker was measured faster than one session with two threads
    (51 against 28 images a second under load).
    """

    def __init__(
        self,
        path: Path,
        *,
        settings: DecodeSettings | None = None,
        input_side: int | None = None,
        threads: int = 1,
        providers: Sequence[str] = DEFAULT_PROVIDERS,
    ) -> None:
        """Load weights.

        Args:
            path: an ONNX file of ours.
            settings: how joints become people; the defaults fit the packaged weights.
            input_side: px, a multiple of 32; None takes what the weights were made for.
            threads: of the session.
            providers: ONNX Runtime's, in order of preference.

        Raises:
            WeightsMissing: no such file.
            WeightsDamaged: not a file of ours.
        """
        info, self._session = open_weights(path, threads=threads, providers=providers)
        self._settings = settings or DecodeSettings()
        self.name = info.name
        self.sha256 = info.sha256
        self.input_side = input_side or info.input_side
        self.skeleton: Skeleton = COCO17
        assert self.input_side % INPUT_MULTIPLE == 0, f"input_side {self.input_side} is not 32 n"
        # Or the first request would wait for the compiler, ten seconds on a new machine.
        logger.debug("input and grouping ready after %.2f s", warm_up())

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks and tags of each picture; pictures whose inputs agree in size go as one batch.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: an image is not uint8 with three channels, or is empty.
        """
        for index, image in enumerate(images):
            check_image(index, image)
        boxes = [fit_letterbox((im.shape[1], im.shape[0]), self.input_side) for im in images]
        found: dict[int, Candidates] = {}
        for outer in dict.fromkeys(box.outer_px for box in boxes):
            chosen = [index for index, box in enumerate(boxes) if box.outer_px == outer]
            batch = preprocess(
                [images[i] for i in chosen], [boxes[i].inner_px for i in chosen], outer
            )
            outputs = self._run(batch)
            for row, index in enumerate(chosen):
                height, width = images[index].shape[:2]
                found[index] = to_candidates(
                    [np.asarray(output[row]) for output in outputs], boxes[index], (width, height)
                )
        return [found[index] for index in range(len(images))]

    def _run(self, batch: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """All outputs, bound where they are to lie: on a GPU one copy up and one down.

        On a CPU it changes nothing (78.4 ms with and without, 384 px).
        """
        on_gpu = "CUDAExecutionProvider" in self._session.get_providers()
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(
            "images", OrtValue.ortvalue_from_numpy(batch, "cuda" if on_gpu else "cpu")
        )
        for output in self._session.get_outputs():
            binding.bind_output(output.name, "cpu")
        self._session.run_with_iobinding(binding)
        return [np.asarray(value) for value in binding.copy_outputs_to_cpu()]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: an image is not uint8 with three channels, or is empty.
        """
        return [group(candidates, self._settings) for candidates in self.candidates(images)]


def check_image(index: int, image: U8) -> None:
    """Refuse what is not a picture.

    Raises:
        BadImage: not uint8 with three channels, or empty.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise BadImage(
            f"image {index} is {image.dtype} of shape {image.shape}; "
            "send height x width x 3 of uint8 (blue, green, red)"
        )


def to_candidates(outputs: list[F32], box: Letterbox, size_px: tuple[int, int]) -> Candidates:
    """What the network said of one picture, in pixels of the picture that was given.

    Args:
        outputs: peaks of the graph in the order of ``models.training.peaks.OUTPUT_NAMES``.
        box: how the picture was fitted into the input.
        size_px: (width, height) of the picture.
    """
    joints, scores, tags, centers, sizes, seeds, seed_scores, seed_joints = (
        output.astype(np.float64) for output in outputs
    )
    if not centers.size:  # a network without a centre field
        centers, sizes = np.full_like(joints, np.nan), np.full_like(scores, np.nan)
    scale = float(np.sqrt(box.scale[0] * box.scale[1]))
    return Candidates(
        joints_px=to_image(joints, box),
        # Peaks in the padding beyond the picture are not joints of anyone.
        scores=np.where(_inside(joints, box), scores, 0.0),
        tags=tags,
        centers_px=to_image(centers, box),
        sizes_px=sizes / scale,
        seeds_px=to_image(seeds, box),
        seed_scores=seed_scores,
        seed_joints_px=to_image(seed_joints, box),
        cell_px=_CELL_INPUT / scale,
        size_px=size_px,
    )


def _inside(joints_input: NDArray[np.float64], box: Letterbox) -> NDArray[np.bool_]:
    limits = np.asarray(box.inner_px, dtype=np.float64)
    inside: NDArray[np.bool_] = np.all((joints_input >= -0.5) & (joints_input < limits), axis=-1)
    return inside
