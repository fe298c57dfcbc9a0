"""A trained refiner becomes the file that serving runs, and is compared with it.

python -m models.training.refiner_export CHECKPOINT OUT.onnx
"""

import argparse
import hashlib
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ..refiner import open_refiner_weights, pack
from ..refiner_tracks import LAG
from .export import store_half
from .refiner_loop import open_refiner
from .refiner_network import Refiner, RefinerLayer, Tokens, angles, turned

__all__ = ["PARITY", "SideBySide", "export_refiner"]

# Weights are stored with 11 bits; the answer is in units of the smoother's sigma, some 10 mm, and
# moves by up to one of them: 2**-12 through 12 layers of independent roundings is 1e-3 of it.
PARITY = 5e-3
_OPSET = 17


class SideBySide(nn.Module):
    """The same network with attention in operations that ONNX has."""

    def __init__(self, network: Refiner) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, tokens: Tensor, positions: Tensor, slots: Tensor, places: Tensor, hidden: Tensor
    ) -> Tensor:
        """As :class:`models.refiner.Packing` lays them out -> (T, outputs)."""
        config = self.network.config
        size = config.width // config.heads
        turns = angles(positions, size)
        x = self.network.enter(tokens)
        for part in self.network.layers:
            layer = cast(RefinerLayer, part)
            q, k, v = layer.qkv(layer.norm1(x)).view(-1, 3, config.heads, size).unbind(1)
            q, k = turned(q, turns), turned(k, turns)
            wide = [each[slots].transpose(1, 2) for each in (q, k, v)]  # (S, H, N, D) each
            scores = wide[0] @ wide[1].transpose(2, 3) * size**-0.5 + hidden[:, None]
            mixed = (scores.softmax(3) @ wide[2]).transpose(1, 2)  # (S, N, H, D)
            x = x + layer.mixed(mixed.reshape(-1, config.width)[places])
            x = x + layer.unit(x)
        out: Tensor = self.network.leave(self.network.norm(x))
        return out


def export_refiner(checkpoint: Path, output: Path) -> float:
    """Write the ONNX file of a run's averaged weights and prove that it says the same.

    Returns:
        The largest difference of an answer.

    Raises:
        WeightsMissing: no such checkpoint.
        WeightsDamaged: it cannot be read.
    """
    network = open_refiner(checkpoint)
    rng = np.random.default_rng(0)
    causal = network.config.lag is not None
    rows = [rng.normal(size=(n, network.config.inputs)).astype(np.float32) for n in (7, 30, 1)]
    packing = pack(rows, causal=causal)
    arrays = (packing.tokens, packing.positions, packing.slots, packing.places, packing.hidden)
    names = ("tokens", "positions", "slots", "places", "hidden")
    axes = {
        "tokens": {0: "frames"},
        "positions": {0: "frames"},
        "slots": {0: "sequences", 1: "longest"},
        "places": {0: "frames"},
        "hidden": {0: "sequences", 1: "longest", 2: "longest"},
        "answers": {0: "frames"},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own age
        torch.onnx.export(
            SideBySide(network).eval(),
            tuple(torch.from_numpy(array) for array in arrays),
            str(output),
            input_names=list(names),
            output_names=["answers"],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    model = onnx.load(str(output))
    metadata = {
        "format": "quadglass-refiner/1",
        "config": json.dumps(asdict(network.config)),
        "lag": str(-1 if network.config.lag is None else LAG),
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }
    onnx.helper.set_model_props(model, metadata)
    store_half(model)
    onnx.save(model, str(output))
    lengths = [len(row) for row in rows]
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    tokens = Tokens(
        torch.from_numpy(packing.tokens), offsets, torch.from_numpy(packing.positions), max(lengths)
    )
    with torch.no_grad():
        expected = network(tokens).numpy()
    session = open_refiner_weights(output)
    found = np.asarray(session.run(None, dict(zip(names, arrays, strict=True)))[0])
    error = float(np.abs(found - expected).max())
    limit = PARITY * max(1.0, float(np.abs(expected).max()))
    assert error <= limit, f"export differs by {error:.2e} from the network, allowed {limit:.2e}"
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    output.with_suffix(".sha256").write_text(f"{digest}  {output.name}\n", encoding="ascii")
    return error


def main() -> None:
    """Export, and log how well it agrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    export_refiner(asked.checkpoint, asked.output)


if __name__ == "__main__":
    main()
