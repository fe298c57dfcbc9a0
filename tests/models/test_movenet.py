import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.errors import CheckpointMismatch
from models.movenet import LIGHTNING, MULTIPOSE, MoveNetTrunk
from models.training.frozen import FrozenTrunk
from models.training.movenet_file import import_trunk

from .shared import shared

torch.set_num_threads(1)  # two threads on two busy cores wait for each other

HEADS = ("kpt_heatmap_0", "center_0", "kpt_regress_0")


def original_heads(path, rgb):
    """The three head outputs of the original graph, channels first."""
    model = onnx.load(str(path))
    outputs = [
        next(
            node.output[0]
            for node in model.graph.node
            if node.op_type == "Conv" and f"{head}/conv2d" in node.output[0]
        )
        for head in HEADS
    ]
    for name in outputs:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(outputs, {session.get_inputs()[0].name: rgb})


@pytest.mark.parametrize(
    ("name", "config", "size"),
    [("multipose", MULTIPOSE, (96, 160)), ("lightning", LIGHTNING, (192, 192))],
)
def test_parity_with_the_original(name, config, size):
    path = shared(f"train/teachers/movenet-{name}.onnx")
    trunk = MoveNetTrunk(config).eval()
    import_trunk(trunk, path)
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 255, (1, size[0] // 8, size[1] // 8, 3))
    rgb = blocks.repeat(8, 1).repeat(8, 2).astype(np.int32)
    with torch.no_grad():
        maps = trunk(torch.from_numpy(rgb).permute(0, 3, 1, 2).float())
    ours = (maps.joint_logits, maps.center_logits, maps.regress_cell)
    for found, expected in zip(ours, original_heads(path, rgb), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_the_other_size_is_refused():
    path = shared("train/teachers/movenet-lightning.onnx")
    with pytest.raises(CheckpointMismatch, match="choose the trunk of this file"):
        import_trunk(MoveNetTrunk(MULTIPOSE), path)


def test_a_frozen_trunk_says_the_same():
    torch.manual_seed(0)
    trunk = MoveNetTrunk(LIGHTNING).eval()
    images = torch.rand(2, 3, 64, 96) * 255
    with torch.no_grad():
        expected = trunk(images)
    found = FrozenTrunk(trunk, 1)(images)
    for one, other in zip(
        (*found[:5], *found.sides), (*expected[:5], *expected.sides), strict=True
    ):
        torch.testing.assert_close(one, other.contiguous(), atol=1e-4, rtol=1e-4)


def test_the_late_blocks_alone_say_the_same():
    torch.manual_seed(0)
    trunk = MoveNetTrunk(LIGHTNING).eval()
    images = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        whole = trunk(images)
        late = trunk.late(*whole.sides[:2])
    for one, other in zip((*whole[:5], *whole.sides), (*late[:5], *late.sides), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
