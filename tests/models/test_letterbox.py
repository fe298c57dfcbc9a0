import cv2
import numpy as np
import pytest

from kernels.preprocess import preprocess, with_opencv
from models.errors import BadImage
from models.letterbox import fit_letterbox, rescale, to_image

from .shared import shared


def test_half_pixel_rule_by_hand():
    # Twice as large: the middle of the first pixel, 0, becomes the middle of pixels 0 and 1.
    np.testing.assert_allclose(rescale(np.asarray([[0.0, 1.0]]), (2, 2)), [[0.5, 2.5]])


def test_portrait_frames_waste_nothing():
    box = fit_letterbox((1088, 1920), 384)
    assert box.inner_px == (218, 384)
    assert box.outer_px == (224, 384)


@pytest.mark.parametrize("size", [(1, 1), (20000, 1), (7, 20000), (640, 480), (384, 384)])
def test_points_come_back(size):
    box = fit_letterbox(size, 384)
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (20, 2)) * size
    back = to_image(rescale(points, box.scale), box)
    # Three roundings of float64 at 20,000 px.
    np.testing.assert_allclose(back, points, atol=20000 * 4 * np.finfo(float).eps)
    assert max(box.outer_px) == 384
    assert all(side % 32 == 0 for side in box.outer_px)


def test_a_dot_lands_where_the_rule_says():
    image = np.zeros((240, 320, 3), dtype=np.uint8)
    image[100:104, 200:204] = 255  # middle (201.5, 101.5)
    box = fit_letterbox((320, 240), 160)
    seen = preprocess([image], [box.inner_px], box.outer_px)[0, :, :, 0].astype(float)
    y, x = np.mgrid[: seen.shape[0], : seen.shape[1]]
    middle = np.asarray([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
    # 4 px at half size are 2 whole px: INTER_AREA keeps their middle exactly.
    np.testing.assert_allclose(middle, rescale(np.asarray([201.5, 101.5]), (0.5, 0.5)), atol=1e-9)


def test_the_input_is_what_opencv_would_make_of_a_photo():
    # Both are within half a level of the area average, so within one of each other.
    image = cv2.imread(str(shared("train/pennfudan/images/FudanPed00001.jpg")))
    assert image is not None
    box = fit_letterbox((image.shape[1], image.shape[0]), 384)
    ours = preprocess([image], [box.inner_px], box.outer_px)
    theirs = with_opencv([image], [box.inner_px], box.outer_px)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_nothing_is_padded_when_it_fits():
    image = np.full((384, 288, 3), 9, dtype=np.uint8)
    box = fit_letterbox((288, 384), 384)
    np.testing.assert_array_equal(preprocess([image], [box.inner_px], box.outer_px)[0], image)


def test_no_pixels_is_refused():
    with pytest.raises(BadImage, match="no pixels"):
        fit_letterbox((0, 4), 384)
