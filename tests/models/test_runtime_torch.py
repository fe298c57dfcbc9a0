"""Both backends find the same: the network on PyTorch beside the exported file on ONNX Runtime."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from kernels.preprocess import preprocess  # noqa: E402
from models.errors import CheckpointMismatch, WeightsDamaged, WeightsMissing  # noqa: E402
from models.hourglass import (  # noqa: E402
    StackedHourglass,
    mmpose_ae,
    published_single,
    quadglass_s,
    small,
)
from models.predictor import OnnxPredictor  # noqa: E402
from models.runtime_torch import TorchPredictor, runner_for, take_pixels  # noqa: E402
from models.torch_weights import fold, open_network  # noqa: E402
from models.training.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
from models.training.export import write_onnx  # noqa: E402
from models.training.peaks import PeakSettings, gather  # noqa: E402
from models.weights import default_weights  # noqa: E402
from tests.kernels.conftest import require  # noqa: E402

from .shared import shared  # noqa: E402

# Stated in docs/kernels.md for float32: both compute in the same precision in another order, so
# sums differ by some 1e-6 of themselves. 3e-6, 8e-5 and 4e-6 were seen on 24 photos.
SCORE, CELLS, TAG = 1e-4, 1e-2, 1e-3


def lively(config, seed=0):
    """A network of noise whose normalisations have seen something and whose outputs vary."""
    torch.manual_seed(seed)
    network = StackedHourglass(config)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for values, low, high in (
                (part.weight.data, 0.5, 1.5),
                (part.bias.data, -0.2, 0.2),
                (part.running_mean, -0.2, 0.2),
                (part.running_var, 0.5, 1.5),
            ):
                values.uniform_(low, high)
        elif isinstance(part, torch.nn.Conv2d) and not part.weight.any():
            part.weight.data.normal_(0, 0.1)
    return network.eval()


def checkpoint(network, path):
    weights = network.state_dict()
    save_checkpoint(path, Checkpoint(network.config, weights, weights, {}, 0, 0.0))
    return path


def pictures(count=3, side=96):
    rng = np.random.default_rng(0)
    sizes = [(side, side * 3 // 4), (side // 2, side), (side * 2, side * 2)]
    return [
        cv2.resize(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), sizes[i % 3])
        for i in range(count)
    ]


def assert_same(found, expected):
    """Every peak that grouping looks at is there, at the same place with the same tag."""
    compared = 0
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.size_px == theirs.size_px
        assert ours.cell_px == theirs.cell_px
        assert ours.seed_scores == pytest.approx(theirs.seed_scores, abs=SCORE)
        for joint, rank in np.argwhere(theirs.scores > 0.02):
            apart = np.linalg.norm(ours.joints_px[joint] - theirs.joints_px[joint, rank], axis=1)
            near = int(np.argmin(apart))  # the order of equal scores is anybody's
            assert apart[near] <= CELLS * theirs.cell_px
            assert ours.scores[joint, near] == pytest.approx(
                min(theirs.scores[joint, rank], 1), abs=SCORE
            )
            assert ours.tags[joint, near] == pytest.approx(theirs.tags[joint, rank], abs=TAG)
            for name, bound in (("centers_px", CELLS * theirs.cell_px), ("sizes_px", 1e-2)):
                one, other = getattr(ours, name)[joint, near], getattr(theirs, name)[joint, rank]
                assert one == pytest.approx(other, abs=bound, rel=1e-3, nan_ok=True)
            compared += 1
    assert compared > 30


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network as a file of either kind."""
    folder = tmp_path_factory.mktemp("small")
    network = lively(small())
    # Another offset than the default: what runs the network without the graph reads it there.
    settings = PeakSettings(offset="parabola")
    write_onnx(network, folder / "small.onnx", 96, settings, "0" * 64)
    return folder / "small.onnx", checkpoint(network, folder / "small.ckpt")


def test_small_network_from_either_file(exported):
    onnx_file, ckpt_file = exported
    images = pictures()
    expected = OnnxPredictor(onnx_file).candidates(images)
    ours = TorchPredictor(onnx_file, device="cpu")
    assert (ours.name, ours.input_side) == ("small", 96)
    assert_same(ours.candidates(images), expected)
    # The checkpoint holds 24 bits of each weight, the file 11: sums of 576 products differ more.
    from_checkpoint = TorchPredictor(ckpt_file, device="cpu", input_side=96).candidates(images)
    for one, other in zip(from_checkpoint, expected, strict=True):
        best = other.scores[:, 0].clip(0, 1)
        assert one.scores[:, 0] == pytest.approx(best, abs=5e-3)


def test_packaged_network_on_photos():
    weights = default_weights()
    folder = shared("train/coco128")
    files = sorted(folder.rglob("*.jpg"))[:2]
    images = [cv2.imread(str(file)) for file in files]
    by_onnx, by_torch = OnnxPredictor(weights), TorchPredictor(weights, device="cpu")
    assert by_torch.sha256 == by_onnx.sha256
    assert_same(by_torch.candidates(images), by_onnx.candidates(images))
    people = 0
    for ours, theirs in zip(by_torch.predict(images), by_onnx.predict(images), strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one.joints_px == pytest.approx(other.joints_px, abs=0.1, nan_ok=True)
            assert (one.inferred == other.inferred).all()
            people += 1
    assert people >= 2


def test_folding_changes_nothing():
    network = lively(small(2))
    x = torch.rand(2, 3, 64, 64) * 255
    with torch.no_grad():
        before = network(x).stacks[-1].heat
        after = fold(network)(x).stacks[-1].heat
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    assert float((before - after).abs().max()) <= 1e-4 * float(before.abs().max())


def published_like():
    """mmpose's network with a fortieth of its channels."""
    from dataclasses import replace

    return lively(replace(mmpose_ae(), width=16, growth=4, stacks=2))


def test_published_network_with_its_own_pixels(tmp_path):
    """ImageNet's mean is taken out while resizing; inputs are multiples of 64."""
    network = published_like()
    predictor = TorchPredictor(checkpoint(network, tmp_path / "p.ckpt"), device="cpu")
    assert predictor.input_side == 512
    image = np.full((40, 56, 3), (200, 90, 30), dtype=np.uint8)  # BGR
    predictor = TorchPredictor(tmp_path / "p.ckpt", device="cpu", input_side=64)
    (found,) = predictor.candidates([image])
    rgb = torch.zeros(1, 3, 64, 64)
    rgb[0, :, :46, :64] = torch.tensor([30.0, 90.0, 200.0])[:, None, None]
    with torch.no_grad():
        scores = gather(network(rgb), PeakSettings())[1].clamp(0, 1).numpy()[0]
    inside = found.scores > 0
    assert inside.any()
    apart = np.abs(found.scores[inside][:, None] - scores.reshape(1, -1)).min(axis=1)
    assert apart.max() <= SCORE


def test_pixels_are_taken_once():
    network = published_like()
    x = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        expected = network(x).stacks[-1].heat
        rules = take_pixels(network)
        mean, std = torch.tensor(rules.mean), torch.tensor(rules.std)
        found = network((x / 255 - mean[:, None, None]) / std[:, None, None]).stacks[-1].heat
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_order_and_batches(exported):
    """Pictures of several sizes, more than a batch holds, come back in their own order."""
    images = pictures(7)
    every = TorchPredictor(exported[0], device="cpu", buckets=(1, 2))
    for index, found in enumerate(every.candidates(images)):
        (alone,) = every.candidates(images[index : index + 1])
        assert found.scores == pytest.approx(alone.scores, abs=SCORE)
    assert every.candidates([]) == []


def test_device_code_gives_what_the_library_gives():
    """Bytes to peaks by our kernels, as on CUDA, beside the steps that a CPU takes."""
    require("cpu")
    from kernels.preprocess_triton import preprocess_on_gpu, table_of
    from models.cuda_lanes import look

    network = fold(lively(quadglass_s(), seed=3))
    images = [picture[:40, :48] for picture in pictures(2)]
    settings, inner, side = PeakSettings(joints=4, seeds=3), [(32, 27), (32, 27)], (32, 32)
    rules = take_pixels(network)
    joined = torch.from_numpy(np.concatenate([image.reshape(-1) for image in images]))
    table = table_of([(48, 40)] * 2, inner)
    x = preprocess_on_gpu(joined, table, side, rules, dtype=torch.float32, whole_bytes=True)
    by_cpu = torch.from_numpy(preprocess(images, inner, side)).flip(3).permute(0, 3, 1, 2)
    off = (x - by_cpu).abs()  # sums in another order round the other way where they end in .5
    assert float(off.max()) <= 1.0001
    assert float((off > 0.01).float().mean()) < 0.01
    with torch.inference_mode():
        found = look(network, joined, table, side, rules, settings, torch.float32)
        expected = gather(network(x), settings)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
    for part, scores in ((slice(0, 5), expected[1]), (slice(5, 8), expected[6])):
        real = scores > 0
        assert real.any()
        for one, other in zip(found[part], expected[part], strict=True):
            assert one[real].numpy() == pytest.approx(other[real].numpy(), abs=1e-3, rel=1e-4)


def test_what_is_refused(tmp_path, exported):
    with pytest.raises(WeightsMissing, match="check the path"):
        open_network(tmp_path / "nothing.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"\x07noise that is no network" * 9)
    with pytest.raises(WeightsDamaged, match=r"export it again|not a network of ours"):
        open_network(tmp_path / "noise.onnx")
    single = StackedHourglass(published_single(1))
    with pytest.raises(CheckpointMismatch, match="one person"):
        open_network(checkpoint(single, tmp_path / "single.ckpt"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_half_precision_on_a_gpu():
    """Recorded batches, both lanes, and a shape that comes once, beside ONNX Runtime.

    Half precision holds 11 bits; through 60 layers that is sqrt(60) * 2**-12 = 2e-3 of an
    activation, and some peaks of equal height trade places, so the best of each joint count.
    """
    weights = default_weights()
    files = sorted(shared("train/coco128").rglob("*.jpg"))[:8]
    images = [cv2.imread(str(file)) for file in files]
    images += [image[:, : image.shape[1] // 2] for image in images]
    ours, theirs = TorchPredictor(weights, device="cuda"), OnnxPredictor(weights)
    expected = theirs.candidates(images)
    for _ in range(4):  # eager, then recorded, in both lanes
        for one, other in zip(ours.candidates(images), expected, strict=True):
            sure = other.scores[:, 0] > 0.3
            assert one.scores[sure, 0] == pytest.approx(other.scores[sure, 0], abs=0.03)
            apart = np.linalg.norm(one.joints_px[sure, 0] - other.joints_px[sure, 0], axis=1)
            assert np.median(apart) <= 0.1 * other.cell_px if sure.any() else True


def test_runner_on_a_cpu_needs_no_triton(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "models.cuda_lanes", None)
    runner_for(lively(small()), "cpu")
