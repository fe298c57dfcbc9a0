"""The refiner: what its tokens hold, that packing changes nothing, and that both runtimes agree."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from models.errors import WeightsDamaged, WeightsMissing
from models.kalman_smoother import SmootherSettings, smooth
from models.refiner import (
    OFFLINE,
    ONLINE,
    _windows,
    open_refiner_weights,
    refine,
)
from models.refiner_tracks import LAG, RawTrack, batch_of, features, moved_by, width_of

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from benchmarks.motion_packing import counted, padded, tokens_of  # noqa: E402
from models.training.poses import Track  # noqa: E402
from models.training.refiner_data import DrawSettings, pack  # noqa: E402
from models.training.refiner_export import export_refiner  # noqa: E402
from models.training.refiner_loop import (  # noqa: E402
    TrainSettings,
    misfit_mm,
    open_refiner,
    smoother_of,
    train,
)
from models.training.refiner_network import Refiner, RefinerConfig  # noqa: E402
from models.training.spoiled import SpoilSettings, spoil  # noqa: E402
from tests.scenes import walkers  # noqa: E402

SETTINGS = SmootherSettings()


def walk(frames=60, person=0):
    return walkers(person + 1, frames / 30, seed=1)[:, person]


def measured(frames=60, seed=0, **changes):
    rng = np.random.default_rng(seed)
    return spoil(walk(frames), 30.0, replace(SpoilSettings(), **changes), rng)


def lively(lag=None, **changes):
    torch.manual_seed(0)
    config = replace(RefinerConfig(width_of(lag), lag, width=32, layers=2, hidden=48), **changes)
    network = Refiner(config).eval()
    torch.nn.init.normal_(network.leave.weight, 0, 0.3)
    return network


def test_smoother_by_hand():
    """At rest and without noise of motion the estimate is the mean of the measurements."""
    still = np.array([1.0, 3.0, 2.0, 2.0])[None, :, None, None] * np.ones((1, 4, 1, 3))
    settings = SmootherSettings(acceleration=1e-6, gate=1e6)
    found = smooth(still, np.ones((1, 4, 1)), 1e6, settings)  # in 1 us nothing moves
    # The first measurement is taken whole and then weighed by the prior's sigma of 1 m as well.
    assert found.positions[0, :, 0, 0] == pytest.approx([9 / 5] * 4, abs=1e-6)
    assert found.sigma_m[0, -1, 0] == pytest.approx(5**-0.5, rel=1e-3)


def test_lag_sees_no_further_than_it_says():
    """What is measured later than frame i does not move the estimate that comes with frame i."""
    track = measured(40)
    cut = RawTrack(*(np.asarray(part)[:30] for part in list_of(track)), 30.0)
    whole, part = batch_of([track], ONLINE), batch_of([cut], ONLINE)
    assert whole.base.positions[:, :30] == pytest.approx(part.base.positions, abs=1e-12)
    tokens, turn = features(whole)
    earlier, turned = features(part)
    assert tokens[:, :30] == pytest.approx(earlier, abs=1e-5)
    assert turn[:, :30] == pytest.approx(turned, abs=1e-12)


def list_of(track):
    return (
        track.positions,
        track.sigma_mm,
        track.scores,
        track.views,
        track.reprojection_px,
    )


def test_lag_zero_is_the_filter_and_more_is_better():
    track, truth = measured(90, noise_mm=(20.0, 20.0)), walk(90)
    errors = []
    for lag in (0, 3, 8):
        found = batch_of([track], replace(ONLINE, lag=lag)).base.positions[0]
        errors.append(np.linalg.norm(found[lag:] - truth[: 90 - lag], axis=2).mean())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("settings", [OFFLINE, ONLINE], ids=["offline", "online"])
def test_tokens_are_of_the_body_alone(settings):
    """Turned about the vertical and moved along the floor, a track gives the same tokens."""
    track = measured()
    angle = 0.7
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    moved = replace(track, positions=track.positions @ turn.T + [3.0, -2.0, 0.0])
    tokens, _ = features(batch_of([track], settings))
    others, _ = features(batch_of([moved], settings))
    assert tokens.shape[2] == width_of(settings.lag)
    # The speed before the first frame is unknown, and 1.5 m/s along any axis: no turn changes it.
    assert others == pytest.approx(tokens, abs=1e-4)
    answer = np.random.default_rng(0).normal(size=(1, 60, 51)).astype(np.float32)
    here = moved_by(*batch_and(track, settings, answer))
    there = moved_by(*batch_and(moved, settings, answer))
    assert there == pytest.approx(here @ turn.T + [3.0, -2.0, 0.0], abs=1e-6)


def batch_and(track, settings, answer):
    batch = batch_of([track], settings)
    return batch, answer, features(batch)[1]


def test_true_answer_gives_the_true_place():
    """What training asks for, put back by serving, is the truth."""
    window = walk(50)
    rng = np.random.default_rng(3)
    (lesson,) = pack([window], OFFLINE, DrawSettings(), rng)
    batch = batch_of([spoil(window, 30.0, SpoilSettings(), np.random.default_rng(3))], OFFLINE)
    answer = (lesson.away_m / lesson.unit_m).flatten(1)
    assert float(misfit_mm(answer, lesson).max()) <= 0.11  # its root keeps 0.1 mm from zero
    _, turn = features(batch)
    back = moved_by(batch, answer[None].numpy(), turn)
    assert back[0] == pytest.approx(window, abs=1e-5)


@pytest.mark.parametrize("lag", [None, LAG], ids=["whole", "causal"])
def test_packed_is_padded_and_computes_no_padding(lag):
    network = lively(lag)
    lengths = [5, 31, 1, 17]
    tokens = tokens_of(lengths, network.config.inputs)
    real = torch.arange(31) < torch.tensor(lengths)[:, None]
    wide = torch.randn(4, 31, network.config.inputs)  # what lies in the empty places is nobody's
    wide[real] = tokens.rows
    with torch.no_grad():
        packed, apart = network(tokens), padded(network, wide, real)[real]
    assert float((packed - apart).abs().max()) <= 1e-5 * max(1.0, float(packed.abs().max()))
    assert counted(network, lambda: network(tokens)) == sum(lengths)


def test_training_batches_hold_real_frames_only():
    windows = [walk(n) for n in (24, 70, 40, 33, 50)]
    made = list(pack(windows, OFFLINE, DrawSettings(room=100), np.random.default_rng(0)))
    assert sum(len(lesson.tokens.rows) for lesson in made) == 24 + 70 + 40 + 33 + 50
    assert all(len(lesson.tokens.rows) <= 100 for lesson in made)
    assert [int(lesson.tokens.offsets[-1]) for lesson in made] == [
        len(lesson.tokens.rows) for lesson in made
    ]


def test_causal_network_does_not_look_ahead():
    network = lively(LAG)
    tokens = tokens_of([40], network.config.inputs)
    changed = tokens.rows.clone()
    changed[25:] += 1
    with torch.no_grad():
        before, after = network(tokens), network(replace(tokens, rows=changed))
    assert torch.equal(before[:25], after[:25])
    assert not torch.equal(before[25:], after[25:])


def test_checkpointing_changes_no_gradient():
    plain, again = lively(), lively(checkpointing=True)
    tokens = tokens_of([9, 20], plain.config.inputs)
    for network in (plain, again):
        network(tokens).square().sum().backward()
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A briefly trained refiner, and its file."""
    folder = tmp_path_factory.mktemp("refiner")
    tracks = [Track("walk", "made", 0, walk(120))]
    config = RefinerConfig(width_of(None), None, width=32, layers=1, hidden=32)
    settings = TrainSettings(
        minutes=10, steps=4, draw=DrawSettings(frames=(12, 30), pool=6, room=128)
    )
    train(config, tracks, settings, folder)
    export_refiner(folder / "refiner.ckpt", folder / "refiner.onnx")
    return folder


def test_training_goes_on_where_it_was(exported, tmp_path):
    """The checkpoint knows its steps; a run that is done does nothing more."""
    before = open_refiner(exported / "refiner.ckpt").state_dict()
    assert all(torch.isfinite(weight).all() for weight in before.values())
    stored = torch.load(exported / "refiner.ckpt", weights_only=True)
    assert stored["step"] == 4


def test_serving_agrees_with_training(exported):
    network, session = (
        open_refiner(exported / "refiner.ckpt"),
        open_refiner_weights(exported / "refiner.onnx"),
    )
    tracks = [measured(50, seed=1), measured(20, seed=2)]
    found = refine(tracks, session)
    for track, one in zip(tracks, found, strict=True):
        batch = batch_of([track], smoother_of(None))
        tokens, turn = features(batch)
        length = tokens.shape[1]
        packed = replace(tokens_of([length], tokens.shape[2]), rows=torch.from_numpy(tokens[0]))
        with torch.no_grad():
            answer = network(packed).numpy()[None]
        assert one.positions == pytest.approx(moved_by(batch, answer, turn)[0], abs=2e-4)
        assert np.isfinite(one.positions).all()


def test_one_call_for_all_is_a_call_for_each(exported):
    session = open_refiner_weights(exported / "refiner.onnx")
    tracks = [measured(n, seed=n) for n in (150, 3, 40)]
    for track, one in zip(tracks, refine(tracks, session), strict=True):
        (alone,) = refine([track], session)
        assert one.positions == pytest.approx(alone.positions, abs=1e-5)


def test_rates(exported):
    """Twice the rate is looked at in turns, ten a second is smoothed classically and no more."""
    session = open_refiner_weights(exported / "refiner.onnx")
    track = measured(61)
    (fast,) = refine([replace(track, rate_hz=60.0)], session)
    assert fast.positions.shape == (61, 17, 3)
    assert np.isfinite(fast.positions).all()
    (slow,) = refine([replace(track, rate_hz=10.0)], session)
    assert slow.positions == pytest.approx(slow.base)
    assert refine([], session) == []


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("frames", [1, 95, 96, 97, 400])
def test_windows_cover_every_frame_once(frames, causal):
    covered = np.zeros(frames, int)
    for start, stop, first, last in _windows(frames, causal=causal):
        assert 0 <= start <= first < last <= stop <= frames
        assert stop - start <= 96
        covered[first:last] += 1
    assert (covered == 1).all()


def test_imports_no_torch():
    code = "import models.refiner, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_refused(tmp_path):
    with pytest.raises(WeightsMissing, match="leave it off"):
        open_refiner_weights(tmp_path / "nothing.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    with pytest.raises(WeightsDamaged, match="export it again"):
        open_refiner_weights(tmp_path / "noise.onnx")
