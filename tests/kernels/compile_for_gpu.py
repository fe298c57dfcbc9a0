"""Compiles all device code for a GPU that need not be there, and says what each kernel takes.

Run as ``python -m tests.kernels.compile_for_gpu 90`` (sm_90: H100; 80: A100; 89: RTX 4090). The
launchers run as they are, on CPU tensors; only the driver is replaced by one that names the GPU,
and every launch by its compilation. Machine code comes out, nothing is executed.
"""

import json
import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

# Shared memory that one program may have, CUDA programming guide, table of compute capabilities.
SHARED_BYTES = {80: 163 * 1024, 86: 99 * 1024, 89: 99 * 1024, 90: 227 * 1024}


class NamedTarget:
    """Stands in for Triton's driver: knows which GPU to compile for, and nothing else."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_target(self):
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_all(capability, *, whole=False):
    """Kernels as (name, shared bytes, size of the machine code).

    Args:
        capability: 90 for sm_90.
        whole: every type and head size, minutes instead of seconds.
    """
    driver.set_active(NamedTarget(capability))
    found = []
    launch = JITFunction.run

    def compile_only(self, *args, grid, warmup, **kwargs):
        kernel = launch(self, *args, grid=grid, warmup=True, **kwargs)
        found.append((self.fn.__name__, kernel.metadata.shared, len(kernel.asm["cubin"])))

    JITFunction.run = compile_only
    try:
        _launch_attention(SHARED_BYTES[capability], whole)
        _launch_others(whole)
    finally:
        JITFunction.run = launch
    return found


def _launch_attention(shared_bytes, whole):
    from kernels import attention_launch
    from kernels.attention_tiles import tiles_for

    attention_launch.tiles_on = lambda tensor, backward: tiles_for(
        tensor.dtype, tensor.shape[-1], backward=backward, shared_bytes=shared_bytes
    )
    types = (torch.bfloat16, torch.float16, torch.float32) if whole else (torch.bfloat16,)
    for dtype in types:
        for size in (48, 64, 128) if whole else (64,):
            q, k, v = (torch.zeros(1, 2, 300, size, dtype=dtype, requires_grad=True),) * 3
            bias = torch.zeros(2, 1, 300, dtype=dtype, requires_grad=True)
            settings = {"max_q": 300, "max_k": 300, "scale": 0.1}
            out = attention_launch.attend(q, k, v, bias=bias, causal=True, **settings)
            out.sum().backward()
            if not whole:
                continue
            rows = torch.zeros(300, 2, size, dtype=dtype, requires_grad=True)
            where = torch.tensor([0, 100, 300], dtype=torch.int32)
            out = attention_launch.attend(
                rows, rows, rows, cu_q=where, cu_k=where, causal=False, **settings
            )
            out.sum().backward()


def _launch_others(whole):
    from kernels import activations_triton
    from kernels.peaks_triton import find_peaks_on_gpu
    from kernels.preprocess_triton import preprocess_on_gpu, table_of

    half = torch.zeros(64, 130, dtype=torch.float16, requires_grad=True)
    bias = torch.zeros(130, dtype=torch.float16, requires_grad=True)
    for kind in ("gelu", "silu", "gelu_tanh", "hard_swish", "relu2") if whole else ("gelu",):
        activations_triton.run(half, bias, kind, kind in ("silu", "gelu")).sum().backward()
    heat = torch.zeros(1, 17, 128, 128, dtype=torch.float16)
    find_peaks_on_gpu(heat, heat[:, :, None])
    table = table_of([(64, 48)], [(32, 24)])
    preprocess_on_gpu(torch.zeros(64 * 48 * 3, dtype=torch.uint8), table, (32, 32))


def main():
    capability = int(sys.argv[1])
    kernels = compile_all(capability, whole="--all" in sys.argv[2:])
    sys.stdout.write(json.dumps(kernels) + "\n")


if __name__ == "__main__":
    main()
