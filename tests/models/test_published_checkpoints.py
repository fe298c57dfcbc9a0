import math
import os
import pickle

import numpy as np
import pytest
import torch

from models.errors import CheckpointMismatch, WeightsDamaged, WeightsMissing
from models.published.checkpoints import import_checkpoint
from models.training.checkpoint import Checkpoint, load_network, save_checkpoint

from .published_files import plain_file, single_file, what_their_network_says

torch.set_num_threads(1)

# prefix and what lies beside the weights in each repository's files
PRINCETON = ("model.module.", {"optimizer": {"state": {}, "param_groups": []}, "epoch": 3})
MMPOSE = ("backbone.", {"meta": {"mmpose_version": "0.18.0", "epoch": 300}})
FILES = {
    "princeton-ae": (lambda **sizes: plain_file("princeton", **sizes), *PRINCETON),
    "princeton-single": (single_file, *PRINCETON),
    "mmpose-ae": (lambda **sizes: plain_file("mmpose", **sizes), *MMPOSE),
}
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def write(path, layout, tensors, *, prefix=None, **options):
    _, usual, others = FILES[layout]
    usual = usual if prefix is None else prefix
    stored = {"state_dict": {usual + key: tensor for key, tensor in tensors.items()}, **others}
    torch.save(stored, path, **options)
    return path


@pytest.fixture(params=FILES)
def layout(request):
    return request.param


@pytest.mark.parametrize("sizes", [{}, {"stacks": 3, "width": 12, "depth": 3}])
def test_says_what_the_other_code_says(layout, sizes, tmp_path):
    tensors = FILES[layout][0](**sizes)
    found = import_checkpoint(write(tmp_path / "their.pth", layout, tensors))
    side = 4 * 2**found.config.depth * 2
    generator = torch.Generator().manual_seed(1)
    images = (torch.rand(2, 3, side, side, generator=generator) * 255).round()
    seen = images / 255
    if layout == "mmpose-ae":
        seen = (seen - MEAN) / DEVIATION
    expected = what_their_network_says(tensors, seen)
    with torch.no_grad():
        maps = found.network(images)
    assert len(maps.stacks) == len(expected) == sizes.get("stacks", 2)
    for ours, theirs in zip(maps.stacks, expected, strict=True):
        joints = found.config.joints
        # The same float32 layers with sums in another order: each is off by about 1e-6 of the
        # largest value, forty of them by sqrt(40) as much.
        off = 1e-5 * theirs.abs().max().item()
        torch.testing.assert_close(ours.heat, theirs[:, :joints], atol=off, rtol=0)
        if found.config.tags:
            tags = theirs[:, joints : 2 * joints]
            torch.testing.assert_close(ours.tags, tags, atol=off, rtol=0)


def test_every_key_is_accounted_for(layout, tmp_path):
    tensors = FILES[layout][0]()
    found = import_checkpoint(write(tmp_path / "their.pth", layout, tensors))
    assert found.layout == layout
    assert found.prefix == FILES[layout][1]
    assert set(found.read) | set(found.unread) == set(tensors)
    assert not set(found.read) & set(found.unread)
    assert set(found.others) == set(FILES[layout][2])
    # Only the skip layers of residual blocks whose width stays are stored and never called.
    assert all(".skip_layer." in key for key in found.unread)
    assert bool(found.unread) == (layout == "princeton-single")
    for key in found.unread:
        inputs, outputs = tensors[key.replace(".bias", ".weight")].shape[:2][::-1]
        assert inputs == outputs


def test_nothing_of_a_tensor_is_lost_or_changed(layout, tmp_path):
    tensors = FILES[layout][0]()
    found = import_checkpoint(write(tmp_path / "their.pth", layout, tensors))
    ours = sorted(t.double().sum().item() for t in found.network.state_dict().values())
    theirs = sorted(tensors[key].double().sum().item() for key in found.read)
    assert ours == theirs
    assert len(ours) == len(found.read)


def test_goes_through_a_checkpoint_of_ours(layout, tmp_path):
    found = import_checkpoint(write(tmp_path / "their.pth", layout, FILES[layout][0]()))
    weights = found.network.state_dict()
    ours = tmp_path / "ours.ckpt"
    save_checkpoint(ours, Checkpoint(found.config, weights, weights, {}, 0, 0.0))
    network = load_network(ours)
    assert network.config == found.config
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize(("stacks", "count"), [(4, 148), (2, 76)])
def test_pose_ae_has_the_published_number_of_tensors(stacks, count):
    # 148 counted in the original: 8 in the stem, 32 a stack and 4 between two stacks.
    tensors = plain_file("princeton", stacks=stacks, depth=4)
    assert len(tensors) == count == 8 + 32 * stacks + 4 * (stacks - 1)


def test_other_prefixes_and_a_bare_state_dict(layout, tmp_path):
    tensors = FILES[layout][0]()
    for prefix in ("", "module."):
        assert import_checkpoint(
            write(tmp_path / "a.pth", layout, tensors, prefix=prefix)
        ).prefix == (prefix)
    torch.save(tensors, tmp_path / "bare.pth")
    assert import_checkpoint(tmp_path / "bare.pth").others == ()


def test_the_file_format_of_2017_and_half_precision(tmp_path):
    tensors = plain_file("princeton")
    old = write(tmp_path / "old.tar", "princeton-ae", tensors, _use_new_zipfile_serialization=False)
    halves = write(
        tmp_path / "half.pth", "princeton-ae", {key: t.half() for key, t in tensors.items()}
    )
    first, second = import_checkpoint(old).network, import_checkpoint(halves).network
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert one.dtype == other.dtype == torch.float32
        # Rounding to 11 bits is off by at most 2**-12 of the value; below 2**-14, by 2**-25.
        torch.testing.assert_close(one, other, atol=2**-25, rtol=2**-11)


def test_a_file_from_before_batches_were_counted(tmp_path):
    tensors = {k: t for k, t in single_file().items() if not k.endswith("num_batches_tracked")}
    found = import_checkpoint(write(tmp_path / "old.pt", "princeton-single", tensors))
    assert len(found.counters) == sum(key.endswith("running_var") for key in tensors)
    assert set(found.read) | set(found.unread) == set(tensors)


def test_missing_and_unknown_keys_are_named(layout, tmp_path):
    tensors = FILES[layout][0]()
    gone = [key for key in tensors if key.endswith("low3.conv.weight")]
    gone = gone or [key for key in tensors if key.endswith("low3.conv2.conv.weight")]
    del tensors[gone[0]]
    tensors["attention.out"] = torch.zeros(1)
    path = write(tmp_path / "odd.pth", layout, tensors)
    with pytest.raises(CheckpointMismatch) as told:
        import_checkpoint(path)
    text = str(told.value)
    assert f"1 keys missing ({gone[0]})" in text
    assert "1 keys unknown (attention.out)" in text
    assert str(path) in text


def test_a_key_outside_the_prefix_is_unknown(tmp_path):
    path = tmp_path / "more.pth"
    tensors = {f"backbone.{key}": tensor for key, tensor in plain_file("mmpose").items()}
    torch.save({"state_dict": tensors | {"keypoint_head.final.weight": torch.zeros(2)}}, path)
    with pytest.raises(CheckpointMismatch, match=r"1 keys unknown \(keypoint_head\.final\.weight"):
        import_checkpoint(path)


def test_normalisation_where_the_published_network_has_none(tmp_path):
    # pose-ae's option bn=True puts it behind the activation: another network.
    tensors = plain_file("princeton") | {"pre.0.bn.weight": torch.ones(64)}
    with pytest.raises(CheckpointMismatch, match=r"unknown \(pre\.0\.bn\.weight\).*other options"):
        import_checkpoint(write(tmp_path / "bn.pth", "princeton-ae", tensors))


def test_a_tensor_of_another_shape_is_named(layout, tmp_path):
    tensors = FILES[layout][0]()
    key = next(key for key in tensors if key.endswith("low1.conv.weight") or "low1.conv2" in key)
    deeper = key.replace("0.0.low1", "0.0.low2.low1")
    tensors[deeper] = tensors[deeper][:, :3]
    with pytest.raises(CheckpointMismatch, match=r"1 of another shape \(.* need \("):
        import_checkpoint(write(tmp_path / "narrow.pth", layout, tensors))


def test_too_few_outputs_for_tags(tmp_path):
    tensors = plain_file("mmpose", stacks=1)
    for part in ("weight", "bias"):
        tensors[f"out_convs.0.conv.{part}"] = tensors[f"out_convs.0.conv.{part}"][:17]
    with pytest.raises(CheckpointMismatch, match=r"17 outputs a stack, need 34"):
        import_checkpoint(write(tmp_path / "heat.pth", "mmpose-ae", tensors))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(layout, value, tmp_path):
    tensors = FILES[layout][0]()
    key = next(iter(tensors))
    tensors[key].view(-1)[5] = value
    with pytest.raises(WeightsDamaged, match=r"NaN or infinite numbers in 1 of \d+ tensors"):
        import_checkpoint(write(tmp_path / "nan.pth", layout, tensors))


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(WeightsMissing, match="check the path"):
        import_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsMissing, match="check the path"):
        import_checkpoint(tmp_path)


@pytest.mark.parametrize("old", [True, False], ids=["2017", "zip"])
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_file_cut_short(old, kept, tmp_path):
    options = {"_use_new_zipfile_serialization": not old}
    path = write(tmp_path / "torn.pth", "princeton-ae", plain_file("princeton"), **options)
    content = path.read_bytes()
    size = int(len(content) * kept) if isinstance(kept, float) else kept
    path.write_bytes(content[:size])
    with pytest.raises(WeightsDamaged, match=rf"torn\.pth.*{size} bytes"):
        import_checkpoint(path)


@pytest.mark.parametrize("content", [b"not a network", b"\x80\x02garbage", os.urandom(4096)])
def test_files_of_other_kinds(content, tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsDamaged, match="copy it again"):
        import_checkpoint(path)


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Runs()}, "evil.pth")
    with pytest.raises(WeightsDamaged, match=r"holds posix\.mkdir.*'state_dict' alone"):
        import_checkpoint(tmp_path / "evil.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Runs(), protocol=2))
    with pytest.raises(WeightsDamaged):
        import_checkpoint(tmp_path / "plain.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ([1, 2], "holds a list"),
        ({"epoch": 3}, "no 'state_dict' of tensors, only epoch"),
        ({"state_dict": {"a": 1}}, "no 'state_dict' of tensors"),
        ({"state_dict": {"conv1.weight": torch.zeros(3)}}, r"first conv1\.weight.*pose-ae-train"),
        ({}, "0 tensors"),
    ],
)
def test_checkpoints_of_other_networks(stored, told, tmp_path):
    torch.save(stored, tmp_path / "other.pth")
    with pytest.raises(CheckpointMismatch, match=told):
        import_checkpoint(tmp_path / "other.pth")


def test_a_resnet_with_the_mark_of_ours_alone(tmp_path):
    torch.save({"features.0.0.up1.conv.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "mark.pth")
    with pytest.raises(CheckpointMismatch, match=r"no features\.0\.0\.low1\.conv\.weight"):
        import_checkpoint(tmp_path / "mark.pth")


def test_our_own_checkpoints_refuse_what_is_not_sound(tmp_path):
    found = import_checkpoint(write(tmp_path / "a.pth", "princeton-ae", plain_file("princeton")))
    weights = {name: tensor.clone() for name, tensor in found.network.state_dict().items()}
    path = tmp_path / "ours.ckpt"
    weights["stem.0.conv.bias"][0] = math.nan
    save_checkpoint(path, Checkpoint(found.config, weights, weights, {}, 0, 0.0))
    with pytest.raises(WeightsDamaged, match=r"stem\.0\.conv\.bias"):
        load_network(path)
    weights["stem.0.conv.bias"] = torch.zeros(65)
    save_checkpoint(path, Checkpoint(found.config, weights, weights, {}, 0, 0.0))
    with pytest.raises(CheckpointMismatch, match=r"stem\.0\.conv\.bias is \(65,\), need \(64,\)"):
        load_network(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsDamaged, match="damaged"):
        load_network(path)
    with pytest.raises(WeightsMissing):
        load_network(tmp_path / "none.ckpt")
    stored = {"format": "quadglass-checkpoint/1", "config": {"wings": np.pi}}
    torch.save(stored, path)
    with pytest.raises(CheckpointMismatch, match="wings"):
        load_network(path)
