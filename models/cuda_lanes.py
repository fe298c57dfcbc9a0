"""A network on CUDA from bytes to peaks: recorded batches, and copies beside the computation.

A batch has one of a few sizes (buckets) and one input size; every such pair is recorded as a CUDA
graph the second time it comes. Each has two lanes, used in turn, with memory of their own on the
host (pinned) and on the device, so that one batch is copied while the other is computed: three
streams, one up, one that computes, one down. Speed: not measured, no GPU was at hand.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels.preprocess import Normalisation
from kernels.preprocess_triton import preprocess_on_gpu, table_of

from .hourglass import StackedHourglass
from .peaks_on_gpu import gather_on_gpu
from .training.peaks import PeakSettings

__all__ = ["CudaRunner", "look"]

F32: TypeAlias = NDArray[np.float32]
U8: TypeAlias = NDArray[np.uint8]

RECORD_AT = 2  # a pair that comes once, a single picture of an odd shape, is not worth recording
MOST_PAIRS = 16  # kept; the one not used for longest goes first
_SPARE = 1.25  # room for pictures somewhat larger than the first ones of a lane


def look(
    network: StackedHourglass,
    pixels: Tensor,
    table: Tensor,
    outer_px: tuple[int, int],
    rules: Normalisation,
    settings: PeakSettings,
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    """Bytes to peaks; nothing in it waits for the host.

    Args:
        network: on the device, in ``dtype``.
        pixels: (N,) uint8 of all pictures, one after the other.
        table: of ``kernels.preprocess_triton.table_of``.
        outer_px: (width, height) of the input.
        rules: of the pixels.
        settings: of the peaks.
        dtype: of the input.

    Returns:
        As :func:`models.training.peaks.gather`, float32.
    """
    x = preprocess_on_gpu(pixels, table, outer_px, rules, dtype=dtype, whole_bytes=True)
    return gather_on_gpu(network(x), settings)


class CudaRunner:
    """Holds the network on the GPU, its streams and its lanes (state)."""

    def __init__(
        self,
        network: StackedHourglass,
        rules: Normalisation,
        settings: PeakSettings,
        buckets: Sequence[int],
    ) -> None:
        self._network = network.to("cuda", torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rules, self._settings, self._buckets = rules, settings, tuple(buckets)
        self._up, self._compute, self._down = (torch.cuda.Stream() for _ in range(3))  # type: ignore[no-untyped-call]
        self._compute.wait_stream(torch.cuda.current_stream())  # the weights are on their way
        # Graphs run one after the other on one stream, so their insides may share memory.
        self._pool = torch.cuda.graph_pool_handle()
        self._pairs: OrderedDict[tuple[int, tuple[int, int]], list[_Lane]] = OrderedDict()

    def send(
        self, images: Sequence[U8], inner_px: Sequence[tuple[int, int]], outer_px: tuple[int, int]
    ) -> Callable[[], list[F32]]:
        """As ``models.runtime_torch.Runner`` says."""
        bucket = next(size for size in self._buckets if size >= len(images))
        lane = self._next_lane(bucket, outer_px, sum(image.size for image in images))
        lane.upload(images, inner_px, self._up)
        with torch.inference_mode(), torch.cuda.stream(self._compute):
            self._compute.wait_event(lane.uploaded)
            if lane.graph is not None:
                lane.graph.replay()
            else:
                self._run(lane, outer_px)
            lane.computed.record(self._compute)
        lane.download(self._down)
        count = len(images)
        return lambda: lane.read(count)

    def _next_lane(self, bucket: int, outer_px: tuple[int, int], size: int) -> "_Lane":
        """The lane whose turn it is; a new one where there is none or the pictures do not fit."""
        lanes = self._pairs.setdefault((bucket, outer_px), [])
        self._pairs.move_to_end((bucket, outer_px))
        if len(self._pairs) > MOST_PAIRS:
            for old in self._pairs.popitem(last=False)[1]:
                old.finish()
        lane = lanes.pop(0) if len(lanes) == 2 else None
        if lane is None or lane.room < size:
            if lane is not None:
                lane.finish()
            lane = _Lane(bucket, int(_SPARE * size))
        lanes.append(lane)
        lane.finish()  # what it carried two batches ago
        lane.uses += 1
        if lane.graph is None and lane.uses == RECORD_AT:
            self._record(lane, outer_px)
        return lane

    def _run(self, lane: "_Lane", outer_px: tuple[int, int]) -> None:
        # The first run of a size tries cuDNN's algorithms, a recording takes the one it chose.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            found = look(
                *(self._network, lane.pixels, lane.table, outer_px),
                *(self._rules, self._settings, torch.float16),
            )
        lane.keep(found)

    def _record(self, lane: "_Lane", outer_px: tuple[int, int]) -> None:
        """The steps as a graph; their first, unrecorded run compiled the kernels."""
        self._compute.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other workers of the process go on meanwhile, hence thread_local.
        with (
            torch.inference_mode(),
            torch.cuda.graph(graph, self._pool, self._compute, capture_error_mode="thread_local"),
        ):
            self._run(lane, outer_px)
        lane.graph = graph


class _Lane:
    """One batch's places, pinned on the host and on the device (state)."""

    def __init__(self, bucket: int, room: int) -> None:
        self.room, self.uses = room, 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.uploaded, self.computed, self.done = (torch.cuda.Event() for _ in range(3))  # type: ignore[no-untyped-call]
        self._host = torch.zeros(room, dtype=torch.uint8, pin_memory=True)
        self._host_table = torch.zeros(bucket, 5, dtype=torch.int64, pin_memory=True)
        self.pixels = torch.zeros(room, dtype=torch.uint8, device="cuda")
        self.table = torch.zeros(bucket, 5, dtype=torch.int64, device="cuda")
        torch.cuda.current_stream().synchronize()  # zeroed before another stream writes there
        self._outputs: list[Tensor] = []  # on the device, outside the graphs' shared memory
        self._results: list[Tensor] = []  # pinned

    def upload(
        self, images: Sequence[U8], inner_px: Sequence[tuple[int, int]], up: torch.cuda.Stream
    ) -> None:
        """Bytes and their table on their way to the device; rows left over are one pixel each."""
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        self._host_table[:] = torch.tensor([0, 1, 1, 1, 1])
        self._host_table[: len(images)] = table_of(sizes, inner_px)
        bytes_, start = self._host.numpy(), 0
        for image in images:
            bytes_[start : start + image.size].reshape(image.shape)[:] = image
            start += image.size
        with torch.cuda.stream(up):
            self.pixels[:start].copy_(self._host[:start], non_blocking=True)
            self.table.copy_(self._host_table, non_blocking=True)
            self.uploaded.record(up)

    def keep(self, found: Sequence[Tensor]) -> None:
        """Put what was found where it stays when the next batch is computed."""
        if not self._outputs:
            self._outputs = [torch.empty_like(one) for one in found]
            self._results = [
                torch.empty(one.shape, dtype=one.dtype, pin_memory=True) for one in found
            ]
        for kept, one in zip(self._outputs, found, strict=True):
            kept.copy_(one)

    def download(self, down: torch.cuda.Stream) -> None:
        """Results on their way to the host."""
        with torch.inference_mode(), torch.cuda.stream(down):
            down.wait_event(self.computed)
            for result, kept in zip(self._results, self._outputs, strict=True):
                result.copy_(kept, non_blocking=True)
            self.done.record(down)

    def read(self, count: int) -> list[F32]:
        """The first rows of every output, once they have come."""
        self.finish()
        return [result[:count].numpy().copy() for result in self._results]

    def finish(self) -> None:
        """Wait until nothing of this lane is on its way."""
        self.done.synchronize()
