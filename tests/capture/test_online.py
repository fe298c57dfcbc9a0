"""Streaming estimates against what theory says of their bias, variance and rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import expon, norm

from capture.online import Running, Steps, following, mean_after, quantile_after, started
from capture.people import F64

STREAMS = 400  # side by side; an estimated standard deviation is good to 1 / sqrt(2 * 400) = 3.5 %


def run_mean(data: F64, steps: Steps | None = None) -> Running:
    running = started(data.shape[1:])
    for row in data:
        running = mean_after(running, row, steps)
    return running


def run_quantile(data: F64, share: float) -> Running:
    running = started(data.shape[1:])
    for row in data:
        running = quantile_after(running, row, share)
    return running


def test_three_steps_by_hand() -> None:
    """g = 1: 4, then 4 + (6 - 4) / 2 = 5, then 5 + (2 - 5) / 3 = 4; averages 4, 4.5, 13 / 3."""
    running = run_mean(np.array([4.0, 6.0, 2.0]), Steps(g=1.0))
    assert running.last == pytest.approx(4.0)
    assert running.average == pytest.approx(13 / 3)
    assert running.count == 3


def test_steps() -> None:
    assert Steps(a=2.0, n0=3.0, g=1.0).at(np.array([1.0, 5.0])) == pytest.approx([0.5, 0.25])
    with pytest.raises(AssertionError, match="above 1/2"):
        Steps(g=0.5)


def test_nothing_observed_changes_nothing() -> None:
    running = started((2,))
    for row in ([1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]):
        running = mean_after(running, np.array(row), Steps(g=1.0))
    assert running.last.tolist() == [2.0, 5.0]
    assert running.count.tolist() == [2.0, 1.0]


def test_averaged_mean_is_as_good_as_the_plain_mean() -> None:
    """Polyak: s^2 / n. The value itself has s^2 a_n / 2, six times as much after 1000."""
    data = np.random.default_rng(1).normal(5.0, 2.0, (1000, STREAMS))
    running = run_mean(data)
    sd = float(np.std(running.average))
    limit = 2.0 / np.sqrt(1000)
    # 3 sigma of the estimated sd, and 1 / sqrt(n) terms of the average's own transient: 5 %.
    assert 0.89 * limit < sd < 1.16 * limit
    assert abs(running.average.mean() - 5.0) < 3.3 * limit / np.sqrt(STREAMS)
    value = 2.0 * np.sqrt(1000**-0.7 / 2)
    assert np.std(running.last) == pytest.approx(value, rel=0.12)


def test_error_falls_with_the_root_of_the_count() -> None:
    data = np.random.default_rng(2).normal(0.0, 1.0, (4000, STREAMS))
    running, counts, rms = started((STREAMS,)), [250, 1000, 4000], []
    for number, row in enumerate(data, start=1):
        running = mean_after(running, row)
        if number in counts:
            rms.append(float(np.sqrt(np.mean(running.average**2))))
    slope = np.polyfit(np.log(counts), np.log(rms), 1)[0]
    # Each rms is good to 3.5 %; over a factor of 16 that is 0.035 * sqrt(2) / log(16) = 0.018.
    assert slope == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize(
    ("share", "many"),
    [(0.5, 2000), (0.9, 4000), (0.99, 20000)],
)
def test_quantiles_reach_the_variance_of_sorted_ones(share: float, many: int) -> None:
    """p (1 - p) / (n f(q)^2), what the sample quantile of everything has."""
    streams = 200
    data = np.random.default_rng(3).normal(10.0, 3.0, (many, streams))
    average = run_quantile(data, share).average
    q = norm.ppf(share)
    limit = 3.0 * np.sqrt(share * (1 - share) / many) / norm.pdf(q)
    off = average - (10.0 + 3.0 * q)
    assert 0.8 * limit < np.std(off) < 1.35 * limit  # sd good to 5 %; transients cost the rest
    assert abs(np.mean(off)) < limit  # the bias is below the noise of one stream


def test_latencies_of_a_long_tail() -> None:
    """Exponential waiting times: half are below log 2, one in ten above log 10."""
    data = np.random.default_rng(4).exponential(20.0, (5000, 50))
    for share in (0.5, 0.9):
        average = run_quantile(data, share).average
        covered = (data[2500:] < average).mean(axis=0)
        # sqrt(p (1 - p) / n) of the estimate and of the count, three times.
        assert covered.mean() == pytest.approx(share, abs=0.02)
        assert average.mean() == pytest.approx(expon.ppf(share, scale=20.0), rel=0.05)


def test_a_constant_step_follows_and_stays_as_noisy_as_said() -> None:
    """Variance s^2 c / (2 - c) at rest; a jump is followed to 1 - (1 - c)^n."""
    rng, step = np.random.default_rng(5), 0.1
    value = np.full(STREAMS, np.nan)
    for _ in range(200):
        value = following(value, rng.normal(0.0, 1.0, STREAMS), step)
    assert np.std(value) == pytest.approx(np.sqrt(step / (2 - step)), rel=0.12)
    jump = np.zeros(1)
    for _ in range(10):
        jump = following(jump, np.ones(1), step)
    assert jump[0] == pytest.approx(1 - 0.9**10)
    assert following(jump, np.array([np.nan]), step) == jump
