"""Attention's place in PyTorch: operator contract, checkpointing, compile, graphs, memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch.utils.checkpoint import checkpoint  # noqa: E402

from kernels import attention, varlen_attention  # noqa: E402

from .agreement import TOLERANCE, relative  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def operands(device, dtype=torch.float32, shape=(1, 2, 40, 16)):
    torch.manual_seed(0)
    return [torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for _ in range(3)]


def attend(q, k, v):
    return attention(q, k, v, causal=True, backend="triton")


def test_operator_contract(device):
    """Schema, fake implementation and autograd registration, as PyTorch itself checks them."""
    from kernels.attention_launch import _forward

    q, k, v = operands(device)
    bias = torch.randn(40, 40, device=device, requires_grad=True)
    offsets = torch.tensor([0, 25, 40], dtype=torch.int32, device=device)
    dense = (q, k, v, bias, None, None, 40, 40, True, 0.25)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(_forward, dense, test_utils=tests)
    rows = [x.detach()[0].transpose(0, 1).requires_grad_() for x in (q, k, v)]
    packed = (*rows, None, offsets, offsets, 25, 25, False, 0.25)
    torch.library.opcheck(_forward, packed, test_utils=tests)


def test_gradient_checkpointing_changes_nothing(device):
    q, k, v = operands(device)
    plain = torch.autograd.grad(attend(q, k, v).square().sum(), (q, k, v))
    again = checkpoint(attend, q, k, v, use_reentrant=False)
    for first, second in zip(
        plain, torch.autograd.grad(again.square().sum(), (q, k, v)), strict=True
    ):
        assert torch.equal(first, second)


def test_compiles_without_a_break(device):
    """Traced whole with shapes only, forward and backward."""
    q, k, v = operands(device)
    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager")
    out = compiled(q, k, v)
    assert torch.equal(out, attend(q, k, v))
    found = torch.autograd.grad(out.sum(), (q, k, v))
    wanted = torch.autograd.grad(attend(q, k, v).sum(), (q, k, v))
    for first, second in zip(found, wanted, strict=True):
        assert relative(first, second) < TOLERANCE[torch.float32]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_cuda_graph_replays():
    q, k, v = (x.detach() for x in operands("cuda", torch.float16, (2, 4, 200, 64)))
    offsets = torch.tensor([0, 90, 90, 200], dtype=torch.int32, device="cuda")

    def both():
        rows = q[0].transpose(0, 1)
        packed = varlen_attention(rows, rows, rows, offsets, offsets, 110, 110)
        return attend(q, k, v), packed

    both()  # compiles, which a recording may not
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = both()
    q.copy_(torch.randn_like(q))
    graph.replay()
    for replayed, fresh in zip(recorded, both(), strict=True):
        assert torch.equal(replayed, fresh)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_no_square_buffer_on_a_gpu():
    """8192 x 8192 float16 scores of one head are 128 MiB; operands and results are 1 MiB each."""
    q, k, v = operands("cuda", torch.float16, (1, 1, 8192, 64))
    attend(q, k, v).sum().backward()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    attend(q, k, v).sum().backward()
    assert torch.cuda.max_memory_allocated() - before < 16 * 2**20


PEAK_SCRIPT = """
import torch
from kernels import attention, varlen_attention
torch.set_num_threads(1)

def peak_mib():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

N = 8192
q, k, v = (torch.randn(1, 1, N, 16, requires_grad=True) for _ in range(3))
short = torch.randn(1, 1, 64, 16)
short.requires_grad_()
attention(short[:, :, :32], short, short, causal=True).sum().backward()
offsets = torch.tensor([0, 100, N], dtype=torch.int32)
rows = [x[0].transpose(0, 1) for x in (q, k, v)]
before = peak_mib()
attention(q, k, v).sum().backward()
attention(q[:, :, :4000], k, v, causal=True).sum().backward()
varlen_attention(*rows, offsets, offsets, N - 100, N - 100, causal=True).sum().backward()
print(peak_mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_square_buffer_on_a_cpu():
    """The smallest square here, 4000 x 8192 scores in float32, is 125 MiB.

    A piece of a mask is 8; operands, results and gradients together 5; the pieces' gradients of
    all keys wait to be summed, 16 pieces x 1 MiB.
    """
    run = subprocess.run(
        [sys.executable, "-c", PEAK_SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(run.stdout) < 60
