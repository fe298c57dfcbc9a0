"""A picture looked at as published: framed, mirrored, at several scales; people in its pixels.

The published code counts pixels from the corner of the first and leaves the half-pixel rule out
when it resizes. That is kept here, since it is part of the published accuracy; our own path, in
``models.predictor``, follows the rule.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..architectures import mmpose_ae, published_ae, published_single
from ..errors import BadImage, CheckpointMismatch
from ..hourglass import StackedHourglass
from ..predictor import check_image
from ..sighting import Sighting
from ..skeleton import COCO17, Skeleton
from .people import PublishedSettings, group_maps, like_mmpose, like_princeton

__all__ = ["PublishedPredictor", "decoder_of", "is_published"]

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_MULTIPLE = 64  # a quarter, then halved four times
_MOST_PIXELS = 2**24  # 64 times 512 x 512: a strip of 1 x 200 at 512 px on its shorter side


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture lies in the network's input."""

    input_from_image: F64  # (2, 3)
    size_px: tuple[int, int]  # (width, height) of the input


class PublishedPredictor:
    """Holds a published network and looks through it as its authors do."""

    def __init__(self, network: StackedHourglass, settings: PublishedSettings) -> None:
        """Take a network with tags.

        Raises:
            CheckpointMismatch: a network of another kind.
        """
        if not network.config.tags or network.config.joints != len(COCO17.joints):
            raise CheckpointMismatch(
                f"{network.config.name!r} finds the {network.config.joints} joints of one person; "
                "look through it with models.published.single"
            )
        self.name = network.config.name
        self.skeleton: Skeleton = COCO17
        self.input_side = settings.side
        self.settings = settings
        self._network = network.eval()

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: no picture, or so long that its shorter side cannot be made so large.
        """
        for index, image in enumerate(images):
            check_image(index, image)
        return [self._look(image) for image in images]

    def maps(self, image: U8) -> tuple[F32, F32, Frame]:
        """What the network says of a picture, mirror image and scales put together.

        Args:
            image: (H, W, 3) BGR.

        Returns:
            Heat (17, h, w), tags (17, h, w, L), and the frame they belong to.
        """
        settings = self.settings
        frames = [frame(image.shape[1], image.shape[0], settings, s) for s in settings.scales]
        heats, tags = [], []
        for scale, framed in zip(settings.scales, frames, strict=True):
            heat, its_tags = self._both_ways(image, framed)
            heats.append(heat)
            if scale == 1 or len(frames) == 1:
                tags += its_tags
        if settings.frame == "square":
            home, resized = frames[0], _by_pixels
            size = (heats[0].shape[3], heats[0].shape[2])
        else:
            base = settings.scales.index(1.0) if 1.0 in settings.scales else 0
            home, resized = frames[base], _by_corners
            size = home.size_px
        total = torch.stack([resized(heat, size) for heat in heats]).mean(0)[0]
        if settings.clip:
            total = total.clamp(max=1)
        kept = torch.stack([resized(tag, size)[0] for tag in tags], 3)
        return total.numpy(), kept.numpy(), home

    def _look(self, image: U8) -> list[Sighting]:
        heat, tags, home = self.maps(image)
        people = group_maps(heat, tags, self.settings)
        # From cells to input pixels, then back through the frame.
        scale = (home.size_px[0] / heat.shape[2], home.size_px[1] / heat.shape[1])
        return [
            Sighting(_to_image(one.joints_px * scale, home), one.scores, one.score, one.inferred)
            for one in people
        ]

    def _both_ways(self, image: U8, framed: Frame) -> tuple[Tensor, list[Tensor]]:
        """Heat (1, 17, h, w) averaged with the mirror image's, and the tags of both."""
        bgr = cv2.warpAffine(image, framed.input_from_image, framed.size_px)
        rgb = torch.from_numpy(np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1)))
        x = rgb[None].to(torch.float32)  # (1, 3, H, W)
        joints = len(COCO17.joints)
        with torch.no_grad():
            last = self._network(x).stacks[-1]
            if not self.settings.mirror:
                return last.heat, [last.tags[:, :joints]]
            mirrored = self._network(x.flip(3)).stacks[-1]
        back = list(COCO17.flip_order)
        heat = (last.heat + mirrored.heat.flip(3)[:, back]) / 2
        return heat, [last.tags, mirrored.tags.flip(3)[:, back]]


def is_published(network: StackedHourglass) -> bool:
    """Whether a network is one of the published ones, not ours."""
    builders = (published_ae, published_single, mmpose_ae)
    return network.config.name in {build().name for build in builders}


def decoder_of(network: StackedHourglass, *, multi_scale: bool = False) -> PublishedSettings:
    """The decoder that a network was published with."""
    if network.config.pixels == "imagenet":
        return like_mmpose(multi_scale=multi_scale)
    return like_princeton(multi_scale=multi_scale)


def frame(width: int, height: int, settings: PublishedSettings, scale: float) -> Frame:
    """Where a picture of a size lies in the input.

    Raises:
        BadImage: the input would be far too long.
    """
    if settings.frame == "square":
        side = int(scale * settings.side + 63) // 64 * 64
        return _centred(side / max(width, height), (width / 2, height / 2), (side, side))
    least = min(settings.scales)
    shorter = math.ceil(least * settings.side / _MULTIPLE) * _MULTIPLE
    longer = math.ceil(shorter * max(width, height) / min(width, height) / _MULTIPLE) * _MULTIPLE
    short, long = int(shorter * scale / least), int(longer * scale / least)
    if short * long > _MOST_PIXELS:
        raise BadImage(
            f"a picture of {width} x {height} px, {short} px on its shorter side, makes an input "
            f"of {short * long} px, at most {_MOST_PIXELS} are looked at; cut it into pieces"
        )
    size = (short, long) if width < height else (long, short)
    return _centred(short / min(width, height), (round(width / 2), round(height / 2)), size)


def _centred(scale: float, center: tuple[float, float], size: tuple[int, int]) -> Frame:
    """A frame that puts a point of the picture into the middle of the input."""
    shift = [size[axis] / 2 - scale * center[axis] for axis in (0, 1)]
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    return Frame(matrix, size)


def _to_image(points_input: F64, framed: Frame) -> F64:
    scale, shift = framed.input_from_image[0, 0], framed.input_from_image[:, 2]
    return np.asarray((points_input - shift) / scale, dtype=np.float64)


def _by_pixels(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, C, h, w) -> the size, as OpenCV resizes."""
    if (maps.shape[3], maps.shape[2]) == size:
        return maps
    resized = [cv2.resize(one, size) for one in maps[0].numpy()]
    return torch.from_numpy(np.stack(resized))[None]


def _by_corners(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, C, h, w) -> the size, corner cells on corner cells."""
    wanted = (size[1], size[0])
    return functional.interpolate(maps, size=wanted, mode="bilinear", align_corners=True)
