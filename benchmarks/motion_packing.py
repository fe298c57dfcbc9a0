"""What packing saves the refiner: every frame computed once, no padded one, at 10 to 90 % padding.

    python -m benchmarks.motion_packing [--quick] [--json FILE]

The same network, processor time of one thread, medians: its tracks packed into one sequence with
offsets, beside the same tracks padded to the longest with a mask. Padded means all of it: linear
layers, normalisations and attention over empty places too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernels import attention
from models.refiner_tracks import width_of
from models.training.refiner_network import Refiner, RefinerConfig, Tokens, angles, turned

from .machine import machine, machine_line

__all__ = ["measure_packing", "padded", "tokens_of"]

PADDING = (0.1, 0.3, 0.5, 0.7, 0.9)
_TRACKS, _LONGEST = 24, 96


def tokens_of(lengths: list[int], inputs: int, seed: int = 0) -> Tokens:
    """Noise of these lengths, packed."""
    torch.manual_seed(seed)
    offsets = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    positions = torch.cat([torch.arange(n) for n in lengths])
    return Tokens(torch.randn(sum(lengths), inputs), offsets, positions, max(lengths))


def padded(network: Refiner, rows: Tensor, real: Tensor) -> Tensor:
    """The network over tracks padded to one length.

    Args:
        network: any refiner.
        rows: (S, N, inputs)
        real: (S, N) bool.

    Returns:
        (S, N, outputs), anything where nothing is real.
    """
    config = network.config
    size, (tracks, length) = config.width // config.heads, real.shape
    bias = torch.zeros(tracks, 1, 1, length).masked_fill(~real[:, None, None], -torch.inf)
    if config.lag is not None:
        ahead = ~torch.ones(length, length, dtype=torch.bool).tril()
        bias = bias.expand(-1, 1, length, length).masked_fill(ahead, -torch.inf)
    turns = angles(torch.arange(length).repeat(tracks), size)
    x = network.enter(rows.flatten(0, 1))
    for layer in network.layers:
        q, k, v = layer.qkv(layer.norm1(x)).view(len(x), 3, config.heads, size).unbind(1)
        wide = [
            part.view(tracks, length, config.heads, size).transpose(1, 2)
            for part in (turned(q, turns), turned(k, turns), v)
        ]
        mixed = attention(*wide, bias=bias).transpose(1, 2).reshape(len(x), -1)
        x = x + layer.mixed(mixed)
        x = x + layer.unit(x)
    out: Tensor = network.leave(network.norm(x))
    return out.view(tracks, length, -1)


def lengths_of(share: float) -> list[int]:
    """Lengths whose padded form is this share empty; one of the full length."""
    mean = (1 - share) * _LONGEST
    low = max(2 * mean - _LONGEST, 1.0)
    high = min(2 * mean - low, _LONGEST)
    steps = _TRACKS - 2
    return [round(low + (high - low) * i / steps) for i in range(_TRACKS - 1)] + [_LONGEST]


def measure_packing(quick: bool) -> dict[str, Any]:
    """A row for each share of padding."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Refiner(RefinerConfig(width_of(None), None)).eval()
    torch.nn.init.normal_(network.leave.weight, 0, 0.1)
    repeat, rows = 5 if quick else 15, []
    heads = ("padding", "given", "computed", "padded", "ms", "padded ms", "ratio")
    print("\n" + "".join(f"{head:>10}" for head in heads))
    for share in PADDING:
        lengths = lengths_of(share)
        tokens = tokens_of(lengths, network.config.inputs)
        real = torch.arange(_LONGEST) < torch.tensor(lengths)[:, None]
        wide = torch.zeros(_TRACKS, _LONGEST, network.config.inputs)
        wide[real] = tokens.rows
        computed = counted(network, lambda t=tokens: network(t))
        with torch.no_grad():
            off = float((network(tokens) - padded(network, wide, real)[real]).abs().max())
            ours = milliseconds(lambda t=tokens: network(t), repeat)
            theirs = milliseconds(lambda w=wide, r=real: padded(network, w, r), repeat)
        empty = 1 - sum(lengths) / real.numel()
        rows.append(
            {"padding": round(empty, 3), "given": sum(lengths), "computed": computed,
             "padded_tokens": real.numel(), "packed_ms": ours, "padded_ms": theirs, "apart": off}
        )  # fmt: skip
        print(
            f"{100 * empty:9.0f}%{sum(lengths):10}{computed:10}{real.numel():10}{ours:10.1f}"
            f"{theirs:10.1f}{theirs / ours:10.2f}  apart {off:.0e}"
        )
    return {"packing": rows}


def counted(network: Refiner, run: Callable[[], object]) -> int:
    """Rows that the first layer is given."""
    seen: list[int] = []
    handle = network.enter.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    with torch.no_grad():
        run()
    handle.remove()
    return sum(seen)


def milliseconds(run: Callable[[], object], repeat: int) -> float:
    """Processor time of one call, the median after one that warms up."""
    run()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    print(machine_line(machine()))
    report = measure_packing(asked.quick)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
