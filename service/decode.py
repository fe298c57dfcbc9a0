"""A posted picture: bytes in, BGR pixels out, at the smallest size that the network can use.

Size and kind are read from the header before anything is decoded, so a few bytes that claim a
billion pixels cost nothing. A JPEG is decoded at a half, a quarter or an eighth where the result
is still no smaller than the network's input: the decoder then skips most of its work and averages
blocks, which is also the better way to shrink.

EXIF orientation is applied, as every viewer, browser and `cv2.imread` does: sizes and pixels are
those of the picture as it is looked at. (Video frames and machine-vision cameras carry none.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.regions import Region
from models.letterbox import rescale

from .errors import BrokenImage, NotAnImage, TooManyPixels
from .picture_header import Header, is_cut_off, read_header

__all__ = ["Picture", "decode", "part_of"]

F64 = NDArray[np.float64]
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, perhaps smaller than it was posted, perhaps a part of it."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR
    size_px: tuple[int, int]  # (width, height) as posted, of the whole
    scale: float = 1.0  # pixels of `image` per posted pixel: 1, 1/2, 1/4 or 1/8
    corner_px: tuple[int, int] = (0, 0)  # posted pixel that the part begins with

    def to_posted(self, points_px: F64) -> F64:
        """Posted pixels of pixels in `image`, (..., 2) each."""
        # Blocks of whole pixels, so the scale is exact even where the last block is a part one.
        return rescale(points_px, (1 / self.scale, 1 / self.scale)) + self.corner_px


def decode(
    data: bytes, *, max_pixels: int, target_side: int | None = None, field: str | None = None
) -> Picture:
    """The picture in some bytes.

    Args:
        data: a JPEG, PNG, WebP, BMP or TIFF.
        max_pixels: the most it may have, by its header.
        target_side: what the network's longer input side is; None keeps every pixel.
        field: the form field it came in, for the message.

    Raises:
        NotAnImage: of no kind that is read here.
        TooManyPixels: over the limit.
        BrokenImage: cut off or damaged.
    """
    what = f"picture {field!r}" if field else "the picture"
    pointer = f"/{field}" if field else None
    header = read_header(data)
    if header is None:
        raise NotAnImage(
            f"{what}: {len(data)} bytes that are no JPEG, PNG, WebP, BMP or TIFF; "
            "post the encoded picture itself",
            field=pointer,
        )
    width, height = header.size_px
    if width * height > max_pixels:
        raise TooManyPixels(
            f"{what} has {width} x {height} = {width * height} pixels, the limit is {max_pixels}; "
            "post it smaller or raise limits.picture_pixels",
            field=pointer,
        )
    if width == 0 or height == 0 or is_cut_off(header.kind, data):
        raise BrokenImage(
            f"{what}: the {header.kind} is cut off after {len(data)} bytes; post the whole file",
            field=pointer,
        )
    reduction = _reduction(header, target_side)
    flags = _REDUCED.get(reduction, cv2.IMREAD_COLOR)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        raise BrokenImage(f"{what}: {error.err}; encode it again", field=pointer) from error
    size_px = _posted_size(decoded, header.size_px, reduction)
    if decoded is None or size_px is None:
        raise BrokenImage(
            f"{what}: the {header.kind} of {width} x {height} px does not decode; encode it again",
            field=pointer,
        )
    return Picture(np.asarray(decoded, dtype=np.uint8), size_px, 1 / reduction)


def part_of(picture: Picture, region: Region) -> Picture:
    """The part of a whole picture, widened to whole pixels of what was decoded."""
    height, width = picture.image.shape[:2]
    step = round(1 / picture.scale)
    x, y = region.x // step, region.y // step
    right = min(-(-(region.x + region.width) // step), width)
    bottom = min(-(-(region.y + region.height) // step), height)
    part = np.ascontiguousarray(picture.image[y:bottom, x:right])
    return Picture(part, picture.size_px, picture.scale, (x * step, y * step))


def _reduction(header: Header, target_side: int | None) -> int:
    """Posted pixels per decoded pixel."""
    if header.kind != "JPEG" or target_side is None:
        return 1
    longer = max(header.size_px)
    return next((step for step in (8, 4, 2) if longer // step >= target_side), 1)


def _posted_size(
    decoded: NDArray[np.generic] | None, size_px: tuple[int, int], reduction: int
) -> tuple[int, int] | None:
    """Width and height as looked at: the header's, turned if the decoder turned the picture."""
    if decoded is None:
        return None
    height, width = decoded.shape[:2]
    for posted in (size_px, size_px[::-1]):
        if (width, height) == (-(-posted[0] // reduction), -(-posted[1] // reduction)):
            return posted
    return None
