"""Pictures in, people in each of them out, on PyTorch: the network on a GPU with our kernels.

The same steps on any device: letterbox and normalise in one pass, the network in channels-last
memory with its normalisations folded, peaks of all maps at once. On CUDA they run in half
precision from bytes to peaks without a look at the host, recorded as CUDA graphs
(:mod:`models.cuda_lanes`); on a CPU in float32, mainly to prove that both backends find the same
people. How far they may differ is stated in ``docs/kernels.md`` and tested.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from kernels.preprocess import Normalisation, affine, preprocess

from .candidates import Candidates
from .grouping import DecodeSettings, group
from .hourglass import IMAGENET_DEVIATION, IMAGENET_MEAN, StackedHourglass
from .letterbox import INPUT_MULTIPLE, Letterbox, fit_letterbox
from .predictor import check_image, to_candidates
from .sighting import Sighting
from .skeleton import COCO17, Skeleton
from .torch_weights import open_network
from .training.peaks import PeakSettings, gather

__all__ = ["BUCKETS", "Runner", "TorchPredictor", "runner_for", "take_pixels"]

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]

# Sizes of a batch; a batch between two is filled up. A frame set of four cameras fits one.
BUCKETS = (1, 2, 4, 8, 16)


class Runner(Protocol):
    """Takes batches of pictures of one input size, and gives what was found in each later."""

    def send(
        self, images: Sequence[U8], inner_px: Sequence[tuple[int, int]], outer_px: tuple[int, int]
    ) -> Callable[[], list[F32]]:
        """Start on a batch; the function returned waits for it.

        Args:
            images: (H, W, 3) uint8 BGR each, no more than the largest bucket.
            inner_px: (width, height) that each picture becomes.
            outer_px: (width, height) of the input.

        Returns:
            Gives the outputs in the order of ``models.training.peaks.OUTPUT_NAMES``, each with a
            row for each picture.
        """


class TorchPredictor:
    """Holds a network and its graphs: state, so make one for each worker and keep it."""

    def __init__(
        self,
        path: Path,
        *,
        settings: DecodeSettings | None = None,
        input_side: int | None = None,
        threads: int = 1,
        device: str | None = None,
        buckets: Sequence[int] = BUCKETS,
    ) -> None:
        """Load weights.

        Args:
            path: an ONNX file of ours, or a checkpoint (``quadglass train``, ``models import``).
            settings: how joints become people; the defaults fit the packaged weights.
            input_side: px, a multiple of 32; None takes what the weights were made for.
            threads: of PyTorch on a CPU, for the whole process.
            device: ``cuda`` or ``cpu``; None takes the GPU if there is one.
            buckets: sizes of a batch, rising.

        Raises:
            WeightsMissing: no such file.
            WeightsDamaged: not a file of ours.
            CheckpointMismatch: a checkpoint of another kind of network.
        """
        served = open_network(path)
        self.name, self.sha256 = served.name, served.sha256
        self.input_side = input_side or served.input_side
        self.skeleton: Skeleton = COCO17
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._settings = settings or DecodeSettings()
        self._most = buckets[-1]
        # A quarter, then halved so often: published networks want multiples of 64.
        self._multiple = max(INPUT_MULTIPLE, 4 * 2**served.network.config.depth)
        assert self.input_side % self._multiple == 0, f"side {self.input_side}, {self._multiple} n"
        if self.device == "cpu":
            torch.set_num_threads(threads)
        self._runner = runner_for(served.network, self.device, buckets, served.peaks)

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks and tags of each picture; pictures whose inputs agree in size go as one batch.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: an image is not uint8 with three channels, or is empty.
        """
        found = dict(self._looked(images))
        return [found[index] for index in range(len(images))]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first; grouped while the next batch is looked at.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: an image is not uint8 with three channels, or is empty.
        """
        found = {index: group(one, self._settings) for index, one in self._looked(images)}
        return [found[index] for index in range(len(images))]

    def _looked(self, images: Sequence[U8]) -> Iterator[tuple[int, Candidates]]:
        """Each picture's candidates, batch by batch; the next batch is sent before one is read."""
        for index, image in enumerate(images):
            check_image(index, image)
        boxes = [self._box(image) for image in images]
        sent: tuple[list[int], Callable[[], list[F32]]] | None = None
        for chosen in _batches(boxes, self._most):
            wait = self._runner.send(
                [images[i] for i in chosen],
                [boxes[i].inner_px for i in chosen],
                boxes[chosen[0]].outer_px,
            )
            if sent is not None:
                yield from _read(*sent, images, boxes)
            sent = (chosen, wait)
        if sent is not None:
            yield from _read(*sent, images, boxes)

    def _box(self, image: U8) -> Letterbox:
        box = fit_letterbox((image.shape[1], image.shape[0]), self.input_side)
        width, height = (-(-side // self._multiple) * self._multiple for side in box.outer_px)
        return replace(box, outer_px=(width, height))


def runner_for(
    network: StackedHourglass,
    device: str,
    buckets: Sequence[int] = BUCKETS,
    peaks: PeakSettings | None = None,
) -> Runner:
    """What runs a network on a device.

    Args:
        network: in eval mode; moved to the device and, on CUDA, to half precision.
        device: ``cuda`` or ``cpu``.
        buckets: sizes of a batch, rising.
        peaks: how many leave the graph, and to what fraction of a cell.
    """
    rules, peaks = take_pixels(network), peaks or PeakSettings()
    if device == "cpu":
        return _CpuRunner(network.to(memory_format=torch.channels_last), rules, peaks)  # type: ignore[call-overload]
    from .cuda_lanes import CudaRunner  # Triton is imported only where there is a GPU

    return CudaRunner(network, rules, peaks, buckets)


def take_pixels(network: StackedHourglass) -> Normalisation:
    """The network's own look at bytes, to be done while they are resized.

    The network is changed to leave the rest to it: it divides 0..255 by 255 and nothing more.
    A constant made on the way, as its own normalisation is, could not be recorded either.
    """
    imagenet = network.config.pixels == "imagenet"
    network.config = replace(network.config, pixels="unit")
    if not imagenet:
        return Normalisation(std=(1 / 255, 1 / 255, 1 / 255))
    red, green, blue = (std / 255 for std in IMAGENET_DEVIATION)
    return Normalisation(IMAGENET_MEAN, (red, green, blue))


class _CpuRunner:
    """The steps one after the other; what is sent is done when ``send`` returns."""

    def __init__(
        self, network: StackedHourglass, rules: Normalisation, settings: PeakSettings
    ) -> None:
        self._network, self._settings = network, settings
        gain, offset = affine(rules)
        self._gain, self._offset = torch.from_numpy(gain), torch.from_numpy(offset)  # (3,) RGB

    def send(
        self, images: Sequence[U8], inner_px: Sequence[tuple[int, int]], outer_px: tuple[int, int]
    ) -> Callable[[], list[F32]]:
        bgr = torch.from_numpy(preprocess(images, inner_px, outer_px))  # (B, H, W, 3) uint8
        with torch.inference_mode():
            x = (bgr.flip(3) * self._gain + self._offset).permute(0, 3, 1, 2)  # channels last
            outputs = [one.numpy() for one in gather(self._network(x), self._settings)]
        return lambda: outputs


def _batches(boxes: Sequence[Letterbox], most: int) -> Iterator[list[int]]:
    """Indices of pictures that share an input size, no more than ``most`` at a time."""
    for outer in dict.fromkeys(box.outer_px for box in boxes):
        alike = [index for index, box in enumerate(boxes) if box.outer_px == outer]
        for start in range(0, len(alike), most):
            yield alike[start : start + most]


def _read(
    chosen: list[int],
    wait: Callable[[], list[F32]],
    images: Sequence[U8],
    boxes: Sequence[Letterbox],
) -> Iterator[tuple[int, Candidates]]:
    outputs = wait()
    for row, index in enumerate(chosen):
        height, width = images[index].shape[:2]
        rows = [output[row] for output in outputs]
        rows[1] = np.clip(rows[1], 0, 1)  # a published network's heat is no probability
        yield index, to_candidates(rows, boxes[index], (width, height))
