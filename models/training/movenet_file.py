"""MoveNet's weights out of its ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from ..errors import CheckpointMismatch
from ..movenet import MoveNetTrunk

__all__ = ["import_trunk"]

F32: TypeAlias = NDArray[np.float32]


def import_trunk(trunk: MoveNetTrunk, path: Path) -> None:
    """Fill a trunk with the weights of a MoveNet ONNX file.

    Args:
        trunk: built with the configuration that fits the file.
        path: ``movenet-multipose.onnx`` or ``movenet-lightning.onnx``.

    Raises:
        CheckpointMismatch: a convolution is missing or has another shape.
    """
    stored = _read_convolutions(path)
    state = trunk.state_dict()
    for ours, theirs in _names().items():
        if theirs not in stored:
            raise CheckpointMismatch(
                f"{path.name} has no convolution {theirs!r}; give a MoveNet ONNX file"
            )
        weight, bias = stored[theirs]
        for suffix, value in (("weight", weight), ("bias", bias)):
            key = f"{ours}.{suffix}"
            if key not in state:
                continue
            if value is None or value.shape != tuple(state[key].shape):
                found = None if value is None else value.shape
                raise CheckpointMismatch(
                    f"{path.name}: {theirs!r} has {found}, the trunk needs "
                    f"{tuple(state[key].shape)}; choose the trunk of this file"
                )
            state[key] = torch.from_numpy(value.copy())
    trunk.load_state_dict(state)


def _names() -> Mapping[str, str]:
    """Our module name -> the convolution's name in the ONNX file."""
    names = {"stem": "Conv1", "last": "Conv_1", "top": "conv2d"}
    for k in range(17):
        theirs = f"block_{k}" if k else "expanded_conv"
        if k:
            names[f"blocks.{k}.expand"] = f"{theirs}_expand"
        names[f"blocks.{k}.depthwise"] = f"{theirs}_depthwise"
        names[f"blocks.{k}.project"] = f"{theirs}_project"
    for level, theirs in enumerate(
        ("separable_conv2d", "separable_conv2d_1", "separable_conv2d_2")
    ):
        names[f"lateral.{level}"] = f"conv2d_{level + 1}"
        names[f"smooth.{level}.depthwise"] = f"{theirs}.depthwise"
        names[f"smooth.{level}.pointwise"] = theirs
    heads = (("joints", "kpt_heatmap_0"), ("center", "center_0"), ("regress", "kpt_regress_0"))
    for ours, theirs in heads:
        names[f"{ours}.mix.depthwise"] = f"{theirs}/separable.depthwise"
        names[f"{ours}.mix.pointwise"] = f"{theirs}/separable"
        names[f"{ours}.out"] = f"{theirs}/conv"
    return names


def _read_convolutions(
    path: Path,
) -> dict[str, tuple[F32, F32 | None]]:
    """Weights and biases of every convolution under its bare name."""
    graph = onnx.load(str(path)).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        weight = constants[node.input[1]].astype(np.float32)
        has_bias = len(node.input) > 2
        bias = constants[node.input[2]].astype(np.float32) if has_bias else None
        found[_bare_name(node.input[2] if has_bias else node.output[0])] = (weight, bias)
    return found


def _bare_name(tensor: str) -> str:
    """``.../model/block_3_expand/Conv2D_bn_offset:0`` -> ``block_3_expand``."""
    name = tensor.split(":")[0].replace("StatefulPartitionedCall/", "")
    if "model_1/" in name:
        name = name.split("model_1/")[-1]
    name = name.removeprefix("model/")
    for suffix, mark in (
        ("/separable_conv2d/depthwise", ".depthwise"),
        ("/separable_conv2d_bn_offset", ""),
        ("/depthwise_bn_offset", ""),
        ("/Conv2D_bn_offset", ""),
        ("/BiasAdd/ReadVariableOp", ""),
    ):
        if name.endswith(suffix):
            name = name.removesuffix(suffix) + mark
            break
    # In a head the number after the layer's name only counts layers of the whole model.
    if "/" in name and not name.startswith("block"):
        head, layer = name.split("/", 1)
        kind = "separable" if "separable" in layer else "conv"
        name = f"{head}/{kind}" + (".depthwise" if name.endswith(".depthwise") else "")
    return name
