import cv2
import numpy as np
import onnx
import pytest

from models.errors import BadTrainingData
from models.predictor import OnnxPredictor
from models.training.int8 import Int8Settings, to_int8, widened
from models.weights import default_weights


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for number in range(8):
        coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), coarse.repeat(16, 0).repeat(16, 1))
    return tuple(files)


@pytest.mark.slow
def test_eight_bits_load_as_weights_of_ours(photos, tmp_path):
    out = to_int8(Int8Settings(default_weights(), tmp_path / "small.onnx", photos, input_side=64))
    small, whole = OnnxPredictor(out, input_side=64), OnnxPredictor(default_weights())
    assert (small.name, small.skeleton) == (whole.name, whole.skeleton)
    operators = {node.op_type for node in onnx.load(str(out)).graph.node}
    assert "QuantizeLinear" in operators
    assert out.stat().st_size < 0.7 * default_weights().stat().st_size
    (found,) = small.candidates([np.full((64, 64, 3), 90, np.uint8)])
    assert np.isfinite(found.joints_px).all()


def test_too_few_photos(photos, tmp_path):
    with pytest.raises(BadTrainingData, match="2 photos to calibrate on, need 8"):
        to_int8(Int8Settings(default_weights(), tmp_path / "small.onnx", photos[:2]))


def test_widening_leaves_no_half_precision():
    model = widened(onnx.load(str(default_weights())))
    assert all(one.data_type != onnx.TensorProto.FLOAT16 for one in model.graph.initializer)
    onnx.checker.check_model(model)
