"""The original code of a published network, with random weights, in a process of its own.

python benchmarks/published_originals.py KIND FOLDER OUT SIDE

Writes a checkpoint as that code writes it to OUT, and one picture with what the network says of it
to OUT.npz. KIND is ae, single-8, single-2 or mmpose; FOLDER is a checkout of princeton-vl/
pose-ae-train, princeton-vl/pytorch_stacked_hourglass or open-mmlab/mmpose (1.x; needs `mmengine`
and `mmcv-lite`). None of that code is part of this repository. Their packages are called as ours
are, so nothing of ours is imported here.
"""

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

PARAMETERLESS = "extensions.AE.AE_loss"  # a compiled loss, not needed to run the network
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
QUIET = ("outs", "merge", "out_conv", "remap")  # layers kept small, or eight stacks explode


def main() -> None:
    """Build, save, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["ae", "single-8", "single-2", "mmpose"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("side", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    side = options.side
    pixels = torch.randint(0, 256, (1, side, side, 3)).float()
    build = _mmpose if options.kind == "mmpose" else _princeton
    network, stored, say = build(options.kind, options.folder)
    _randomise(network)
    network.eval()
    with torch.no_grad():
        said = say(pixels / 255)
    # The oldest of the three was written before PyTorch's zip format.
    torch.save(stored(), options.out, _use_new_zipfile_serialization=options.kind != "ae")
    np.savez(f"{options.out}.npz", pixels=pixels.numpy(), said=said.numpy())


def _princeton(kind: str, folder: Path) -> tuple[torch.nn.Module, Any, Any]:
    for name in ("models", "task", "utils"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name)]
        sys.modules[name] = package
    for name in ("extensions", "extensions.AE", PARAMETERLESS):
        sys.modules[name] = types.ModuleType(name)
    sys.modules[PARAMETERLESS].AEloss = torch.nn.Identity  # type: ignore[attr-defined]
    import task.pose as task  # type: ignore[import-not-found]
    from models.posenet import PoseNet  # type: ignore[import-not-found]

    settings = dict(task.__config__["inference"])
    if kind != "ae":
        settings["nstack"] = int(kind.removeprefix("single-"))
    network = PoseNet(**settings)
    trainer = task.Trainer(torch.nn.DataParallel(network), settings["keys"], None)
    adam = torch.optim.Adam(trainer.parameters(), 2e-4)

    def stored() -> dict[str, object]:
        weights = trainer.state_dict()
        return {"state_dict": weights, "optimizer": adam.state_dict(), "epoch": 3}

    return network, stored, network


def _mmpose(kind: str, folder: Path) -> tuple[torch.nn.Module, Any, Any]:
    from mmengine.registry import Registry  # type: ignore[import-not-found]

    for name in ("mmpose", "mmpose.registry"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["mmpose.registry"].MODELS = Registry("models")  # type: ignore[attr-defined]
    path = folder / "mmpose/models/backbones/hourglass_ae.py"
    code = path.read_text(encoding="utf-8")
    # The package's own base class only sets a training mode; its import brings all of mmpose.
    code = code.replace(
        "from .base_backbone import BaseBackbone",
        "from mmengine.model import BaseModule as BaseBackbone",
    )
    found: dict[str, Any] = {"__name__": "hourglass_ae"}
    exec(compile(code, str(path), "exec"), found)
    network = found["HourglassAENet"](num_stacks=4, out_channels=34)

    def stored() -> dict[str, object]:
        weights = {f"backbone.{key}": value for key, value in network.state_dict().items()}
        return {"meta": {"mmpose_version": "0.18.0", "epoch": 300}, "state_dict": weights}

    def say(x: torch.Tensor) -> torch.Tensor:
        return torch.stack(network(((x - MEAN) / DEVIATION).permute(0, 3, 1, 2)), 1)

    return network, stored, say


def _randomise(network: torch.nn.Module) -> None:
    """Weights that keep activations near one, and statistics that are not those of a new layer."""
    for name, part in network.named_modules():
        if isinstance(part, torch.nn.Conv2d):
            gain = 0.1 if any(word in name for word in QUIET) else 0.3 if "conv3" in name else 1.0
            torch.nn.init.normal_(part.weight, 0, gain * (1.6 / part.weight[0].numel()) ** 0.5)
            if part.bias is not None:
                torch.nn.init.normal_(part.bias, 0, 0.1)
        elif isinstance(part, torch.nn.BatchNorm2d):
            for buffer, value in part.named_buffers():
                if buffer == "running_mean":
                    value.normal_(0, 0.3)
                elif buffer == "running_var":
                    value.uniform_(0.5, 2)
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.normal_(part.bias, 0, 0.2)


if __name__ == "__main__":
    main()
