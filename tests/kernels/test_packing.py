import pytest

torch = pytest.importorskip("torch")

from kernels import varlen_attention  # noqa: E402
from kernels.errors import BadOperand  # noqa: E402
from kernels.packing import RowCollator, first_fit, pad, spans, unpad  # noqa: E402

MASK = torch.tensor([[True, True, False], [False, False, False], [True, False, True]])


def test_unpad_by_hand():
    packed = unpad(torch.arange(9).view(3, 3), MASK)
    assert packed.rows.tolist() == [0, 1, 6, 8]
    assert packed.offsets.tolist() == [0, 2, 2, 4]
    assert packed.positions.tolist() == [0, 1, 0, 1]
    assert packed.longest == 2


def test_pad_is_the_inverse():
    batch = torch.randn(3, 3, 2, 4)
    packed = unpad(batch, MASK)
    assert torch.equal(pad(packed.rows, packed), batch * MASK[..., None, None])


def test_gradients_pass_both_ways():
    torch.manual_seed(0)
    batch = torch.randn(3, 3, 2, dtype=torch.float64, requires_grad=True)

    def there_and_back(rows):
        packed = unpad(rows, MASK)
        return pad(packed.rows * torch.arange(1.0, 5.0)[:, None], packed)

    assert torch.autograd.gradcheck(there_and_back, (batch,))


def test_nothing_to_pack():
    packed = unpad(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool))
    assert packed.rows.shape == (0, 4)
    assert packed.longest == 0
    assert pad(packed.rows, packed).shape == (2, 3, 4)
    assert unpad(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.bool)).offsets.tolist() == [0]


def test_spans_by_hand():
    rows, real = spans(torch.tensor([0, 2, 2, 5], dtype=torch.int32), 3)
    assert rows.tolist() == [[0, 1, 0], [0, 0, 0], [2, 3, 4]]
    assert real.sum(1).tolist() == [2, 0, 3]


def test_mask_of_the_wrong_kind():
    with pytest.raises(BadOperand, match="one bool for each"):
        unpad(torch.zeros(3, 3), MASK.int())
    with pytest.raises(BadOperand, match="one bool for each"):
        unpad(torch.zeros(3, 2), MASK)


def test_first_fit_by_hand():
    """7 and 3 fill a row of 10; 6 leaves room for 2 and 2."""
    assert first_fit([3, 2, 7, 6, 2], 10) == [[2, 0], [3, 1, 4]]
    assert first_fit([], 10) == []


def test_first_fit_wastes_little():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 65, (300,), generator=generator).tolist()
    plan = first_fit(lengths, 64)
    assert sorted(index for row in plan for index in row) == list(range(300))
    assert all(sum(lengths[index] for index in row) <= 64 for row in plan)
    assert len(plan) <= 11 / 9 * -(-sum(lengths) // 64) + 1  # Johnson's bound


def test_too_long_for_a_row():
    with pytest.raises(BadOperand, match="sequence 1 has 11 elements, a row 10"):
        first_fit([3, 11], 10)
    with pytest.raises(BadOperand, match="at least one"):
        RowCollator(8)([])


def test_collated_rows_attend_as_if_alone():
    torch.manual_seed(0)
    sequences = [torch.randn(n, 2, 8) for n in (5, 3, 6, 1)]
    packed = RowCollator(8)(sequences)
    assert packed.rows.shape == (2, 8, 2, 8)
    assert packed.offsets.tolist() == [0, 6, 7, 8, 13, 16]
    assert packed.positions[1].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert packed.members[0].tolist() == [2] * 6 + [3, -1]
    flat = packed.rows.flatten(0, 1)
    where = packed.offsets
    out = varlen_attention(flat, flat, flat, where, where, packed.longest, packed.longest)
    for index, one in enumerate(sequences):
        alone = torch.tensor([0, len(one)], dtype=torch.int32)
        expected = varlen_attention(one, one, one, alone, alone, len(one), len(one))
        found = out[(packed.members == index).flatten()]
        torch.testing.assert_close(found, expected)


def test_rows_filled_to_the_brim_have_no_rest():
    packed = RowCollator(4)([torch.ones(4), torch.ones(1)])
    assert packed.offsets.tolist() == [0, 4, 5, 8]
    assert packed.members.tolist() == [[0] * 4, [1, -1, -1, -1]]
