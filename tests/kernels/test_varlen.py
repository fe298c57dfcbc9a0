"""Attention over packed sequences against the dense definition, sequence by sequence."""

import pytest

torch = pytest.importorskip("torch")

from kernels import attention, varlen_attention  # noqa: E402
from kernels.errors import BadOperand  # noqa: E402
from kernels.varlen import pads  # noqa: E402

from .agreement import KINDS, TOLERANCE, assert_agrees, relative, skip_bfloat16  # noqa: E402

# Lengths of queries and of keys.
PACKS = {
    "one element": ([1], [1]),
    "block edges": ([127, 128, 1, 129], [63, 64, 65, 1]),
    "ragged": ([3, 17, 70], [3, 17, 70]),
    "no keys, no queries": ([4, 0, 5], [0, 3, 6]),
    "all empty": ([0, 0], [0, 0]),
    "even and short": ([17] * 5, [17] * 5),
    "long and short": ([70, 2, 40], [75, 2, 30]),
}


def offsets(lengths, device="cpu"):
    return torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)


def operands(pack, dtype, device, heads=2, size=16, spare=0):
    torch.manual_seed(0)
    rows, cols = sum(pack[0]) + spare, sum(pack[1]) + spare
    return [torch.randn(n, heads, size).to(device, dtype) for n in (rows, cols, cols)]


def by(backend, pack, *, causal, device="cpu"):
    queries, keys = pack
    where = (offsets(queries, device), offsets(keys, device))
    longest = (max(queries, default=0), max(keys, default=0))

    def operation(q, k, v):
        return varlen_attention(q, k, v, *where, *longest, causal=causal, backend=backend)

    return operation


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
@pytest.mark.parametrize(("dtype", "causal"), KINDS)
def test_device_code_agrees(device, dtype, pack, causal):
    skip_bfloat16(device, dtype)
    inputs = operands(pack, dtype, device, heads=1)
    definition = by("reference", pack, causal=causal)
    assert_agrees(by("triton", pack, causal=causal, device=device), definition, inputs, dtype)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_library_path_agrees(pack, causal):
    inputs = operands(pack, torch.float32, "cpu")
    definition = by("reference", pack, causal=causal)
    assert_agrees(by("cpu", pack, causal=causal), definition, inputs, torch.float32)


def test_no_sequence(device):
    empty = torch.zeros(0, 2, 16, device=device)
    for backend in ("triton", "cpu", "reference"):
        assert by(backend, ([], []), causal=True, device=device)(*[empty] * 3).shape == (0, 2, 16)


def test_one_sequence_is_dense_attention():
    q, k, v = operands(([50], [50]), torch.float32, "cpu")
    packed = by("cpu", ([50], [50]), causal=True)(q, k, v)
    dense = attention(*(x.transpose(0, 1)[None] for x in (q, k, v)), causal=True)
    assert relative(packed, dense[0].transpose(0, 1)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_sequences_do_not_see_each_other(backend):
    """Two keys of value 1 and 3, each the only one of its sequence."""
    q, k = torch.zeros(2, 1, 1), torch.zeros(2, 1, 1)
    v = torch.tensor([1.0, 3.0]).view(2, 1, 1)
    out = by(backend, ([1, 1], [1, 1]), causal=False)(q, k, v)
    assert out.flatten().tolist() == [1.0, 3.0]


def test_rows_of_no_sequence_are_zero(device):
    pack = ([5, 30], [5, 30])
    inputs = operands(pack, torch.float32, device, spare=3)
    for backend in ("triton", "cpu"):
        operation = by(backend, pack, causal=False, device=device)
        assert operation(*inputs)[35:].abs().max() == 0
        assert_agrees(operation, by("reference", pack, causal=False), inputs, torch.float32)


def test_interleaved_heads(device):
    """q, k and v as slices of one projection, as a network has them."""
    pack = ([20, 45], [20, 45])
    torch.manual_seed(0)
    whole = torch.randn(65, 3, 2, 16, device=device)
    operation = by("triton", pack, causal=True, device=device)
    assert_agrees(operation, by("reference", pack, causal=True), whole.unbind(1), torch.float32)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
def test_not_a_number_stays_in_its_row(device):
    """A NaN in a query spoils its own row; one in a key spoils its sequence and no other."""
    pack = ([20, 0, 45], [20, 5, 45])
    q, k, v = operands(pack, torch.float32, device, heads=1)
    for backend in ("triton", "cpu", "reference"):
        operation = by(backend, pack, causal=False, device=device)
        clean = operation(q, k, v)
        bad_q, bad_k = q.clone(), k.clone()
        bad_q[30, 0, 3], bad_k[7, 0, 2] = torch.nan, torch.nan
        out = operation(bad_q, bad_k, v)
        assert out[30].isnan().all(), backend
        assert out[:20].isnan().all(), backend
        rest = [row for row in range(20, 65) if row != 30]
        assert relative(out[rest], clean[rest]) < TOLERANCE[torch.float32], backend


def test_large_logits(device):
    """Logits to about +-1500, see the dense test for what may be expected of them."""
    pack = ([33, 66], [40, 66])
    q, k, v = operands(pack, torch.float32, device, heads=1)
    exact = [x.cpu().double() for x in (100 * q, k, v)]
    wanted = by("reference", pack, causal=False)(*exact)
    found = by("triton", pack, causal=False, device=device)(100 * q, k, v)
    assert relative(found, wanted) < 1e-3


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_reference_gradients_are_derivatives(causal):
    pack = ([2, 0, 3], [3, 1, 2])
    inputs = operands(pack, torch.float64, "cpu", heads=1, size=2)
    operands_ = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(by("reference", pack, causal=causal), operands_)


def test_rule_by_hand():
    """Even and short is padded, long and ragged is looped, one sequence never pads for nothing."""
    assert pads([17] * 30, [17] * 30, 4, 16)
    assert not pads([20, 400, 180], [20, 400, 180], 4, 16)
    assert not pads([2, 250, 3, 5], [2, 250, 3, 5], 16, 64)
    assert not pads([17], [17], 4, 16)


def test_what_does_not_belong_together():
    q, k, v = operands(([4], [4]), torch.float32, "cpu")
    where = offsets([4])
    with pytest.raises(BadOperand, match="make them int32"):
        varlen_attention(q, k, v, where.long(), where.long(), 4, 4)
    with pytest.raises(BadOperand, match="rise from 0 to at most 4"):
        varlen_attention(q, k, v, offsets([3, 2]), offsets([4, 0]), 4, 4)
    with pytest.raises(BadOperand, match="max_q is 3, the longest has 4"):
        varlen_attention(q, k, v, where, where, 3, 4)
    with pytest.raises(BadOperand, match="packed"):
        varlen_attention(q[None], k, v, where, where, 4, 4)
    with pytest.raises(BadOperand, match="sequences"):
        varlen_attention(q, k, v, where, offsets([2, 2]), 4, 4)
