import numpy as np
import pytest
import torch

from models.training.peaks import dark, find_peaks, quarter, refine

torch.set_num_threads(1)  # two threads on two busy cores wait for each other


def blob(x, y, sigma=1.5, height=16, width=20):
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64),
        torch.arange(width, dtype=torch.float64),
        indexing="ij",
    )
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))[None, None]


@pytest.mark.parametrize(("x", "y"), [(7.0, 5.0), (7.3, 5.4), (12.75, 8.1), (9.49, 3.51)])
def test_a_gaussian_is_found_exactly(x, y):
    heat = blob(x, y)
    scores, index = find_peaks(heat, 1, 5)
    place = refine(heat, index)[0, 0, 0]
    # The logarithm of a Gaussian is a parabola, so only float64 rounding is left.
    np.testing.assert_allclose(place, (x, y), atol=1e-9)
    assert scores[0, 0, 0] == heat.max()


def test_peaks_are_those_a_plain_loop_finds():
    torch.manual_seed(0)
    heat = torch.rand(1, 2, 11, 13)
    scores, index = find_peaks(heat, 30, 3)
    for channel in range(2):
        values = heat[0, channel].numpy()
        expected = sorted(
            (
                values[y, x]
                for y in range(11)
                for x in range(13)
                if values[y, x] == values[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max()
            ),
            reverse=True,
        )
        found = scores[0, channel][scores[0, channel] > 0].numpy()
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found, values.ravel()[index[0, channel, : len(found)]])


def test_on_the_border_and_on_a_plateau():
    heat = torch.zeros(1, 1, 6, 8)
    heat[0, 0, 0, 7] = 0.9  # a corner: no neighbours to bend towards
    heat[0, 0, 3, 3] = heat[0, 0, 3, 4] = 0.5  # a tie: both are peaks
    scores, index = find_peaks(heat, 3, 5)
    place = refine(heat, index)[0, 0]
    np.testing.assert_allclose(place[0], (7, 0))
    assert scores[0, 0].tolist() == pytest.approx([0.9, 0.5, 0.5])
    np.testing.assert_allclose(place[1:].mean(0), (3.5, 3), atol=1e-6)


def test_an_empty_map_has_no_peak():
    scores, index = find_peaks(torch.zeros(1, 1, 8, 8), 30, 5)
    assert scores.max() == 0
    assert refine(torch.zeros(1, 1, 8, 8), index).isfinite().all()


@pytest.mark.parametrize(("offset", "within"), [(refine, 1e-4), (dark, 2e-2), (quarter, 0.26)])
def test_every_offset_comes_near_a_blob(offset, within):
    heat = blob(7.3, 5.2)
    _, index = find_peaks(heat, 1, 5)
    assert (offset(heat, index)[0, 0, 0] - torch.tensor([7.3, 5.2])).abs().max() < within


def test_a_peak_on_the_border_stays_on_it():
    heat = torch.zeros(1, 1, 8, 8)
    heat[0, 0, 0, 3] = 0.9
    _, index = find_peaks(heat, 1, 5)
    for offset in (refine, dark, quarter):
        assert offset(heat, index)[0, 0, 0].tolist() == [3, 0]
