"""Weights in eight bits: an exported file calibrated on photos (static quantization, QDQ form).

Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3: weights by channel,
activations by tensor, ranges from what a few dozen photos show. The heads stay in float: a tag or
an offset is read as a number, and a logit near zero decides whether there is a person.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from kernels.preprocess import preprocess

from ..errors import BadTrainingData
from ..letterbox import fit_letterbox
from ..weights import open_weights

__all__ = ["Int8Settings", "to_int8", "widened"]

# Layers that stay in float, by parts of their names in the exported graph.
_FLOAT = (
    "/trunk/stem/",
    "/trunk/joints/",
    "/trunk/center/",
    "/trunk/regress/",
    "/heat/",
    "/field/",
    "/tags/",
    "/first_tags/",
    "/outputs/",
)
_LEAST_PHOTOS = 8


@dataclass(frozen=True, slots=True)
class Int8Settings:
    """How a file becomes one of eight bits."""

    weights: Path  # .onnx exported by us
    output: Path
    photos: tuple[Path, ...]  # to calibrate on, none of them to be measured on
    input_side: int | None = None  # px; None takes what the weights were made for
    per_channel: bool = True
    # Seven bits of a weight: two products of eight overflow the 16-bit sums of processors
    # without VNNI (AVX2), silently.
    reduce_range: bool = True
    operators: tuple[str, ...] = ("Conv", "Add", "Clip", "Relu", "MaxPool")
    keep_float: tuple[str, ...] = _FLOAT


def to_int8(settings: Int8Settings) -> Path:
    """Write the file, with the metadata of the one it was made from.

    Raises:
        WeightsMissing: no such weights.
        WeightsDamaged: not weights of ours.
        BadTrainingData: too few photos to calibrate on, or one that cannot be read.
    """
    if len(settings.photos) < _LEAST_PHOTOS:
        raise BadTrainingData(
            f"{len(settings.photos)} photos to calibrate on, need {_LEAST_PHOTOS}; "
            "give a folder with more"
        )
    info, _ = open_weights(settings.weights, threads=1, providers=["CPUExecutionProvider"])
    side = settings.input_side or info.input_side
    model = widened(onnx.load(str(settings.weights)))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    kept = [
        node.name
        for node in model.graph.node
        if any(part in node.name for part in settings.keep_float)
    ]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        wide, ready = Path(folder) / "wide.onnx", Path(folder) / "ready.onnx"
        onnx.save(model, str(wide))
        # Shapes are dynamic on purpose: without them only constants are folded.
        quant_pre_process(str(wide), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(settings.output),
            _Photos(settings.photos, side),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(settings.operators),
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            calibrate_method=CalibrationMethod.MinMax,
        )
    small = onnx.load(str(settings.output))
    onnx.helper.set_model_props(small, {**metadata, "precision": "int8"})
    onnx.save(small, str(settings.output))
    return settings.output


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with weights that were stored in half precision as float32, changed in place."""
    graph = model.graph
    stored = {constant.name: constant for constant in graph.initializer}
    for node in list(graph.node):
        half = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if half is None or half.data_type != onnx.TensorProto.FLOAT16:
            continue
        values = numpy_helper.to_array(half).astype(np.float32)
        graph.initializer.remove(half)
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)
    return model


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    """Hands out one photo after another as the network would be given it."""

    def __init__(self, photos: Sequence[Path], side: int) -> None:
        self._inputs = (_input(path, side) for path in photos)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._inputs, None)


def _input(path: Path, side: int) -> dict[str, Any]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadTrainingData(f"cannot read the image {path}; check the file")
    box = fit_letterbox((image.shape[1], image.shape[0]), side)
    picture = np.asarray(image, dtype=np.uint8)
    return {"images": preprocess([picture], [box.inner_px], box.outer_px)}


@contextmanager
def _quiet() -> Iterator[None]:
    """It warns on the root logger of every tensor without a shape."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
