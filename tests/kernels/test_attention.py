"""Attention against its definition in float64, on every backend."""

import math

import pytest

torch = pytest.importorskip("torch")

from kernels import attention  # noqa: E402
from kernels.attention import reference  # noqa: E402
from kernels.errors import BackendMissing, BadOperand  # noqa: E402

from .agreement import KINDS, TOLERANCE, assert_agrees, relative, skip_bfloat16  # noqa: E402

# Tiles are 128 x 64 (64 x 32 in float32) forward and 64 x 64 (32 x 32) backward.
SHAPES = {
    "one element": (1, 1, 1, 1, 1),
    "one short of a block": (1, 2, 127, 63, 16),
    "whole blocks": (1, 1, 128, 64, 32),
    "one past a block": (2, 1, 129, 65, 40),
    "few queries": (1, 1, 2, 150, 24),
    "few keys": (1, 2, 70, 3, 80),
    "largest head": (1, 1, 33, 40, 128),
}

# The interpreter's arithmetic is numpy's, which warns where a NaN is the point of the test.
NUMPY_ON_NAN = ("ignore:invalid value:RuntimeWarning", "ignore:All-NaN:RuntimeWarning")


def operands(shape, dtype, device, *, bias=None, spread=1.0, seed=0):
    batch, heads, queries, keys, size = shape
    torch.manual_seed(seed)
    q = torch.randn(batch, heads, queries, size) * spread
    k, v = torch.randn(2, batch, heads, keys, size)
    tensors = [q, k, v] if bias is None else [q, k, v, torch.randn(bias)]
    return [tensor.to(device, dtype) for tensor in tensors]


def by(backend, **settings):
    def operation(q, k, v, bias=None):
        return attention(q, k, v, bias=bias, backend=backend, **settings)

    return operation


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("dtype", "causal"), KINDS)
def test_device_code_agrees(device, dtype, shape, causal):
    skip_bfloat16(device, dtype)
    inputs = operands(shape, dtype, device)
    assert_agrees(by("triton", causal=causal), by("reference", causal=causal), inputs, dtype)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("shape", [*SHAPES.values(), (1, 1, 600, 513, 8)], ids=str)
@pytest.mark.parametrize("bias", [False, True], ids=["plain", "biased"])
def test_library_path_agrees(shape, causal, bias):
    wide = (shape[1], shape[2], shape[3]) if bias else None
    inputs = operands(shape, torch.float32, "cpu", bias=wide)
    settings = {"causal": causal, "scale": 0.3}
    assert_agrees(by("cpu", **settings), by("reference", **settings), inputs, torch.float32)


@pytest.mark.parametrize(
    "bias", [(2, 2, 66, 35), (2, 66, 35), (2, 1, 1, 35), (66, 1), (1,)], ids=str
)
def test_bias_and_its_gradient(device, bias):
    """A bias that all keys share changes nothing: its gradient is zero but for the rounding of
    9240 score gradients of about 0.1, whose norm is 10."""
    inputs = operands((2, 2, 66, 35, 16), torch.float32, device, bias=bias)
    floor = 10.0 if bias[-1] == 1 else 0.1
    operation, definition = by("triton", scale=0.7), by("reference", scale=0.7)
    assert_agrees(operation, definition, inputs, torch.float32, floor=floor)


def test_bias_under_causal(device):
    inputs = operands((1, 2, 66, 70, 16), torch.float16, device, bias=(2, 66, 70))
    assert_agrees(by("triton", causal=True), by("reference", causal=True), inputs, torch.float16)


def test_two_keys_by_hand():
    """Scores ln 3 and 0 weigh 3/4 and 1/4."""
    q = torch.tensor([[[[math.log(3.0)]]]])
    k, v = torch.tensor([[[[1.0], [0.0]]]]), torch.tensor([[[[8.0], [4.0]]]])
    for backend in ("reference", "cpu"):
        assert float(attention(q, k, v, scale=1.0, backend=backend)) == pytest.approx(7.0)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_causal_ends_at_the_last_key(backend):
    """Of two queries on three keys the last sees three, the first two."""
    q, k = torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 3, 1)
    v = torch.tensor([[[[3.0], [6.0], [9.0]]]])
    out = attention(q, k, v, causal=True, backend=backend)
    assert out.flatten().tolist() == pytest.approx([4.5, 6.0])


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_queries_ahead_of_all_keys_are_zero(backend):
    q, k, v = operands((1, 1, 4, 2, 8), torch.float32, "cpu")
    out = attention(q, k, v, causal=True, backend=backend)
    assert out[0, 0, :2].abs().max() == 0
    assert out[0, 0, 2:].abs().min() > 0


@pytest.mark.parametrize("shape", [(0, 2, 5, 5, 8), (1, 2, 0, 5, 8), (1, 2, 5, 0, 8)], ids=str)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_nothing_to_attend(device, shape, causal):
    inputs = operands(shape, torch.float32, device)
    for backend in ("triton", "cpu"):
        settings = {"causal": causal}
        assert_agrees(by(backend, **settings), by("reference", **settings), inputs, torch.float32)


def test_ties_weigh_the_same(device):
    q, k = torch.ones(1, 1, 65, 16, device=device), torch.ones(1, 1, 70, 16, device=device)
    v = torch.arange(70.0, device=device).repeat(16, 1).T[None, None]
    out = attention(q, k, v, backend="triton")
    assert relative(out, torch.full_like(out, 34.5)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_large_logits(device, dtype):
    """Logits to about +-1500, where exp overflows float32 (88) and float16 (11).

    float32 holds such a logit to 1e-4 / 2, and products and sums add a few such errors, so
    weights are exact to 1e-3. Gradients of a softmax this sharp vanish but for rounding; they
    are held against the size of gradients of ordinary logits, about 1 an element.
    """
    inputs = operands((1, 1, 65, 70, 16), dtype, device, spread=100.0)
    causal = {"scale": 1.0}
    operation, definition = by("triton", **causal), by("reference", **causal)
    size = 65**0.5 * 16**0.5
    assert_agrees(operation, definition, inputs, dtype, floor=size * 100, tolerance=1e-3)


@pytest.mark.filterwarnings(*NUMPY_ON_NAN)
def test_not_a_number_stays_in_its_row(device):
    q, k, v = operands((1, 2, 66, 35, 16), torch.float32, device)
    clean = attention(q, k, v, backend="triton")
    q[0, 1, 3, 5] = torch.nan
    out = attention(q, k, v, backend="triton")
    assert out[0, 1, 3].isnan().all()
    out[0, 1, 3] = clean[0, 1, 3]
    assert torch.equal(out, clean)


@pytest.mark.filterwarnings(*NUMPY_ON_NAN)
def test_infinite_bias_rows(device):
    """All -inf gives zeros and no gradient, one +inf gives NaN, -inf hides a key."""
    q, k, v = operands((1, 1, 66, 35, 16), torch.float32, device)
    bias = torch.zeros(66, 35, device=device)
    bias[2] = -torch.inf
    bias[65] = -torch.inf
    bias[:, 34] = -torch.inf
    assert_agrees(
        lambda *x: attention(*x, bias=bias, backend="triton"),
        lambda *x: attention(*x, bias=bias.cpu().double(), backend="reference"),
        [q, k, v],
        torch.float32,
    )
    bias[7, 4] = torch.inf
    for backend in ("triton", "cpu", "reference"):
        out = attention(q, k, v, bias=bias, backend=backend)[0, 0]
        assert out[2].abs().max() == 0, backend
        assert out[7].isnan().all(), backend
        assert not out[[0, 6, 8]].isnan().any(), backend


def test_strides_of_any_kind(device):
    """Heads beside each other, every second row, and one head shared by all."""
    torch.manual_seed(0)
    q = torch.randn(2, 66, 3, 16, device=device).transpose(1, 2)
    k = torch.randn(2, 3, 80, 32, device=device)[:, :, ::2, ::2]
    v = torch.randn(2, 1, 40, 16, device=device).expand(2, 3, 40, 16)
    assert_agrees(by("triton"), by("reference"), [q, k, v], torch.float32)


def test_offsets_past_32_bits(device):
    """The last rows lie over 2^31 elements from the first."""
    rows, stride = 66, 2**25
    try:
        room = torch.empty((rows - 1) * stride + 16, dtype=torch.float16, device=device)
    except RuntimeError as error:
        pytest.skip(f"4.4 GB of addresses are not to be had: {error}")
    k = room.as_strided((1, 1, rows, 16), (0, 0, stride, 1))
    q, near, v = operands((1, 1, 16, rows, 16), torch.float16, device)
    k.copy_(near)
    assert torch.equal(
        attention(q, k, v, backend="triton"), attention(q, near, v, backend="triton")
    )


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_reference_gradients_are_derivatives(causal):
    q, k, v, bias = operands((1, 2, 3, 4, 2), torch.float64, "cpu", bias=(3, 4))
    bias[1] = -torch.inf
    for tensor in (q, k, v):
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *x: reference(*x, causal=causal, scale=0.7, bias=bias), (q, k, v)
    )
    finite = bias.nan_to_num(neginf=0.0).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda b: reference(q, k, v, causal=causal, scale=0.7, bias=b), (finite,)
    )


def test_what_does_not_belong_together():
    q, k, v = operands((1, 2, 3, 4, 8), torch.float32, "cpu")
    with pytest.raises(BadOperand, match="batch, heads and head size must agree"):
        attention(q, k[:, :1], v[:, :1])
    with pytest.raises(BadOperand, match="cast them to one type"):
        attention(q, k.half(), v)
    with pytest.raises(BadOperand, match="varlen_attention"):
        attention(q[0], k[0], v[0])
    with pytest.raises(BadOperand, match="does not broadcast"):
        attention(q, k, v, bias=torch.zeros(3, 3))
    with pytest.raises(BackendMissing, match="choose one of"):
        attention(q, k, v, backend="fastest")


def test_device_code_refuses_float64(device):
    q, k, v = operands((1, 1, 3, 4, 8), torch.float64, device)
    with pytest.raises(BadOperand, match="float64"):
        attention(q, k, v, backend="triton")
