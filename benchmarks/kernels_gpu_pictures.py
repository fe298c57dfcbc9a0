"""From pictures to peaks on a GPU: decode, the whole way, and what the network is of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional

from models.hourglass import StackedHourglass
from models.runtime_torch import runner_for

from .kernels_gpu_timing import Figure, timed

__all__ = ["CONVOLUTIONS", "decode", "whole"]

CONVOLUTIONS = "convolutions"


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
    device: str, side: int, network: StackedHourglass, repeat: int, views: int = 4
) -> Iterator[Figure]:
    """All views from bytes to peaks, and how much of it the network and its convolutions are."""
    from kernels.peaks_triton import find_peaks_on_gpu
    from kernels.preprocess_triton import preprocess_on_gpu, table_of

    dtype = torch.float16 if device == "cuda" else torch.float32
    network = network.eval().to(device, dtype, memory_format=torch.channels_last)
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
    yield timed(
        "end to end",
        case,
        "pictures to peaks, served",
        served(network, device, side, views),
        **{**about, "device": "host" if device == "cuda" else device},
    )
    share = convolutions(through, device)
    yield Figure("end to end", case, CONVOLUTIONS, None, note=f"{100 * share:.0f} % of the time")


def served(network: StackedHourglass, device: str, side: int, views: int) -> Callable[[], object]:
    """As the service runs it: pictures on the host in, peaks on the host out, recorded.

    Two sets of views a call, so that the second is copied while the first is computed; its time
    is that of both.
    """
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (views, side, side, 3), dtype=np.uint8))
    runner = runner_for(network, device, (views,))
    inner = [(side, side)] * views

    def both() -> object:
        waits = [runner.send(pictures, inner, (side, side)) for _ in range(2)]
        return [wait() for wait in waits]

    return both


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
