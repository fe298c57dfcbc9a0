"""Attention within each of many sequences that are packed into one.

The arguments are those of ``torch.nn.attention.varlen.varlen_attn``, which has no CPU path. The
definition for one sequence is that of :mod:`kernels.attention`; rows beyond the last offset
belong to no sequence and come out zero.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import attention, fits_triton
from .attention import reference as dense_reference
from .backends import choose
from .errors import BadOperand
from .packing import spans

__all__ = ["pads", "reference", "varlen_attention"]

# One core of an AMD EPYC (Zen 3), torch 2.13, 4 heads of 16; `python -m benchmarks.kernels`
# prints what the rule costs against the better of both ways.
CALL_NS = 35_000.0  # calling fused attention once more, forward
PAIR_NS = 1.6  # a query looking at a key, in one head of 16
# A padded batch with a causal mask holds all its scores' places, so it is for short sequences.
LONGEST_PADDED = 256


def varlen_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    causal: bool = False,
    scale: float | None = None,
    backend: str = "auto",
) -> Tensor:
    """Each query's mean of the values of its own sequence, weighted by how well its key matches.

    Args:
        q: (Tq, H, D) any strides; float16, bfloat16 or float32 (float64 without Triton).
        k: (Tk, H, D)
        v: (Tk, H, D)
        cu_seqlens_q: (S + 1,) int32 first query of each sequence and, last, their number.
        cu_seqlens_k: (S + 1,) the same for the keys.
        max_q: queries of the longest sequence.
        max_k: keys of the longest sequence.
        causal: the last query of a sequence sees all its keys, each one before it one fewer.
        scale: multiplies the scores; 1/sqrt(D) if not given.
        backend: ``auto``, ``reference``, ``cpu`` or ``triton``.

    Returns:
        (Tq, H, D) in the type of ``q``.

    Raises:
        BadOperand: shapes, types or offsets that do not belong together.
        BackendMissing: a backend that cannot run here.
    """
    _check(q, k, v, cu_seqlens_q, cu_seqlens_k, max_q, max_k)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    chosen = choose(backend, q, fits=fits_triton(q))
    if chosen == "triton":
        if not fits_triton(q):
            raise BadOperand(f"device code does not take {q.dtype} heads of {q.shape[-1]}")
        from .attention_launch import attend  # Triton is imported only where it runs

        cu_q, cu_k = cu_seqlens_q, cu_seqlens_k
        return attend(
            *(q, k, v), cu_q=cu_q, cu_k=cu_k, max_q=max_q, max_k=max_k, causal=causal, scale=scale
        )
    if chosen == "reference":
        return reference(q, k, v, cu_seqlens_q, cu_seqlens_k, causal=causal, scale=scale)
    queries, keys = _lengths(cu_seqlens_q), _lengths(cu_seqlens_k)
    if pads(queries, keys, q.shape[1], q.shape[2]):
        return _padded(q, k, v, cu_seqlens_q, cu_seqlens_k, max_q, max_k, causal, scale)
    return _looped(q, k, v, queries, keys, causal, scale)


def reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    causal: bool = False,
    scale: float,
) -> Tensor:
    """The definition: the dense reference, sequence by sequence."""
    out = torch.zeros_like(q)
    q_at, k_at = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    for sequence in range(len(q_at) - 1):
        rows = slice(q_at[sequence], q_at[sequence + 1])
        cols = slice(k_at[sequence], k_at[sequence + 1])
        one = dense_reference(
            q[rows].transpose(0, 1)[None],
            k[cols].transpose(0, 1)[None],
            v[cols].transpose(0, 1)[None],
            causal=causal,
            scale=scale,
        )
        out[rows] = one[0].transpose(0, 1)
    return out


def pads(queries: list[int], keys: list[int], heads: int, head_size: int) -> bool:
    """Whether one padded call is expected to beat a call for each sequence.

    Padding costs the pairs that are computed for nothing, the loop costs its calls.
    """
    longest_q, longest_k = max(queries, default=0), max(keys, default=0)
    if max(longest_q, longest_k) > LONGEST_PADDED:
        return False
    real = sum(q * k for q, k in zip(queries, keys, strict=True))
    wasted = len(queries) * longest_q * longest_k - real
    return wasted * heads * PAIR_NS * head_size / 16 < (len(queries) - 1) * CALL_NS


def _padded(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_q: Tensor,
    cu_k: Tensor,
    max_q: int,
    max_k: int,
    causal: bool,
    scale: float,
) -> Tensor:
    q_rows, q_real = spans(cu_q, max_q)  # (S, Nq)
    k_rows, k_real = spans(cu_k, max_k)  # (S, Nk)
    # Without a mask the call is faster, and where nothing is padded none is needed.
    mask = None if bool(k_real.all()) else k_real[:, None, None]  # (S, 1, 1, Nk)
    if causal:
        ahead = torch.arange(max_k, device=q.device) - torch.arange(max_q, device=q.device)[:, None]
        allowed = (cu_k.diff() - cu_q.diff())[:, None, None]
        mask = k_real[:, None, None] & (ahead <= allowed)[:, None]  # (S, 1, Nq, Nk)
    out = F.scaled_dot_product_attention(
        q[q_rows].transpose(1, 2),  # (S, H, Nq, D)
        k[k_rows].transpose(1, 2),
        v[k_rows].transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    )
    packed = out.transpose(1, 2)[q_real]  # (T, H, D)
    return torch.cat([packed, q.new_zeros((len(q) - len(packed), *q.shape[1:]))])


def _looped(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    queries: list[int],
    keys: list[int],
    causal: bool,
    scale: float,
) -> Tensor:
    rest_q, rest_k = len(q) - sum(queries), len(k) - sum(keys)
    pieces = [
        attention(
            one_q.transpose(0, 1)[None],  # (1, H, n, D)
            one_k.transpose(0, 1)[None],
            one_v.transpose(0, 1)[None],
            causal=causal,
            scale=scale,
            backend="cpu",
        )[0].transpose(0, 1)
        for one_q, one_k, one_v in zip(
            torch.split(q, [*queries, rest_q])[:-1],
            torch.split(k, [*keys, rest_k])[:-1],
            torch.split(v, [*keys, rest_k])[:-1],
            strict=True,
        )
    ]
    return torch.cat([*pieces, q.new_zeros((rest_q, *q.shape[1:]))])


def _lengths(cu: Tensor) -> list[int]:
    return [stop - start for start, stop in pairwise(cu.tolist())]


def _check(
    q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int
) -> None:
    if q.dim() != 3 or k.shape != v.shape or q.shape[1:] != k.shape[1:]:
        raise BadOperand(
            f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} do not belong together; "
            "varlen_attention takes packed (T, H, D), k and v of one length"
        )
    if q.dtype != k.dtype or q.dtype != v.dtype:
        raise BadOperand(f"q is {q.dtype}, k {k.dtype}, v {v.dtype}; cast them to one type")
    if cu_q.dim() != 1 or cu_q.shape != cu_k.shape or len(cu_q) < 1:
        raise BadOperand(
            f"offsets {tuple(cu_q.shape)} and {tuple(cu_k.shape)}; both are (sequences + 1,)"
        )
    if cu_q.dtype != torch.int32 or cu_k.dtype != torch.int32:
        raise BadOperand(f"offsets are {cu_q.dtype} and {cu_k.dtype}; make them int32")
    if cu_q.is_cuda:  # looking at values there would make the host wait
        return
    for name, cu, total, longest in (("q", cu_q, len(q), max_q), ("k", cu_k, len(k), max_k)):
        at, lengths = cu.tolist(), _lengths(cu)
        if at[0] != 0 or min(lengths, default=0) < 0 or at[-1] > total:
            raise BadOperand(f"offsets of {name} must rise from 0 to at most {total}, got {at[:8]}")
        if max(lengths, default=0) > longest:
            raise BadOperand(f"max_{name} is {longest}, the longest has {max(lengths)}")
