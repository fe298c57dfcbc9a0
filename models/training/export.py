"""A checkpoint becomes the file that serving runs, and is compared with it."""

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from ..errors import CheckpointMismatch
from ..hourglass import StackedHourglass
from ..letterbox import INPUT_MULTIPLE
from ..skeleton import COCO17
from ..weights import FORMAT, open_weights
from .checkpoint import load_network
from .peaks import OUTPUT_NAMES, PeakSettings, PoseGraph, gather

__all__ = ["ExportReport", "ExportSettings", "export", "store_half", "write_onnx"]

_OPSET = 17
# Our weights are stored with 11 bits, so each is off by up to 2**-12 of itself; through 20 layers
# of independent roundings that is sqrt(20) * 2**-12 = 1e-3 of an activation, and a sigmoid has a
# slope of at most 1/4. 4e-4 was seen.
PARITY = 2e-3
_SMALLEST_STORED_HALF = 256


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What to export, for what size."""

    checkpoint: Path
    output: Path  # .onnx; a .sha256 is written beside it
    input_side: int = 384
    peaks: PeakSettings = field(default_factory=PeakSettings)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What came out."""

    path: Path
    sha256: str
    size_bytes: int
    score_error: float  # largest difference of a peak's score between PyTorch and ONNX Runtime


def export(settings: ExportSettings) -> ExportReport:
    """Write the ONNX file of a checkpoint's averaged weights and prove that it says the same.

    Raises:
        CheckpointMismatch: the checkpoint is not one of ours, or of a network that serving
            cannot feed.
    """
    network = load_network(settings.checkpoint)
    _refuse_unfit(network)
    digest = hashlib.sha256(settings.checkpoint.read_bytes()).hexdigest()
    write_onnx(network, settings.output, settings.input_side, settings.peaks, digest)
    error = _score_error(network, settings)
    assert error <= PARITY, f"export differs by {error:.2e} from the network, allowed {PARITY}"
    content = settings.output.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    line = f"{sha256}  {settings.output.name}\n"
    settings.output.with_suffix(".sha256").write_text(line, encoding="ascii")
    return ExportReport(settings.output, sha256, len(content), error)


def write_onnx(
    network: StackedHourglass, path: Path, input_side: int, peaks: PeakSettings, digest: str
) -> None:
    """The network with its peaks as an ONNX file that takes any batch and any 32 n size.

    Args:
        network: any of ours.
        path: to write.
        input_side: px, what serving should make the longer side of a picture.
        peaks: how many leave the graph.
        digest: sha256 of the checkpoint, for the metadata.
    """
    # The exporter restores the wrapper's mode afterwards, so it must be in eval mode itself.
    graph = PoseGraph(network, peaks).eval()
    example = torch.zeros((2, 96, 64, 3), dtype=torch.uint8)
    axes = {"images": {0: "batch", 1: "height", 2: "width"}}
    axes |= {name: {0: "batch"} for name in OUTPUT_NAMES}
    with warnings.catch_warnings():
        # It warns of its own age and of the shapes we read on purpose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (example,),
            str(path),
            input_names=["images"],
            output_names=list(OUTPUT_NAMES),
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(network.config)),
        "skeleton": COCO17.name,
        "input_side": str(input_side),
        "offset": peaks.offset,  # for those who run the network without its graph
        "checkpoint_sha256": digest,
    }
    onnx.helper.set_model_props(model, metadata)
    store_half(model)
    onnx.save(model, str(path))


def _refuse_unfit(network: StackedHourglass) -> None:
    """Nothing, if serving can feed the network and read it.

    Raises:
        CheckpointMismatch: it cannot.
    """
    config = network.config
    multiple = 4 * 2**config.depth  # a quarter, then halved so often
    if not config.tags or INPUT_MULTIPLE % multiple:
        raise CheckpointMismatch(
            f"{config.name!r} is not for serving (inputs in multiples of {multiple} px, serving "
            f"gives {INPUT_MULTIPLE}; tags: {'yes' if config.tags else 'none'}); look through it "
            "with models.published, as docs/published.md shows"
        )


def store_half(model: onnx.ModelProto) -> None:
    """Keep large weights as float16 and widen them at load: half the file, the same speed.

    MoveNet's weights lose nothing, they were published in half precision.
    """
    graph = model.graph
    widen = []
    for constant in graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < _SMALLEST_STORED_HALF:
            continue
        name = constant.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        constant.CopyFrom(half)
        cast = onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT)
        widen.append(cast)
    nodes = [*widen, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _score_error(network: StackedHourglass, settings: ExportSettings) -> float:
    """Largest difference of the sorted scores on blobs of noise, at a size not traced with."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (1, 10, 8, 3), dtype=np.uint8)
    images = coarse.repeat(16, 1).repeat(16, 2)  # (1, 160, 128, 3)
    with torch.no_grad():
        rgb = torch.from_numpy(images).flip(3).permute(0, 3, 1, 2).float()
        expected = gather(network(rgb), settings.peaks)[1].numpy()
    _, session = open_weights(settings.output, threads=1, providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["scores"], {"images": images})[0])
    return float(np.abs(found - expected).max())
