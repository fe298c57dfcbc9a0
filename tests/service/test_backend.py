"""One switch chooses what runs the network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from models.predictor import OnnxPredictor
from service import network
from service.commands.networks import Backend, chosen_network, with_backend
from service.config import ModelSettings, Settings, load_settings
from service.errors import BadSettings


def test_settings_and_options() -> None:
    assert Settings().model.backend == "onnx"
    assert load_settings(environ={"QUADGLASS_MODEL_BACKEND": "torch"}).model.backend == "torch"
    with pytest.raises(BadSettings, match=r"model\.backend"):
        load_settings(environ={"QUADGLASS_MODEL_BACKEND": "tensorflow"})
    assert with_backend(Settings(), Backend.torch).model.backend == "torch"
    asked = chosen_network("mine.ckpt", Backend.torch)
    assert (str(asked.weights), asked.backend) == ("mine.ckpt", "torch")


def test_torch_runs_the_packaged_weights() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    ours = network.load_predictor(ModelSettings(backend="torch"))
    theirs = network.load_predictor(ModelSettings())
    assert isinstance(theirs, OnnxPredictor)
    assert type(ours).__name__ == "TorchPredictor"
    assert (ours.name, ours.sha256) == (theirs.name, theirs.sha256)


def test_without_pytorch_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda name: None)
    with pytest.raises(BadSettings, match="install the extra 'gpu'"):
        network.load_predictor(ModelSettings(backend="torch"))


def test_the_default_imports_no_pytorch() -> None:
    code = (
        "from service.config import ModelSettings\n"
        "from service.network import load_predictor\n"
        "load_predictor(ModelSettings())\n"
        "import sys\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
