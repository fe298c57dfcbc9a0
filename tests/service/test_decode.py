from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.decode import Picture, decode
from service.errors import BrokenImage, NotAnImage, TooManyPixels
from service.picture_header import read_header

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".bmp": "BMP", ".tiff": "TIFF"}
MAX = 50_000_000


def encoded(image: NDArray[np.uint8], suffix: str) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def disc(size_px: tuple[int, int], center: tuple[float, float], radius: float) -> NDArray[np.uint8]:
    y, x = np.mgrid[: size_px[1], : size_px[0]]
    inside = (x - center[0]) ** 2 + (y - center[1]) ** 2 <= radius**2
    return np.repeat((inside * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    weight = image[:, :, 0].astype(np.float64)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def png_header(width: int, height: int) -> bytes:
    """A PNG of 60 bytes that claims any size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + chunk + end


@pytest.mark.parametrize(("suffix", "kind"), FORMATS.items())
def test_kind_and_size_are_in_the_header(suffix: str, kind: str) -> None:
    header = read_header(encoded(disc((101, 67), (50, 30), 20), suffix))
    assert header is not None
    assert (header.kind, header.size_px) == (kind, (101, 67))


@pytest.mark.parametrize("quality", [80, 101])
def test_webp_sizes_of_both_codings(quality: int) -> None:
    image = disc((333, 200), (50, 30), 20)
    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    header = read_header(data)
    assert header is not None
    assert header.size_px == (333, 200)


def test_progressive_jpegs_and_grey_ones_have_headers() -> None:
    grey = cv2.imencode(".jpg", np.zeros((31, 47), np.uint8))[1].tobytes()
    wave = cv2.imencode(".jpg", np.zeros((31, 47, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[
        1
    ].tobytes()
    for data in (grey, wave):
        assert decode(data, max_pixels=MAX).image.shape == (31, 47, 3)


@pytest.mark.parametrize("suffix", FORMATS)
def test_pixels_come_out_as_bgr_at_full_size(suffix: str) -> None:
    image = np.full((64, 48, 3), (200, 30, 90), np.uint8)
    picture = decode(encoded(image, suffix), max_pixels=MAX)
    assert (picture.size_px, picture.scale) == ((48, 64), 1.0)
    assert np.abs(picture.image.astype(int) - image).max() <= 4  # what JPEG and WebP lose


@pytest.mark.parametrize(
    ("side", "scale"), [(None, 1.0), (1920, 1.0), (961, 1.0), (960, 0.5), (480, 0.25), (100, 0.125)]
)
def test_a_jpeg_is_decoded_no_smaller_than_the_network_wants(
    side: int | None, scale: float
) -> None:
    data = encoded(disc((1920, 1080), (500, 400), 200), ".jpg")
    picture = decode(data, max_pixels=MAX, target_side=side)
    assert picture.scale == scale
    assert picture.size_px == (1920, 1080)
    assert picture.image.shape[:2] == (1080 * scale, 1920 * scale)


@pytest.mark.parametrize("size_px", [(640, 480), (643, 485)])
@pytest.mark.parametrize("side", [320, 160, 80])
def test_points_of_a_reduced_picture_lie_where_they_were_posted(
    size_px: tuple[int, int], side: int
) -> None:
    """A whole scale s averages blocks of s pixels whose centre is (x + 0.5) s - 0.5.

    A disc of 2,800 pixels with 8-bit edges has a centroid good to a hundredth of a pixel; without
    the half pixel the error would be (s - 1) / 2, at least 0.5.
    """
    center = (301.3, 222.7)
    data = cv2.imencode(".jpg", disc(size_px, center, 30), [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
    picture = decode(data.tobytes(), max_pixels=MAX, target_side=side)
    assert picture.scale < 1
    found = picture.to_posted(centroid(picture.image))
    assert found == pytest.approx(center, abs=0.1)


def test_by_hand_the_middle_of_a_block_of_two() -> None:
    picture = Picture(np.zeros((1, 1, 3), np.uint8), (2, 2), 0.5)
    assert picture.to_posted(np.array([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]


def test_exif_orientation_is_applied_as_viewers_do() -> None:
    """A portrait phone photo is stored lying; 6 says: turn it right by a quarter."""
    lying = np.zeros((40, 80, 3), np.uint8)
    lying[:, :20] = 255  # the left of what is stored is the top of what is seen
    data = encoded(lying, ".jpg")
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06"
    exif += b"\x00\x00\x00\x00\x00\x00"
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    for side, scale in ((None, 1.0), (40, 0.5)):
        picture = decode(turned, max_pixels=MAX, target_side=side)
        assert (picture.size_px, picture.scale) == ((40, 80), scale)
        assert picture.image[: int(18 * scale)].min() > 200
        assert picture.image[int(22 * scale) :].max() < 55


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff", b"GIF89a" + bytes(40), b"BM"])
def test_bytes_that_are_no_picture(data: bytes) -> None:
    with pytest.raises(NotAnImage, match=f"{len(data)} bytes that are no JPEG"):
        decode(data, max_pixels=MAX, field="cam0")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_off_picture_is_refused(suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = encoded(noise, suffix)
    with pytest.raises((BrokenImage, NotAnImage)) as caught:
        decode(data[: int(len(data) * share)], max_pixels=MAX, field="cam0")
    assert caught.value.field == "/cam0"


def test_a_jpeg_cut_off_behind_its_thumbnail_is_refused() -> None:
    """The end mark of a thumbnail inside EXIF is not the end of the picture."""
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data, thumbnail = encoded(noise, ".jpg"), encoded(noise[:16, :16], ".jpg")
    exif = b"Exif\x00\x00" + thumbnail
    inside = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert decode(inside, max_pixels=MAX).size_px == (160, 120)
    with pytest.raises(BrokenImage, match="cut off"):
        decode(inside[: len(inside) // 2], max_pixels=MAX)


def test_a_header_that_claims_a_bomb_is_refused_before_decoding() -> None:
    data = png_header(50_000, 50_000)
    assert len(data) < 100
    with pytest.raises(TooManyPixels, match="50000 x 50000 = 2500000000 pixels"):
        decode(data, max_pixels=MAX, field="cam0")


def test_a_damaged_picture_is_refused() -> None:
    data = bytearray(encoded(disc((64, 64), (30, 30), 20), ".png"))
    data[60:80] = bytes(20)
    with pytest.raises(BrokenImage, match="does not decode"):
        decode(bytes(data), max_pixels=MAX)


def test_no_bytes_make_the_header_reader_fail() -> None:
    """Every prefix and many damages of every kind: an answer or None, never an exception."""
    rng = np.random.default_rng(1)
    for suffix in FORMATS:
        whole = encoded(disc((40, 30), (20, 15), 9), suffix)
        for length in range(min(len(whole), 300)):
            read_header(whole[:length])
        for _ in range(300):
            damaged = bytearray(whole)
            for place in rng.integers(8, len(whole), 4):
                damaged[place] = rng.integers(256)
            read_header(bytes(damaged))
