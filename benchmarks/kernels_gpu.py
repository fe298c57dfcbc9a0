"""What `python -m benchmarks.kernels --gpu` measures: our device code beside its peers on CUDA.

Attention beside each backend of PyTorch's, FlexAttention and the unfused form, forward and with
the backward pass, with the share of the card's own ceilings (a large matrix product, a copy);
ragged packs beside padding and PyTorch's packed attention; decode of four views; four views at
512 x 512 through the published 4-stack network, with the share of its convolutions.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernels import attention, varlen_attention
from kernels.packing import spans

SHAPES = [  # batch, heads, length, head size
    (4, 8, 256, 64),
    (4, 8, 1024, 64),
    (4, 16, 1024, 128),
    (4, 16, 4096, 64),
    (4, 16, 4096, 128),
    (4, 16, 8192, 128),
]
SEQUENCES, LONGEST = 32, 2048  # of a ragged pack
PADDING = (0.1, 0.3, 0.5, 0.7, 0.9)
SDPA = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


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
    """Time of one call on the device, the median of ``repeat`` after three that warm up."""
    for _ in range(3 if device == "cuda" else 1):
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


def peers(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> dict[str, Callable[[], Tensor]]:
    """Every way to attend, ours first."""

    def by_sdpa(choice: SDPBackend) -> Tensor:
        with sdpa_kernel(choice):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: attention(q, k, v, causal=causal, backend="triton")
    }
    for name, choice in SDPA.items():
        ways[f"sdpa {name}"] = lambda choice=choice: by_sdpa(choice)  # type: ignore[misc]
    if q.is_cuda:
        ways["flex"] = flexible(q, k, v, causal)
    ways["unfused"] = lambda: attention(q, k, v, causal=causal, backend="reference")
    return ways


def flexible(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Callable[[], Tensor]:
    """FlexAttention, compiled."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = None
    if causal:
        rows, cols = q.shape[2], k.shape[2]
        mask = create_block_mask(
            lambda _b, _h, i, j: i >= j, None, None, rows, cols, device=q.device
        )
    compiled = torch.compile(flex_attention)
    return lambda: compiled(q, k, v, block_mask=mask)


def dense(
    device: str, shapes: list[tuple[int, int, int, int]], dtype: torch.dtype, repeat: int
) -> Iterator[Figure]:
    """Attention over dense batches, forward, and forward with backward."""
    for batch, heads, length, size in shapes:
        for causal in (False, True):
            case = f"{batch} x {heads} x {length} x {size}{' causal' if causal else ''}"
            q, k, v = (
                torch.randn(batch, heads, length, size, device=device, dtype=dtype)
                .detach()
                .requires_grad_()
                for _ in range(3)
            )
            # Two products forward, five more backward; half of everything if causal.
            flops = 4 * batch * heads * length**2 * size / (2 if causal else 1)
            moved = 4 * q.numel() * q.element_size()
            for who, way in peers(q, k, v, causal).items():
                if who in ("unfused", "sdpa math") and batch * heads * length**2 > 2**31:
                    yield Figure("forward", case, who, None, note="its scores do not fit")
                    continue

                def forward(way: Callable[[], Tensor] = way) -> object:
                    with torch.no_grad():
                        return way()

                operands = (q, k, v)

                def both(
                    way: Callable[[], Tensor] = way, of: tuple[Tensor, ...] = operands
                ) -> object:
                    out = way()
                    return torch.autograd.grad(out, of, out)

                about = {"device": device, "repeat": repeat}
                yield timed("forward", case, who, forward, flops=flops, moved=moved, **about)
                yield timed("with backward", case, who, both, flops=3.5 * flops, **about)


def ragged(
    device: str, count: int, longest: int, dtype: torch.dtype, repeat: int, heads: int = 16
) -> Iterator[Figure]:
    """Packs whose padded form would be 10 to 90 % padding, heads of 64."""
    for share in PADDING:
        # Evenly spread about the mean that leaves this share empty; one of the full length.
        mean = max(1 - share, 1 / longest) * longest
        low = max(2 * mean - longest, 1.0)
        high = min(2 * mean - low, longest)
        lengths = [round(low + (high - low) * i / (count - 1)) for i in range(count - 1)]
        lengths.append(longest)
        cu = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
        shape = (sum(lengths), heads, 64)
        q, k, v = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
        at, real = spans(cu, longest)
        flops = 4 * heads * 64 * sum(n * n for n in lengths)
        empty = 1 - sum(lengths) / (count * longest)
        case = f"{count} x up to {longest}, {100 * empty:.0f} % padding"

        def padded(q=q, k=k, v=v, at=at, real=real) -> object:  # type: ignore[no-untyped-def]
            wide = [x[at].transpose(1, 2) for x in (q, k, v)]
            mask = real[:, None, None]
            return functional.scaled_dot_product_attention(*wide, attn_mask=mask)

        def packed(q=q, k=k, v=v, cu=cu) -> object:  # type: ignore[no-untyped-def]
            from torch.nn.attention.varlen import varlen_attn

            return varlen_attn(q, k, v, cu, cu, longest, longest)

        def ours(q=q, k=k, v=v, cu=cu) -> object:  # type: ignore[no-untyped-def]
            return varlen_attention(q, k, v, cu, cu, longest, longest, backend="triton")

        for who, way in (("ours", ours), ("padded sdpa", padded), ("torch varlen", packed)):
            with torch.no_grad():
                yield timed("packed", case, who, way, flops=flops, device=device, repeat=repeat)


def decode(device: str, side: int, repeat: int, views: int = 4) -> Iterator[Figure]:
    """Peaks and tags of several views of six people."""
    from kernels.peaks_triton import find_peaks_on_gpu

    from .peaks_peers import pose_maps

    heat, tags, _ = pose_maps(6, views=views, side=side)
    maps = torch.from_numpy(heat).to(device, torch.float16)
    tag_maps = torch.from_numpy(tags).to(device, torch.float16)

    def by_torch() -> object:
        highest = functional.max_pool2d(maps, 5, 1, 2)
        scores, index = torch.where(maps == highest, maps, 0.0).flatten(2).topk(30, 2)
        return scores, tag_maps.flatten(3)[:, :, 0].gather(2, index)

    case = f"{views} views x 17 x {side} x {side}"
    about = {"device": device, "repeat": repeat}
    yield timed("decode", case, "ours", lambda: find_peaks_on_gpu(maps, tag_maps), **about)
    yield timed("decode", case, "torch", by_torch, **about)


def whole(
    device: str, side: int, network: nn.Module, repeat: int, views: int = 4
) -> Iterator[Figure]:
    """All views from bytes to peaks, and how much of it the network and its convolutions are."""
    from kernels.peaks_triton import find_peaks_on_gpu
    from kernels.preprocess_triton import preprocess_on_gpu, table_of

    dtype = torch.float16 if device == "cuda" else torch.float32
    network = network.eval().to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures = torch.randint(0, 256, (views * 3 * side * side,), device=device, dtype=torch.uint8)
    table = table_of([(side, side)] * views, [(side, side)] * views).to(device)
    ready = preprocess_on_gpu(pictures, table, (side, side), dtype=dtype)

    def through() -> object:
        with torch.inference_mode():
            x = preprocess_on_gpu(pictures, table, (side, side), dtype=dtype)
            last = network(x).stacks[-1]
            return find_peaks_on_gpu(last.heat, last.tags[:, :, None])

    def network_alone() -> object:
        with torch.inference_mode():
            return network(ready)

    case, about = f"{views} views x {side} x {side}", {"device": device, "repeat": repeat}
    yield timed("end to end", case, "bytes to peaks", through, **about)
    yield timed("end to end", case, "network alone", network_alone, **about)
    share = convolutions(through, device)
    yield Figure("end to end", case, "convolutions", None, note=f"{100 * share:.0f} % of the time")


def convolutions(run: Callable[[], object], device: str) -> float:
    """Share of the device's time spent in convolutions."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=kinds) as record:
        run()
    events = record.key_averages()
    own = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    total = sum(getattr(event, own) for event in events)
    spent = "device_time_total" if device == "cuda" else "cpu_time_total"
    inside = sum(getattr(e, spent) for e in events if e.key == "aten::convolution")
    return inside / total if total else 0.0


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
    show(figures)
    return [{"card": name, **asdict(figure)} for figure in figures]
