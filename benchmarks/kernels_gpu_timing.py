"""How a figure is taken on a GPU, and what the card does at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

__all__ = ["Figure", "ceilings", "milliseconds", "timed"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One timing; ``tflops`` and ``gbps`` where they mean something."""

    what: str
    case: str
    who: str
    ms: float | None  # None where it cannot run, see ``note``
    tflops: float | None = None
    gbps: float | None = None
    note: str = ""


def milliseconds(run: Callable[[], object], device: str, repeat: int) -> float:
    """Time of one call, the median of ``repeat`` after three that warm up.

    On ``cuda`` it is the device's time; on ``cpu`` and ``host`` the caller's own.
    """
    for _ in range(1 if device == "cpu" else 3):
        run()
    times = []
    for _ in range(repeat):
        if device == "cuda":
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            stop.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(stop))
        else:
            before = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - before))
    return statistics.median(times)


def timed(what: str, case: str, who: str, run: Callable[[], object], **about: object) -> Figure:
    """A figure, or why there is none: not every peer takes every shape on every card."""
    from triton.runtime.errors import TritonError  # needed only where something is measured

    device, repeat = str(about["device"]), int(str(about["repeat"]))
    try:
        ms = milliseconds(run, device, repeat)
    except (RuntimeError, ImportError, TritonError) as error:
        return Figure(what, case, who, None, note=str(error).splitlines()[0][:100])
    flops, moved = about.get("flops"), about.get("moved")
    return Figure(
        *(what, case, who, ms),
        tflops=float(str(flops)) / ms / 1e9 if flops else None,
        gbps=float(str(moved)) / ms / 1e6 if moved else None,
    )


def ceilings(device: str, side: int, repeat: int) -> Iterator[Figure]:
    """What this card does at best: a square bfloat16 product, and a copy."""
    a, b = torch.randn(2, side, side, device=device, dtype=torch.bfloat16).unbind()
    about = {"device": device, "repeat": repeat}
    yield timed("ceiling", f"product {side}", "cublas", lambda: a @ b, flops=2 * side**3, **about)
    whole = torch.empty(side * side * 8, device=device, dtype=torch.uint8)
    into = torch.empty_like(whole)
    moved = 2 * whole.numel()
    yield timed("ceiling", "copy", "torch", lambda: into.copy_(whole), moved=moved, **about)
