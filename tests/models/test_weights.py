import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models import weights
from models.errors import ModelError, WeightsDamaged, WeightsMissing
from models.weights import default_weights, open_weights

CPU = ["CPUExecutionProvider"]


def test_packaged_weights_are_what_was_packaged():
    path = default_weights()
    info, session = open_weights(path, threads=1, providers=CPU)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.name == weights.DEFAULT_NAME
    assert info.skeleton == "coco17"
    assert info.input_side % 32 == 0
    assert json.loads(info.config)["joints"] == 17
    assert [item.name for item in session.get_inputs()] == ["images"]
    assert path.stat().st_size < 20e6
    card = path.with_suffix(".md").read_text()
    for word in ("Apache", "MoveNet", "COCO", "Penn-Fudan", "Leeds"):
        assert word in card


def test_a_name_that_is_not_packaged():
    with pytest.raises(WeightsMissing, match=r"'quadglass-x'.*quadglass-m"):
        default_weights("quadglass-x")


def test_a_changed_file_is_noticed(tmp_path, monkeypatch):
    source = default_weights()
    for suffix in (".onnx", ".sha256"):
        shutil.copy(source.with_suffix(suffix), tmp_path)
    with (tmp_path / source.name).open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    with pytest.raises(WeightsDamaged, match="install again"):
        default_weights()


def test_files_that_are_not_weights(tmp_path):
    with pytest.raises(WeightsMissing, match="check the path"):
        open_weights(tmp_path / "none.onnx", threads=1, providers=CPU)
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(default_weights().read_bytes()[:5000])
    with pytest.raises(WeightsDamaged, match="export it again"):
        open_weights(torn, threads=1, providers=CPU)
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    with pytest.raises(ModelError):
        open_weights(text, threads=1, providers=CPU)


@pytest.mark.parametrize("part", ["trunk.stem", "stacks.0.heat", "stacks.0.tags", "trunk.center"])
def test_weights_that_are_no_numbers(part, tmp_path):
    # Unnoticed they would find nobody in any picture, for comparing with NaN leaves no peak.
    model = onnx.load(str(default_weights()))
    chosen = [one for one in model.graph.initializer if part in one.name]
    assert chosen, part
    values = numpy_helper.to_array(chosen[-1]).copy()
    values.reshape(-1)[0] = np.nan
    chosen[-1].CopyFrom(numpy_helper.from_array(values, chosen[-1].name))
    onnx.save(model, str(tmp_path / "nan.onnx"))
    with pytest.raises(WeightsDamaged, match=r"holds NaN weights.*export it again"):
        open_weights(tmp_path / "nan.onnx", threads=1, providers=CPU)
