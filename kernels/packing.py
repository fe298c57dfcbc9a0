"""Sequences of different lengths without their padding, and back.

Packed rows lie one sequence after the other; ``offsets`` holds the first row of each and, last,
the number of rows. Indexing carries the gradients both ways. How long the longest sequence is
must be known on the host, so packing on a GPU waits for it once: pack before the network, not in
every layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import BadOperand

__all__ = ["Packed", "PackedRows", "RowCollator", "first_fit", "pad", "spans", "unpad"]


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of a padded batch that hold something, and how they lay in it."""

    rows: Tensor  # (T, ...)
    offsets: Tensor  # (B + 1,) int32
    positions: Tensor  # (T,) int64 place of each row in its own sequence
    slots: Tensor  # (T,) int64 place of each row in the flattened batch (B N, ...)
    batch: tuple[int, int]  # (B, N)
    longest: int


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Short sequences sharing rows of one length.

    The unused end of a row is a sequence of its own, so that ``offsets`` covers every place of
    the flattened rows and attention over it stays away from the others.
    """

    rows: Tensor  # (R, L, ...) zero where unused
    offsets: Tensor  # (S + 1,) int32 into the flattened rows (R L, ...)
    positions: Tensor  # (R, L) int64 place in its own sequence
    members: Tensor  # (R, L) int64 which of the given sequences, -1 where unused
    longest: int


def unpad(batch: Tensor, mask: Tensor) -> Packed:
    """The rows of a batch where the mask is true.

    Args:
        batch: (B, N, ...)
        mask: (B, N) bool, anywhere in a sequence, not only at its front.

    Raises:
        BadOperand: the mask is not bool, or not of the batch's first two sizes.
    """
    if mask.dtype != torch.bool or mask.shape != batch.shape[:2]:
        raise BadOperand(
            f"mask is {mask.dtype} {tuple(mask.shape)}, the batch {tuple(batch.shape)}; give "
            "one bool for each of its rows"
        )
    lengths = mask.sum(1)
    slots = mask.flatten().nonzero().squeeze(1)  # (T,)
    positions = (mask.cumsum(1) - 1).flatten()[slots]
    longest = int(lengths.max()) if len(lengths) else 0
    rows = batch.flatten(0, 1)[slots]
    return Packed(
        rows, _offsets(lengths), positions, slots, (mask.shape[0], mask.shape[1]), longest
    )


def pad(rows: Tensor, packed: Packed) -> Tensor:
    """The inverse of :func:`unpad` for rows in the same order.

    Args:
        rows: (T, ...) any trailing sizes, a network's output for instance.
        packed: how they lay.

    Returns:
        (B, N, ...), zero where there was nothing.
    """
    size, length = packed.batch
    flat = rows.new_zeros((size * length, *rows.shape[1:]))
    return flat.index_copy(0, packed.slots, rows).view(size, length, *rows.shape[1:])


def spans(offsets: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Where each place of a padded batch is found among packed rows.

    Args:
        offsets: (S + 1,)
        longest: N, rows of the longest sequence.

    Returns:
        (S, N) int64 packed row of each place (0 where there is none), (S, N) bool.
    """
    starts, lengths = offsets[:-1].long(), offsets.diff().long()
    places = torch.arange(longest, device=offsets.device)
    real = places[None] < lengths[:, None]
    return torch.where(real, starts[:, None] + places[None], 0), real


def first_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which sequences share a row: each goes into the first row that has room left.

    Longest first, which wastes at most 11/9 of the least number of rows (Johnson 1973).

    Args:
        lengths: of the sequences.
        room: length of a row.

    Returns:
        For each row, the indices of its sequences.

    Raises:
        BadOperand: a sequence is longer than a row.
    """
    rows: list[list[int]] = []
    left: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        if length > room:
            raise BadOperand(
                f"sequence {index} has {length} elements, a row {room}; cut it or lengthen rows"
            )
        row = next((r for r, free in enumerate(left) if free >= length), len(rows))
        if row == len(rows):
            rows.append([])
            left.append(room)
        rows[row].append(index)
        left[row] -= length
    return rows


@dataclass(frozen=True, slots=True)
class RowCollator:
    """Makes rows of one length out of a training batch; hand it to a data loader."""

    length: int

    def __call__(self, sequences: Sequence[Tensor]) -> PackedRows:
        """Pack (n_i, ...) sequences of one type and trailing sizes.

        Raises:
            BadOperand: none given, or one longer than a row.
        """
        if not sequences:
            raise BadOperand("no sequences to pack; give at least one")
        plan = first_fit([len(sequence) for sequence in sequences], self.length)
        shape = (len(plan), self.length)
        rows = sequences[0].new_zeros((*shape, *sequences[0].shape[1:]))
        positions = torch.zeros(shape, dtype=torch.int64)
        members = torch.full(shape, -1, dtype=torch.int64)
        lengths: list[int] = []
        for row, indices in enumerate(plan):
            start = 0
            for index in indices:
                stop = start + len(sequences[index])
                rows[row, start:stop] = sequences[index]
                members[row, start:stop] = index
                positions[row, start:stop] = torch.arange(stop - start)
                lengths.append(stop - start)
                start = stop
            if start < self.length:
                positions[row, start:] = torch.arange(self.length - start)
                lengths.append(self.length - start)
        return PackedRows(
            rows, _offsets(torch.tensor(lengths)), positions, members, max(lengths, default=0)
        )


def _offsets(lengths: Tensor) -> Tensor:
    """(S,) lengths -> (S + 1,) int32 first rows and the total."""
    offsets = torch.zeros(len(lengths) + 1, dtype=torch.int32, device=lengths.device)
    offsets[1:] = lengths.cumsum(0)
    return offsets
