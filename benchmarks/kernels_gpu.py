"""What `python -m benchmarks.kernels --gpu` measures: our device code beside its peers on CUDA.

Attention beside each backend of PyTorch's, FlexAttention and the unfused form, forward and with
the backward pass, with the share of the card's own ceilings (a large matrix product, a copy);
ragged packs beside padding and PyTorch's packed attention; decode of four views; four views at
512 x 512 through the published 4-stack network, with the share of its convolutions. Last come the
targets, each met or missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import torch

from .kernels_gpu_attention import LONGEST, SEQUENCES, SHAPES, dense, ragged
from .kernels_gpu_pictures import CONVOLUTIONS, decode, whole
from .kernels_gpu_timing import Figure, ceilings

__all__ = ["measure", "show", "targets"]


def show(figures: list[Figure]) -> None:
    """A line for each, with the share of the ceilings."""
    limits = [f for f in figures if f.what == "ceiling"]
    best_tflops = max((f.tflops or 0.0 for f in limits), default=0.0)
    best_gbps = max((f.gbps or 0.0 for f in limits), default=0.0)
    for f in figures:
        time_ms = "-" if f.ms is None else f"{f.ms:.3f} ms"
        speed = ""
        if f.tflops:
            share = f", {100 * f.tflops / best_tflops:.0f} % of the ceiling" if best_tflops else ""
            speed += f"  {f.tflops:.1f} TFLOP/s{share}"
        if f.gbps:
            share = f", {100 * f.gbps / best_gbps:.0f} % of the ceiling" if best_gbps else ""
            speed += f"  {f.gbps:.0f} GB/s{share}"
        print(f"{f.what:14} {f.case:36} {f.who:16} {time_ms:>12}{speed}  {f.note}")


def targets(figures: Sequence[Figure]) -> Iterator[Figure]:
    """What was aimed at, as ``note`` met or missed, from the figures."""
    best: dict[tuple[str, str], float] = {}
    ours: dict[tuple[str, str], float] = {}
    for f in figures:
        key = (f.what, f.case)
        if f.ms is not None and f.who == "ours":
            ours[key] = f.ms
        elif f.ms is not None and f.who.startswith(("sdpa", "padded sdpa")):
            best[key] = min(best.get(key, f.ms), f.ms)
    for (what, case), ms in ours.items():
        peer = best.get((what, case))
        if (
            what == "forward"
            and peer is not None
            and any(f" x {n} x" in case for n in (4096, 8192))
        ):
            note = f"{100 * peer / ms:.0f} % of the best SDPA, wanted 70"
            yield Figure("target", case, "forward", None, note=_judged(note, peer / ms >= 0.7))
        if what == "packed" and peer is not None and _padding(case) >= 49:
            note = f"{peer / ms:.2f} x the padded SDPA, wanted over 1"
            yield Figure("target", case, "packed", None, note=_judged(note, peer > ms))
        if what == "decode":
            note = f"{ms:.3f} ms, wanted 0.3"
            yield Figure("target", case, "decode", None, note=_judged(note, ms <= 0.3))
    for f in figures:
        if f.who == CONVOLUTIONS:
            share = float(f.note.split()[0])
            note = f"{share:.0f} % in convolutions, wanted 90"
            yield Figure("target", f.case, "end to end", None, note=_judged(note, share >= 90))


def _padding(case: str) -> float:
    """Per cent of a pack's padded form that is padding, as its case tells."""
    return float(case.split(",")[1].split()[0])


def _judged(note: str, met: bool) -> str:
    return f"{note}: {'met' if met else 'MISSED'}"


def measure(*, quick: bool) -> list[dict[str, object]]:
    """All figures, printed as they come; one that says "not measured" without a GPU."""
    if not torch.cuda.is_available():
        print("GPU: not measured, there is none on this machine")
        return [asdict(Figure("all", "", "", None, note="not measured: no GPU"))]
    from models.hourglass import StackedHourglass, published_ae

    name = torch.cuda.get_device_name()
    print(f"GPU: {name}, CUDA {torch.version.cuda}")
    repeat, shapes = (10, SHAPES[:2]) if quick else (50, SHAPES)
    figures: list[Figure] = []
    network = StackedHourglass(published_ae())
    sections = (
        ceilings("cuda", 4096 if quick else 8192, repeat),
        dense("cuda", shapes, torch.bfloat16, repeat),
        ragged("cuda", SEQUENCES, LONGEST, torch.bfloat16, repeat),
        decode("cuda", 128, repeat),
        whole("cuda", 512, network, repeat),
    )
    for section in sections:
        figures.extend(section)
    figures.extend(list(targets(figures)))
    show(figures)
    return [{"card": name, **asdict(figure)} for figure in figures]
