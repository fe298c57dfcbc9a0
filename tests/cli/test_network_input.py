"""Networks and pictures that are not what they should be, and options of looking, as typed."""

import json

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.hourglass import StackedHourglass, small
from models.training.checkpoint import Checkpoint, save_checkpoint
from service.cli import BAD_INPUT, app


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return StackedHourglass(small()).state_dict()


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def spoiled(name, weights):
    """The weights with one thing wrong, and a word of the answer."""
    key = "stacks.0.outputs.weight"
    if name == "a key is missing":
        return {k: v for k, v in weights.items() if k != key}, key
    if name == "a key too many":
        return weights | {"stacks.9.extra": torch.zeros(1)}, "stacks.9.extra"
    if name == "another architecture":
        return StackedHourglass(small(2)).state_dict(), "stacks.1."
    values = weights[key].clone()
    values[0] = float("nan")
    return weights | {key: values}, key


@pytest.mark.parametrize(
    "name", ["a key is missing", "a key too many", "another architecture", "a weight is NaN"]
)
def test_checkpoints_that_do_not_fit_are_refused_by_name(name, weights, tmp_path):
    stored, word = spoiled(name, weights)
    path = tmp_path / "run.ckpt"
    save_checkpoint(path, Checkpoint(small(), stored, stored, {}, 1, 0.0))
    result = run("export", path, "-o", tmp_path / "out.onnx")
    assert result.exit_code == BAD_INPUT, result.output
    assert word in "".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_a_checkpoint_cut_short_is_refused(weights, tmp_path):
    path = tmp_path / "run.ckpt"
    save_checkpoint(path, Checkpoint(small(), weights, weights, {}, 1, 0.0))
    path.write_bytes(path.read_bytes()[:5000])
    result = run("export", path, "-o", tmp_path / "out.onnx")
    assert result.exit_code == BAD_INPUT, result.output
    assert "run.ckpt" in "".join(result.stderr.split())


PICTURES = {
    "one pixel": np.full((1, 1, 3), 9, np.uint8),
    "all black": np.zeros((60, 80, 3), np.uint8),
    "grey": np.full((60, 80), 99, np.uint8),
    "sixteen bits": np.full((60, 80, 3), 30000, np.uint16),
    "see-through": np.full((60, 80, 4), 99, np.uint8),
    "20,000 pixels wide": np.full((4, 20000, 3), 99, np.uint8),
}


def test_pictures_of_any_kind_are_looked_at_and_nobody_is_invented(tmp_path):
    for name, image in PICTURES.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    result = run("detect", tmp_path, "-o", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == []


def test_looking_more_often(tmp_path):
    cv2.imwrite(str(tmp_path / "black.png"), PICTURES["all black"])
    words = ("--mirror", "--scale", "0.5")
    result = run("detect", tmp_path / "black.png", "-o", tmp_path / "out.json", *words)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("evaluate . --fill all", "none, peaks, expected"),
        ("evaluate . --offset half", "dark, parabola, quarter"),
        ("evaluate . --every-photo", "person_keypoints.json"),
        ("train . -o run --size 250:4", "--size 250:4"),
        ("train . -o run --size big", "256:10"),
        ("train . -o run --network hrnet", "quadglass-m"),
        ("export run.ckpt -o out.onnx --offset half", "dark"),
        ("export take.json -o out.trc --offset dark", "give a .ckpt"),
    ],
)
def test_options_that_do_not_exist(command, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*command.split())
    assert result.exit_code == BAD_INPUT, result.output
    assert word.replace(" ", "") in "".join(result.stderr.split())
