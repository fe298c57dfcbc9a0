"""What recomputing each stack in the backward pass saves, and what it costs.

python -m benchmarks.checkpointing [--quick] [--json FILE]

One picture forward and backward through the published 4-stack network at 512 x 512, and through
four stacks of bottlenecks with 256 channels. Every row is a process of its own with one thread:
what it held after the forward pass (weights not counted), its peak with weights and gradients but
without the interpreter and its libraries, its time, and a digest of all gradients, which must be
the same with and without.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from models.hourglass import HourglassConfig, StackedHourglass, published_ae

SIDE = 512
QUICK_SIDE = 128
MIB = 2**20
NETWORKS = {
    "published-ae": published_ae(),
    "bottleneck-4x256": HourglassConfig("bottleneck-4x256", "paper", 4, 256, 0, 4, "bottleneck", 1),
}


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass."""

    network: str
    checkpointing: bool
    side: int
    weights_mib: float  # weights alone; their gradients are as large again
    held_mib: float  # more than before the forward pass, at its end: what it saved for later
    process_mib: float  # peak of the whole process
    peak_mib: float  # of that, without the interpreter and its libraries
    cpu_s: float
    gradients: str  # sha256 of all of them in order
    statistics: str  # sha256 of the running means and variances


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIDE} px, for a look")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "ON", "SIDE"), help="one pass")
    options = parser.parse_args()
    if options.one is not None:
        name, on, side = options.one
        print(json.dumps(asdict(one_pass(name, on == "on", int(side)))))
        return
    side = QUICK_SIDE if options.quick else SIDE
    passes = [_in_its_own_process(name, on, side) for name in NETWORKS for on in ("off", "on")]
    machine = _machine()
    print(_table(passes, machine))
    if options.json is not None:
        figures = {"machine": machine, "passes": [asdict(one) for one in passes]}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def one_pass(name: str, checkpointing: bool, side: int) -> Pass:
    """One picture through the network and back, in this process.

    Args:
        name: of ``NETWORKS``.
        checkpointing: whether each stack is recomputed.
        side: px of the square picture.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3)
    conv(torch.rand(1, 3, 32, 32)).sum().backward()
    libraries = _resident_mib()
    network = StackedHourglass(replace(NETWORKS[name], checkpointing=checkpointing))
    _loss(network, torch.rand(1, 3, 128, 128) * 255).backward()  # gradients get room
    for weight in network.parameters():
        assert weight.grad is not None, "every weight is used"
        weight.grad.zero_()
    images = torch.rand(1, 3, side, side) * 255
    before = _resident_mib()
    begun = time.process_time()
    loss = _loss(network, images)
    held = _resident_mib() - before
    loss.backward()
    cpu_s = time.process_time() - begun
    weights = list(network.parameters())
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Pass(
        network=name,
        checkpointing=checkpointing,
        side=side,
        weights_mib=sum(weight.nbytes for weight in weights) / MIB,
        held_mib=held,
        process_mib=process,
        peak_mib=process - libraries,
        cpu_s=cpu_s,
        gradients=_digest([weight.grad for weight in weights if weight.grad is not None]),
        statistics=_digest(list(network.buffers())),
    )


def _loss(network: StackedHourglass, images: torch.Tensor) -> torch.Tensor:
    """Something of every output of every stack, as in training."""
    losses = [(stack.heat**2).mean() + (stack.tags**2).mean() for stack in network(images).stacks]
    return torch.stack(losses).sum()


def _digest(tensors: Sequence[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / MIB


def _in_its_own_process(name: str, on: str, side: int) -> Pass:
    # Freed maps go back to the system at once, so resident memory is memory in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.checkpointing", "--one", name, on, str(side)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Pass(**json.loads(done.stdout))


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return f"{cpu}, {os.cpu_count()} cores, torch {torch.__version__}, one thread"


def _table(passes: Sequence[Pass], machine: str) -> str:
    rows = [
        machine,
        "",
        "| network | recomputed | px | weights MiB | saved MiB | peak MiB "
        "| whole process MiB | CPU s | gradients | running statistics |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --- | --- |",
    ]
    for plain, saving in zip(passes[::2], passes[1::2], strict=True):
        same = "the same" if plain.gradients == saving.gradients else "DIFFERENT"
        alike = "the same" if plain.statistics == saving.statistics else "DIFFERENT"
        for one, grad, seen in ((plain, "", ""), (saving, same, alike)):
            rows.append(
                f"| {one.network} | {'every stack' if one.checkpointing else 'nothing'} | "
                f"{one.side} | {one.weights_mib:.0f} | {one.held_mib:.0f} | {one.peak_mib:.0f} | "
                f"{one.process_mib:.0f} | {one.cpu_s:.2f} | {grad} | {seen} |"
            )
        rows.append(
            f"| ratio | | | | {saving.held_mib / plain.held_mib:.2f} | "
            f"{saving.peak_mib / plain.peak_mib:.2f} | "
            f"{saving.process_mib / plain.process_mib:.2f} | "
            f"{saving.cpu_s / plain.cpu_s:.2f} | | |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
