"""The network of a weights file, made for looking only. Needs PyTorch.

Two kinds of file are read: a checkpoint of ours, which is also what ``quadglass models import``
makes of a published network's, and the exported ONNX file that the other backend runs. The second
has its normalisations folded into the convolutions before them; the first is brought to that form,
so that one network serves both.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .blocks import Conv
from .errors import CheckpointMismatch, WeightsDamaged, WeightsMissing
from .hourglass import HourglassConfig, StackedHourglass
from .skeleton import COCO17
from .tensor_file import fill
from .training.checkpoint import load_network
from .training.peaks import OffsetName, PeakSettings
from .weights import FORMAT

__all__ = ["ServedNetwork", "fold", "open_network"]

_OUR_SIDE, _PUBLISHED_SIDE = 384, 512  # px of a checkpoint's pictures, which it does not say
_ROOT = "network."  # of the exported graph's names
_HALF = ".half"  # ending of weights that are stored with 11 bits
_OLD_OFFSET = "parabola"  # of files that do not say it
_UNREAD = "first_tags."  # of the trunk's own pass, supervised in training; the export has none


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """A network in eval mode, normalisations folded, and what its file says of it."""

    network: StackedHourglass
    name: str
    sha256: str  # of the whole file
    input_side: int  # px, the longer side it was made for
    peaks: PeakSettings  # as in the exported graph


def open_network(path: Path) -> ServedNetwork:
    """The network of a weights file.

    Args:
        path: ``.onnx`` of ours, else a checkpoint.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or holds NaN.
        CheckpointMismatch: not a network of ours, or one that tells nobody apart.
    """
    if not path.is_file():
        raise WeightsMissing(f"no weights at {path}; check the path in the settings")
    peaks = PeakSettings()
    if path.suffix == ".onnx":
        network, side, peaks = _from_onnx(path)
    else:
        network = fold(load_network(path))
        side = _PUBLISHED_SIDE if network.config.front == "paper" else _OUR_SIDE
    config = network.config
    if not config.tags or config.joints != len(COCO17.joints):
        raise CheckpointMismatch(
            f"{path} holds {config.name!r} for the {config.joints} joints of one person; look "
            "through it with models.published.single, as docs/published.md shows"
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ServedNetwork(network, config.name, sha256, side, peaks)


def fold(network: StackedHourglass) -> StackedHourglass:
    """The same network with every normalisation taken into the convolution before it.

    Changed in place; it says the same but for rounding, and can no longer be trained.
    """
    network.eval()
    for part in network.modules():
        if isinstance(part, Conv) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
    return network


def _from_onnx(path: Path) -> tuple[StackedHourglass, int, PeakSettings]:
    model, metadata = _read(path)
    try:
        config = HourglassConfig(**json.loads(metadata["config"]))
        side = int(metadata["input_side"])
        offset = metadata.get("offset", _OLD_OFFSET)
        if offset not in get_args(OffsetName):
            raise ValueError(f"offset {offset!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsDamaged(
            f"{path}: what it says of its network cannot be read ({type(error).__name__}: "
            f"{error}); export it again"
        ) from error
    network = fold(StackedHourglass(config))
    needed = network.state_dict()
    weights = {name: values for name, values in _weights(model) if name in needed}
    for name, own in needed.items():
        if name.startswith(_UNREAD):
            weights.setdefault(name, torch.zeros_like(own))
    fill(network, weights, path)
    return network, side, PeakSettings(offset=cast("OffsetName", offset))


def _read(path: Path) -> tuple[Any, dict[str, str]]:
    try:
        import onnx  # a reader of the file, which the ONNX backend itself does without
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise WeightsMissing(
            f"{path}: PyTorch needs the package 'onnx' to read it (pip install onnx), or give the "
            "checkpoint that it was exported from"
        ) from error
    try:
        model = onnx.load(str(path))
    except (DecodeError, ValueError) as error:
        raise WeightsDamaged(
            f"{path} is not a readable ONNX file ({type(error).__name__}); export it again"
        ) from error
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    if metadata.get("format") != FORMAT:
        raise WeightsDamaged(
            f"{path} is not a network of ours (format {metadata.get('format')!r}, need "
            f"{FORMAT!r}); export it with `quadglass export`"
        )
    return model, metadata


def _weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Weights of the folded network by its own names, among others that are none of them.

    The export keeps the names of most weights. One that it folded or transposed gets a number, but
    its operation tells which part of the network it belongs to; of equal ones one is kept.
    """
    from onnx import numpy_helper

    stored = {
        constant.name.removesuffix(_HALF): numpy_helper.to_array(constant)
        for constant in model.graph.initializer
    }
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    for name, values in stored.items():
        if name.startswith(_ROOT):
            yield name.removeprefix(_ROOT), torch.from_numpy(values.copy())
    for node in model.graph.node:
        if node.op_type == "Conv":
            for kind, name in zip(("weight", "bias"), node.input[1:], strict=False):
                if name in stored:
                    yield f"{_place(node.name)}.{kind}", torch.from_numpy(stored[name].copy())
        elif node.op_type == "MatMul" and node.input[1] in stored:  # of a linear layer
            yield f"{_place(node.name)}.weight", torch.from_numpy(stored[node.input[1]].T.copy())


def _place(operation: str) -> str:
    """The part of the network an operation belongs to.

    ``/network/stem/stem.1/mix/conv/Conv`` is ``stem.1.mix.conv``: a member of a sequence is
    written with the sequence's name again.
    """
    steps: list[str] = []
    for step in operation.strip("/").split("/")[1:-1]:
        if steps and "." in step and step.rpartition(".")[0] == steps[-1]:
            steps.pop()
        steps.append(step)
    return ".".join(steps)
