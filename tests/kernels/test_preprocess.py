import cv2
import numpy as np
import pytest

from kernels.compiled import compiled
from kernels.errors import BadOperand
from kernels.preprocess import Normalisation, preprocess, reference, taps_of, with_opencv

from .conftest import require

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Size of the picture and what it becomes, (width, height), in an input of 24 x 16.
SIZES = {
    "one pixel": ((1, 1), (1, 1)),
    "one pixel blown up": ((1, 1), (24, 16)),
    "as it is": ((24, 16), (24, 16)),
    "whole factor": ((48, 32), (24, 16)),
    "part of a pixel": ((27, 18), (24, 16)),
    "tall": ((11, 50), (4, 16)),
    "wide": ((70, 3), (24, 1)),
    "grown": ((10, 7), (24, 16)),
    "grown one way, shrunk the other": ((6, 40), (12, 16)),
}


def picture(size_px, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (size_px[1], size_px[0], 3), dtype=np.uint8)


@pytest.fixture(params=["opencv", "numba", "cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def normalised(request):
    """Every implementation of planes, by name or by where device code runs."""
    if request.param == "opencv":
        return with_opencv
    if request.param == "numba":
        if not compiled():
            pytest.skip("numba is not installed")
        return preprocess
    require(request.param)
    return on_device(request.param)


def on_device(device):
    import torch

    from kernels.preprocess_triton import preprocess_on_gpu, table_of

    def run(images, inner_px, outer_px, normalisation):
        flat = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
        table = table_of([(image.shape[1], image.shape[0]) for image in images], inner_px)
        out = preprocess_on_gpu(
            flat.to(device), table.to(device), outer_px, normalisation, dtype=torch.float32
        )
        assert out.is_contiguous(memory_format=torch.channels_last)
        return out.cpu().numpy()

    return run


@pytest.mark.parametrize(("size", "inner"), SIZES.values(), ids=SIZES)
def test_planes_as_defined(normalised, size, inner):
    """float32 to rounding: sums of under 1000 terms below 255. OpenCV rounds bytes in between,
    half a level of 1/255/0.22, and where one axis grows it does not average the other."""
    if normalised is with_opencv and inner == (12, 16):
        pytest.skip("OpenCV interpolates both axes if one of them grows")
    found = normalised([picture(size)], [inner], (24, 16), IMAGENET)
    wanted = reference([picture(size)], [inner], (24, 16), IMAGENET)
    assert found.shape == (1, 3, 16, 24)
    tolerance = 0.8 / 255 / 0.224 if normalised is with_opencv else 1e-5
    np.testing.assert_allclose(found, wanted, atol=tolerance)


@pytest.mark.parametrize(("size", "inner"), SIZES.values(), ids=SIZES)
def test_device_code_rounds_to_bytes_if_asked(device, size, inner):
    """The same bytes as the CPU's, but for sums that end in a half and round either way."""
    import torch

    from kernels.preprocess_triton import preprocess_on_gpu, table_of

    image, outer = picture(size), (24, 16)
    table = table_of([(image.shape[1], image.shape[0])], [inner]).to(device)
    flat, rules = torch.from_numpy(image.ravel()).to(device), Normalisation(std=(1 / 255,) * 3)
    out = preprocess_on_gpu(flat, table, outer, rules, dtype=torch.float32, whole_bytes=True).cpu()
    wanted = np.floor(reference([image], [inner], outer) + 0.5)[..., ::-1].transpose(0, 3, 1, 2)
    off = np.abs(out.numpy() - wanted)
    assert off.max() <= 1.001
    assert (off > 0.001).mean() < 0.02


@pytest.mark.parametrize(("size", "inner"), SIZES.values(), ids=SIZES)
@pytest.mark.skipif(not compiled(), reason="numba is not installed")
def test_bytes_as_defined(size, inner):
    """Rounded to the nearest, so off by half a level and float32's rounding of 255."""
    found = preprocess([picture(size)], [inner], (24, 16))
    assert found.dtype == np.uint8
    wanted = reference([picture(size)], [inner], (24, 16))
    np.testing.assert_allclose(found.astype(float), wanted, atol=0.5 + 1e-4)


@pytest.mark.skipif(not compiled(), reason="numba is not installed")
def test_more_rows_than_16_bits_can_sum():
    """700 white rows to two: 350 x 255 is over 65535."""
    white = np.full((700, 4, 3), 255, dtype=np.uint8)
    assert (preprocess([white], [(4, 2)], (4, 2)) == 255).all()


def test_pictures_of_different_sizes(normalised):
    sizes, inner = [(48, 30), (10, 7), (11, 50)], [(24, 15), (24, 16), (4, 16)]
    images = [picture(size, seed) for seed, size in enumerate(sizes)]
    found = normalised(images, inner, (24, 16), IMAGENET)
    assert found.shape == (3, 3, 16, 24)
    for index in range(3):
        alone = normalised(images[index : index + 1], inner[index : index + 1], (24, 16), IMAGENET)
        np.testing.assert_array_equal(found[index], alone[0])


def test_red_comes_first_and_black_surrounds(normalised):
    blue = np.zeros((2, 2, 3), dtype=np.uint8)
    blue[..., 0] = 255
    found = normalised([blue], [(1, 1)], (2, 1), Normalisation(std=(0.5, 0.5, 0.5)))
    np.testing.assert_allclose(found[0, :, 0, 0], [0, 0, 2], atol=1e-6)
    assert not found[0, :, 0, 1].any()


def test_a_pixel_and_a_half_by_hand():
    """Three pixels become two: each is one pixel and half of the middle one, over 1.5."""
    taps = taps_of(3, 2)
    assert taps.first.tolist() == [0, 1]
    assert taps.last.tolist() == [1, 2]
    np.testing.assert_allclose(taps.first_weight, [2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(taps.last_weight, [1 / 3, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(1, 1), (1920, 256), (1080, 144), (7, 50), (50, 50)])
def test_weights_sum_to_one(old, new):
    taps = taps_of(old, new)
    between = np.maximum(taps.last - taps.first - 1, 0) * taps.middle_weight
    np.testing.assert_allclose(taps.first_weight + between + taps.last_weight, 1, atol=1e-6)
    assert taps.first.min() >= 0
    assert taps.last.max() < old


def test_any_strides():
    whole = picture((40, 30))
    turned = whole[::-1, ::2]
    np.testing.assert_array_equal(
        preprocess([turned], [(16, 12)], (16, 12)),
        preprocess([np.ascontiguousarray(turned)], [(16, 12)], (16, 12)),
    )


def test_reduced_decode_shows_the_same_picture():
    """A quarter decoded and resized, against everything decoded and resized: the decoder averages
    blocks before it undoes the colour subsampling, which smooth pictures hardly notice."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(
        rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC
    )
    done, data = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    outer = (160, 96)
    whole = preprocess([cv2.imdecode(data, cv2.IMREAD_COLOR)], [(160, 90)], outer)
    reduced = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4)
    assert reduced.shape == (180, 320, 3)
    part = preprocess([np.asarray(reduced)], [(160, 90)], outer)
    assert np.abs(whole.astype(int) - part).mean() < 1


def test_what_does_not_belong_together():
    with pytest.raises(BadOperand, match="one for each"):
        preprocess([picture((4, 4))], [], (8, 8))
    with pytest.raises(BadOperand, match="height x width x 3"):
        preprocess([picture((4, 4)).astype(np.float32)], [(4, 4)], (8, 8))
    with pytest.raises(BadOperand, match="make it fit"):
        preprocess([picture((4, 4))], [(9, 4)], (8, 8))
