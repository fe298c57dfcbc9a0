"""Maps of people whose peaks are known, and the straightforward ways to find peaks in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from kernels.peaks import Peaks

F32 = NDArray[np.float32]


def pose_maps(people: int, views: int = 1, side: int = 128) -> tuple[F32, F32, F32]:
    """Maps of people, and where those of the first view are expected.

    Returns:
        Heatmaps (V, 17, side, side), tag maps (V, 17, 1, side, side), and (P, 17, 2) joints in
        cells, off by about 3.
    """
    rng = np.random.default_rng(people)
    y, x = np.mgrid[:side, :side]
    heat = np.abs(rng.normal(0, 0.004, (views, 17, side, side))).astype(np.float32)
    tags = np.zeros((views, 17, 1, side, side), dtype=np.float32)
    poses = rng.uniform(side / 12, side * 11 / 12, (views, people, 1, 2)) + rng.normal(
        0, 7, (views, people, 17, 2)
    )
    for view, person, joint in np.ndindex(views, people, 17):
        px, py = poses[view, person, joint]
        blob = np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) * rng.uniform(0.2, 0.95)
        over = blob > heat[view, joint]
        heat[view, joint][over] = blob[over]
        tags[view, joint, 0][over & (blob > 0.01)] = 1.5 * person
    expected = poses[0] + rng.normal(0, 3, poses[0].shape)
    return heat, tags, expected.astype(np.float32)


def peaks_by_torch(heat: F32, tags: F32) -> Peaks:
    """The straightforward form: max-pooling, top-k, gathering."""
    maps = torch.from_numpy(heat)
    highest = torch.nn.functional.max_pool2d(maps, 5, 1, 2)
    scores, index = torch.where(maps == highest, maps, 0.0).flatten(2).topk(30, 2)
    found = torch.from_numpy(tags).flatten(3)[:, :, 0].gather(2, index)[..., None]
    width = heat.shape[3]
    cells = torch.stack([index % width, index // width], 3).float()
    return Peaks(cells.numpy(), scores.numpy(), found.numpy())


def peaks_in_graph(side: int) -> Callable[[F32, F32], object]:
    """The same as a graph of ONNX Runtime, one thread."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("MaxPool", ["heat"], ["top"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        helper.make_node("Equal", ["heat", "top"], ["same"]),
        helper.make_node("Where", ["same", "heat", "zero"], ["peaks"]),
        helper.make_node("Reshape", ["peaks", "flat"], ["line"]),
        helper.make_node("TopK", ["line", "count"], ["scores", "index"]),
        helper.make_node("Reshape", ["tags", "flat"], ["tag_line"]),
        helper.make_node("GatherElements", ["tag_line", "index"], ["found"], axis=2),
    ]
    constants = [
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("flat", TensorProto.INT64, [3], [0, 17, side * side]),
        helper.make_tensor("count", TensorProto.INT64, [1], [30]),
    ]
    shapes = {"heat": ["v", 17, side, side], "tags": ["v", 17, 1, side, side]}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(n, t, ["v", 17, 30])
        for n, t in (
            ("scores", TensorProto.FLOAT),
            ("index", TensorProto.INT64),
            ("found", TensorProto.FLOAT),
        )
    ]
    graph = helper.make_graph(nodes, "peaks", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda heat, tags: session.run(None, {"heat": heat, "tags": tags})
