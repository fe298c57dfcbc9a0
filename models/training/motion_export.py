"""The motion models as ONNX files: what training made, with the gradients that serving needs."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from ..completer_network import VelocityField
from ..completer_window import WindowGaussian
from ..prior_network import PoseFlow

__all__ = ["export_completer", "export_prior", "write_onnx"]

OPSET = 17
aten = torch.ops.aten
_ROWS = 3  # of the example; the graphs take any number


def export_prior(network: PoseFlow, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the prior: poses (B, 51), seen (B, 17) -> log_likelihood (B, 1), gradient (B, 51).

    The gradient is computed where the input ``with_gradient`` is true.
    """
    network.eval()
    network.flow.fix()
    for parameter in network.parameters():
        parameter.requires_grad_(False)

    def both(poses: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        pulled: Any = torch.func.vjp(lambda x: network(x, seen), poses)
        value, pull = pulled
        return value, pull(torch.ones_like(value))[0]

    # The constants that the network keeps are made once, outside the trace.
    network(torch.zeros(1, 51), torch.ones(1, 17))
    examples = {"poses": 0.1 * torch.randn(_ROWS, 51), "seen": torch.ones(_ROWS, 17)}
    write_onnx(both, examples, ("log_likelihood", "gradient"), path, metadata)
    _on_demand(path, "gradient", "with_gradient")
    _write_checksum(path)


def export_completer(
    network: VelocityField, gaussian: WindowGaussian, path: Path, metadata: Mapping[str, str]
) -> None:
    """Write the completer: its velocity field, and its Gaussian as outputs that never change.

    The inputs are named as in `VelocityField.forward`; the outputs are velocity (B, 51),
    window_mean (K * 51,) and window_precision, the lower triangle of the matrix row by row.
    """
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    columns = len(gaussian.mean)
    widths = {"state": 51, "seen": 17, "filled": columns, "spread": 51}
    widths |= {"places": 102, "drifts": 102, "nearness": 34, "time": 1}
    examples = {name: torch.rand(_ROWS, width) for name, width in widths.items()}
    network(*examples.values())  # makes the constants outside the trace
    write_onnx(network, examples, ("velocity",), path, metadata)
    model = onnx.load(str(path))
    triangle = gaussian.precision[np.tril_indices(columns)]
    for name, values in (("window_mean", gaussian.mean), ("window_precision", triangle)):
        stored = numpy_helper.from_array(values.astype(np.float32), f"{name}_stored")
        model.graph.initializer.append(stored)
        model.graph.node.append(helper.make_node("Identity", [stored.name], [name]))
        kind = helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape)
        model.graph.output.append(kind)
    onnx.save(model, str(path))
    _write_checksum(path)


def write_onnx(
    function: Callable[..., object],
    examples: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    path: Path,
    metadata: Mapping[str, str],
) -> None:
    """A function of tensors, its gradients taken inside included, as an ONNX file with a checksum.

    Args:
        function: of the examples, in order; made of operations that do not depend on the number
            of rows.
        examples: by the inputs' names.
        outputs: names.
        path: to write; its ``.sha256`` goes beside it.
        metadata: what the file says of itself.
    """
    # The exporter knows these derivatives only as the arithmetic that they are.
    arithmetic: Any = get_decompositions([aten.silu_backward, aten.tanh_backward])
    traced = make_fx(function, decomposition_table=arithmetic)(*examples.values())
    axes = {name: {0: "rows"} for name in (*examples, *outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        torch.onnx.export(
            _plain(traced),
            tuple(examples.values()),
            str(path),
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    _write_checksum(path)


def _write_checksum(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  {path.name}\n", encoding="ascii")


def _plain(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _on_demand(path: Path, output: str, switch: str) -> None:
    """Compute one output only if a new scalar input says so; zeros of one row otherwise.

    ONNX Runtime computes all of a graph whatever is asked of it, but not the branch not taken.
    """
    model = onnx.load(str(path))
    graph = model.graph
    wanted = {one.name for one in graph.output if one.name != output}
    always: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if wanted & {*node.output}:
            wanted |= {*node.input}
            always.insert(0, node)
    kept = {name for node in always for name in node.output}
    asked = [node for node in graph.node if not kept & {*node.output}]
    (shown,) = (one for one in graph.output if one.name == output)
    zeros = numpy_helper.from_array(np.zeros((1, 51), np.float32))
    nothing = helper.make_node("Constant", [], [f"{output}_none"], value=zeros)
    branches = {
        "then_branch": helper.make_graph(asked, "asked", [], [shown]),
        "else_branch": helper.make_graph(
            [nothing],
            "not_asked",
            [],
            [helper.make_tensor_value_info(f"{output}_none", TensorProto.FLOAT, (1, 51))],
        ),
    }
    told = helper.make_node("If", [switch], [f"{output}_if_asked"], **branches)
    result = helper.make_tensor_value_info(f"{output}_if_asked", TensorProto.FLOAT, None)
    del graph.node[:]
    graph.node.extend([*always, told])
    graph.input.append(helper.make_tensor_value_info(switch, TensorProto.BOOL, ()))
    graph.output.remove(shown)
    graph.output.append(result)
    onnx.save(model, str(path))
