import json

import pytest
import torch
from typer.testing import CliRunner

from models.errors import CheckpointMismatch
from models.training.checkpoint import load_network
from models.training.export import ExportSettings, export
from service.cli import BAD_INPUT, app

from ..models.published_files import plain_file, single_file


@pytest.fixture
def their_file(tmp_path):
    weights = {f"model.module.{key}": tensor for key, tensor in single_file().items()}
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": weights, "optimizer": {}, "epoch": 1}, path)
    return path


def test_import_says_what_it_read_and_writes_a_checkpoint(their_file):
    result = CliRunner().invoke(app, ["models", "import", str(their_file), "--json"])
    assert result.exit_code == 0, result.output
    account = json.loads(result.stdout)
    assert account["layout"] == "princeton-single"
    assert account["stacks"] == 2
    assert account["keys_read"] + len(account["keys_stored_but_unused"]) == len(single_file())
    assert account["not_weights"] == ["epoch", "optimizer"]
    network = load_network(their_file.with_name("checkpoint.pt.ckpt"))
    assert network.config.name == "published-single"


def test_import_in_words_to_a_place_of_ones_own(tmp_path):
    path, out = tmp_path / "mm.pth", tmp_path / "new/ours.ckpt"
    weights = {f"backbone.{key}": tensor for key, tensor in plain_file("mmpose").items()}
    torch.save({"state_dict": weights, "meta": {}}, path)
    result = CliRunner().invoke(app, ["models", "import", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "none missing, none unknown" in " ".join(result.stdout.split())
    assert "quadglass evaluate" in result.stderr
    assert load_network(out).config.name == "mmpose-ae"


def test_import_names_what_is_missing(their_file):
    stored = torch.load(their_file, weights_only=True)
    stored["state_dict"].popitem()
    torch.save(stored, their_file)
    result = CliRunner().invoke(app, ["models", "import", str(their_file)])
    assert result.exit_code == BAD_INPUT
    assert "1 keys missing (outs.1.conv.bias)" in result.stderr
    assert not list(their_file.parent.glob("*.ckpt"))


def test_what_serving_cannot_feed_is_not_exported(their_file, tmp_path):
    CliRunner().invoke(app, ["models", "import", str(their_file), "-o", str(tmp_path / "a.ckpt")])
    with pytest.raises(CheckpointMismatch, match=r"not for serving.*docs/published\.md"):
        export(ExportSettings(tmp_path / "a.ckpt", tmp_path / "a.onnx"))
