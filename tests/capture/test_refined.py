"""A take put right by the refiner: identities, gaps and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from capture.people import Frame  # noqa: E402
from capture.refined import refine_take  # noqa: E402
from models.refiner import open_refiner_weights  # noqa: E402
from models.refiner_tracks import width_of  # noqa: E402
from models.training.poses import Track  # noqa: E402
from models.training.refiner_data import DrawSettings  # noqa: E402
from models.training.refiner_export import export_refiner  # noqa: E402
from models.training.refiner_loop import TrainSettings, train  # noqa: E402
from models.training.refiner_network import RefinerConfig  # noqa: E402
from tests.capture.test_smooth import take  # noqa: E402
from tests.scenes import walkers  # noqa: E402


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A refiner that has learned nothing: it says what the classical smoother says."""
    folder: Path = tmp_path_factory.mktemp("refiner")
    config = RefinerConfig(width_of(None), None, width=32, layers=1, hidden=32)
    tracks = [Track("walk", "made", 0, walkers(1, 2.0, seed=1)[:, 0])]
    train(config, tracks, TrainSettings(steps=0, draw=DrawSettings(pool=1)), folder)
    export_refiner(folder / "refiner.ckpt", folder / "refiner.onnx")
    return open_refiner_weights(folder / "refiner.onnx")


def places(frames: Sequence[Frame], who: int) -> np.ndarray:
    return np.array(
        [person.positions for frame in frames for person in frame.people if person.id == who]
    )


def test_noise_goes_and_identities_stay(silent) -> None:
    truth = walkers(2, 2.0, seed=3)[:60]
    noisy = truth + np.random.default_rng(0).normal(0, 0.02, truth.shape)
    frames = take(noisy, 30.0, ids=(3, 8))
    out = refine_take(frames, 30.0, session=silent)
    assert [[p.id for p in frame.people] for frame in out] == [[3, 8]] * 60
    for index, who in enumerate((3, 8)):
        before = np.linalg.norm(noisy[:, index] - truth[:, index], axis=2).mean()
        after = np.linalg.norm(places(out, who) - truth[:, index], axis=2).mean()
        assert after < 0.75 * before


def test_gaps_stay_unless_they_are_to_be_filled(silent) -> None:
    truth = walkers(1, 2.0, seed=3)[:60]
    holed = truth.copy()
    holed[20:23, 0, 9] = np.nan  # three frames of a wrist
    holed[50:, 0, 10] = np.nan  # and an end without another side
    frames = take(holed, 30.0)
    kept = places(refine_take(frames, 30.0, session=silent), 3)
    assert (np.isnan(kept) == np.isnan(holed[:, 0])).all()
    out = refine_take(frames, 30.0, max_gap_s=0.1, session=silent)
    filled = places(out, 3)
    assert np.isfinite(filled[20:23, 9]).all()
    assert np.isnan(filled[50:, 10]).all()
    assert [frame.people[0].sources[9] for frame in out[19:24]] == [
        frames[19].people[0].sources[9],
        *["predicted"] * 3,
        frames[23].people[0].sources[9],
    ]


def test_nobody(silent) -> None:
    assert refine_take([], 30.0, session=silent) == []
