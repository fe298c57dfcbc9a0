import subprocess
import sys

import numpy as np
import pytest

from kernels.compiled import compiled
from kernels.errors import BadOperand
from kernels.peaks import PeakRules, find_peaks, reference

from .conftest import require


def blobs(places, *, side=(40, 24), sigma=2.0, views=1, joints=1, dims=1):
    """Maps with Gaussian blobs (x, y, height) on background noise, tags that name the cell."""
    rng = np.random.default_rng(0)
    height, width = side
    y, x = np.mgrid[:height, :width]
    heat = rng.uniform(0, 0.01, (views, joints, height, width))
    for px, py, top in places:
        blob = top * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
        heat = np.maximum(heat, blob)
    tags = np.arange(views * joints * dims * height * width).reshape(
        views, joints, dims, height, width
    )
    return heat.astype(np.float32), tags.astype(np.float32)


@pytest.fixture(params=["numpy", "numba", "cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def way(request):
    """Every implementation as a function of arrays; device code by where it runs."""
    if request.param == "numpy":
        return reference
    if request.param == "numba":
        if not compiled():
            pytest.skip("numba is not installed")
        return find_peaks
    require(request.param)
    return on_device(request.param)


def on_device(device):
    import torch

    from kernels.peaks import Peaks
    from kernels.peaks_triton import find_peaks_on_gpu

    def run(heat, tag_maps, rules):
        found = find_peaks_on_gpu(
            torch.from_numpy(heat).to(device), torch.from_numpy(tag_maps).to(device), rules
        )
        cells, scores, tags, places = (tensor.cpu().numpy() for tensor in found)
        real = scores > 0
        whole = np.stack([places % heat.shape[3], places // heat.shape[3]], axis=3)
        assert (np.abs(cells - whole)[real] <= 0.5).all()
        return Peaks(cells, scores, tags)

    return run


def test_one_blob_by_hand():
    """A Gaussian's logarithms lie on a parabola: its middle is found to rounding."""
    heat, tags = blobs([(10.3, 20.8, 0.9)])
    for way in (reference, find_peaks):
        peaks = way(heat, tags, PeakRules(count=3))
        # float32 logarithms of values to 1e-7 and a bend of 1/4 per cell: 1e-6 of a cell.
        np.testing.assert_allclose(peaks.cells[0, 0, 0], [10.3, 20.8], atol=1e-5)
        assert peaks.scores[0, 0].tolist() == [heat[0, 0, 21, 10], 0, 0]
        assert peaks.tags[0, 0, 0, 0] == 21 * 24 + 10
        assert not peaks.tags[0, 0, 1:].any()


def test_all_ways_agree(way):
    rng = np.random.default_rng(1)
    heat, tags = blobs(
        [(3, 4, 0.5), (20.2, 30.7, 0.8), (12, 12.4, 0.31), (0, 39, 0.7)], views=2, joints=3, dims=2
    )
    heat = heat * rng.uniform(0.8, 1.0, heat.shape).astype(np.float32)
    rules = PeakRules(count=6, floor=0.1)
    found, expected = way(heat, tags, rules), reference(heat, tags, rules)
    assert (expected.scores[..., 0] > 0).all()
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.tags, expected.tags)
    np.testing.assert_allclose(found.cells, expected.cells, atol=1e-5)


def test_more_peaks_than_are_kept(way):
    heat, tags = blobs([(x, y, 0.3 + 0.01 * x) for x in (4, 14, 20) for y in (6, 20, 33)])
    peaks = way(heat, tags, PeakRules(count=4))
    assert peaks.scores[0, 0].tolist() == sorted(peaks.scores[0, 0].tolist(), reverse=True)
    assert peaks.cells[0, 0, :3, 0] == pytest.approx([20, 20, 20], abs=1e-4)


def test_edges_and_corners_keep_whole_numbers(way):
    heat = np.zeros((1, 1, 4, 5), dtype=np.float32)
    heat[0, 0, 0, 0], heat[0, 0, 3, 4] = 0.9, 0.8
    peaks = way(heat, heat[:, :, None].copy(), PeakRules(count=2, window=3))
    assert peaks.cells[0, 0].tolist() == [[0, 0], [4, 3]]


def test_equal_neighbours_are_both_peaks(way):
    heat = np.zeros((1, 1, 3, 6), dtype=np.float32)
    heat[0, 0, 1, 2:4] = 0.5
    peaks = way(heat, heat[:, :, None].copy(), PeakRules(count=4, window=3))
    assert peaks.scores[0, 0].tolist() == [0.5, 0.5, 0, 0]
    # Each leans towards the other: the vertex lies between them.
    assert sorted(peaks.cells[0, 0, :2, 0].tolist()) == [2.5, 2.5]


def test_the_stronger_of_two_within_the_window_hides_the_other(way):
    heat = np.zeros((1, 1, 5, 9), dtype=np.float32)
    heat[0, 0, 2, 2], heat[0, 0, 2, 4] = 0.5, 0.6
    rules = PeakRules(count=2)
    assert way(heat, heat[:, :, None].copy(), rules).scores[0, 0, 1] == 0
    assert way(heat, heat[:, :, None].copy(), PeakRules(2, 3)).scores[0, 0, 1] == 0.5


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_not_a_number_hides_nothing(way):
    heat = np.full((1, 1, 5, 5), 0.0, dtype=np.float32)
    heat[0, 0, 2, 2], heat[0, 0, 1, 2] = 0.5, np.nan
    peaks = way(heat, heat[:, :, None].copy(), PeakRules(count=2))
    assert peaks.scores[0, 0].tolist() == [0.5, 0]


def test_one_cell_and_no_view(way):
    heat = np.full((1, 1, 1, 1), 0.4, dtype=np.float32)
    assert way(heat, heat[:, :, None].copy(), PeakRules(count=1)).scores.item() == heat.item()
    empty = np.zeros((0, 17, 8, 8), dtype=np.float32)
    assert way(empty, empty[:, :, None].copy(), PeakRules(count=2)).cells.shape == (0, 17, 2, 2)


def test_any_strides(way):
    heat, tags = blobs([(10.3, 20.8, 0.9), (15, 8, 0.4)], views=2, joints=2, dims=3)
    rules = PeakRules(count=3)
    turned = np.ascontiguousarray(heat.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
    last = np.ascontiguousarray(tags.transpose(0, 1, 3, 4, 2)).transpose(0, 1, 4, 2, 3)
    np.testing.assert_array_equal(way(turned, last, rules).tags, reference(heat, tags, rules).tags)


def test_what_does_not_belong_together():
    heat, tags = blobs([(4, 4, 0.5)])
    with pytest.raises(BadOperand, match="do not belong together"):
        find_peaks(heat, tags[:, :, 0])
    with pytest.raises(BadOperand, match="convert both to float32"):
        find_peaks(heat.astype(np.float64), tags)
    with pytest.raises(BadOperand, match="the window is odd"):
        find_peaks(heat, tags, PeakRules(window=4))


def test_serving_imports_no_torch():
    """Decode and input are on the serving path, which has no PyTorch."""
    code = (
        "import sys, numpy as np, kernels, kernels.grouping_fast, kernels.peaks\n"
        "heat = np.zeros((1, 1, 8, 8), np.float32)\n"
        "kernels.peaks.find_peaks(heat, heat[:, :, None])\n"
        "print([name for name in ('torch', 'triton') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
