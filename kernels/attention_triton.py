"""Device code of attention's forward pass, for dense and packed batches alike.

A program owns one block of queries of one head and walks the keys block by block, so the
scores live only as one tile. Scores are kept in base 2 (times log2 e), where the hardware's
exponential is. One number per query is saved, its log-sum-exp, from which the backward pass
makes any tile of weights again. Packed batches differ only in where a sequence starts and how
long it is. Speed: not measured, no GPU was at hand.

Dao, FlashAttention-2 (2023), algorithm 1.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Device code is typed by tl.constexpr and by what the launcher passes; mypy knows neither.

import triton
import triton.language as tl

__all__ = [
    "forward_kernel",
    "key_range",
    "load_tile",
    "pointers",
    "scores_tile",
    "sequence",
    "split_program",
]

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def sequence(cu_ptr, batch, length, PACKED: tl.constexpr):
    """First row of a sequence and its number of rows."""
    if PACKED:
        start = tl.load(cu_ptr + batch).to(tl.int64)
        length = (tl.load(cu_ptr + batch + 1).to(tl.int64) - start).to(tl.int32)
    else:
        start = batch.to(tl.int64) * 0
    return start, length


@triton.jit
def split_program(pid, blocks, heads):
    """Block, head and batch of a program; one flat axis, since the others end at 65535."""
    return pid % blocks, ((pid // blocks) % heads).to(tl.int64), (pid // blocks) // heads


@triton.jit
def pointers(base, rows, dims, stride_n, stride_d):
    """(rows, dims) addresses; 64 bits, since rows x stride passes 2^31 in large batches."""
    return base + rows.to(tl.int64)[:, None] * stride_n + dims.to(tl.int64)[None, :] * stride_d


@triton.jit
def load_tile(base, rows, dims, stride_n, stride_d, length, D: tl.constexpr, MASKED: tl.constexpr):
    """(rows, dims) tile, 0 outside."""
    where = pointers(base, rows, dims, stride_n, stride_d)
    if MASKED:
        return tl.load(where, mask=(rows[:, None] < length) & (dims[None, :] < D), other=0.0)
    else:
        return tl.load(where, mask=dims[None, :] < D, other=0.0)


@triton.jit
def scores_tile(
    q, k, bias_base, stride_bm, stride_bn, rows, cols, queries, keys, scale,
    CAUSAL: tl.constexpr, BIAS: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(rows, cols) scores times log2 e, -inf where a query must not look."""
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * (scale * LOG2_E)
    if BIAS:
        where = pointers(bias_base, rows, cols, stride_bm, stride_bn)
        inside = (rows[:, None] < queries) & (cols[None, :] < keys)
        scores += tl.load(where, mask=inside, other=0.0).to(tl.float32) * LOG2_E
    if MASKED:
        seen = cols[None, :] < keys
        if CAUSAL:
            seen = seen & (cols[None, :] - rows[:, None] <= keys - queries)
        scores = tl.where(seen, scores, -float("inf"))
    return scores


@triton.jit
def key_range(block, queries, keys, CAUSAL: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    """Keys [0, whole) need no mask for a block of queries, [whole, stop) do, the rest is unseen."""
    if CAUSAL:
        stop = tl.maximum(tl.minimum(keys, (block + 1) * M + keys - queries), 0)
        whole = tl.maximum(tl.minimum(keys, block * M + 1 + keys - queries), 0) // N * N
    else:
        stop = keys
        whole = keys // N * N
    return whole, stop


@triton.jit
def _absorb(
    state_max, state_sum, state_mean, q, k_base, v_base, bias_base, stride_kn, stride_kd,
    stride_vn, stride_vd, stride_bm, stride_bn, rows, dims, start, queries, keys, scale,
    D: tl.constexpr, CAUSAL: tl.constexpr, BIAS: tl.constexpr, MASKED: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The running maximum, sum and weighted values after one more block of keys."""
    cols = start + tl.arange(0, BLOCK_N)
    k = load_tile(k_base, cols, dims, stride_kn, stride_kd, keys, D, MASKED)
    scores = scores_tile(
        q, k, bias_base, stride_bm, stride_bn, rows, cols, queries, keys, scale,
        CAUSAL, BIAS, MASKED, PRECISION,
    )  # fmt: skip
    new_max = tl.maximum(state_max, tl.max(scores, 1))
    # A row that has seen nothing has the maximum -inf, and -inf - -inf would be NaN.
    base = tl.where(new_max == -float("inf"), 0.0, new_max)
    weights = tl.exp2(scores - base[:, None])
    shrink = tl.exp2(state_max - base)
    v = load_tile(v_base, cols, dims, stride_vn, stride_vd, keys, D, MASKED)
    state_sum = state_sum * shrink + tl.sum(weights, 1)
    state_mean = tl.dot(
        weights.to(v.dtype), v, state_mean * shrink[:, None], input_precision=PRECISION
    )
    return new_max, state_sum, state_mean


@triton.jit
def forward_kernel(
    q_ptr, k_ptr, v_ptr, bias_ptr, out_ptr, lse_ptr, cu_q_ptr, cu_k_ptr,
    stride_qb, stride_qh, stride_qn, stride_qd, stride_kb, stride_kh, stride_kn, stride_kd,
    stride_vb, stride_vh, stride_vn, stride_vd, stride_bb, stride_bh, stride_bm, stride_bn,
    stride_ob, stride_oh, stride_on, stride_od, stride_lb, stride_lh,
    heads, queries, keys, blocks, scale,
    D: tl.constexpr, CAUSAL: tl.constexpr, BIAS: tl.constexpr, PACKED: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head: its output rows and their log-sum-exp."""
    block, head, batch = split_program(tl.program_id(0), blocks, heads)
    q_start, queries = sequence(cu_q_ptr, batch, queries, PACKED)
    k_start, keys = sequence(cu_k_ptr, batch, keys, PACKED)
    if block * BLOCK_M >= queries:
        return
    if CAUSAL:  # the longest first, so that none is left running alone
        block = tl.cdiv(queries, BLOCK_M) - 1 - block
    batch = batch.to(tl.int64)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    k_base = k_ptr + batch * stride_kb + head * stride_kh + k_start * stride_kn
    v_base = v_ptr + batch * stride_vb + head * stride_vh + k_start * stride_vn
    bias_base = bias_ptr + batch * stride_bb + head * stride_bh
    q_base = q_ptr + batch * stride_qb + head * stride_qh + q_start * stride_qn
    q = load_tile(q_base, rows, dims, stride_qn, stride_qd, queries, D, True)

    top = tl.full((BLOCK_M,), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    mean = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    whole, stop = key_range(block, queries, keys, CAUSAL, BLOCK_M, BLOCK_N)
    for start in range(0, whole, BLOCK_N):
        top, total, mean = _absorb(
            top, total, mean, q, k_base, v_base, bias_base, stride_kn, stride_kd, stride_vn,
            stride_vd, stride_bm, stride_bn, rows, dims, start, queries, keys, scale,
            D, CAUSAL, BIAS, False, PRECISION, BLOCK_N,
        )  # fmt: skip
    for start in range(whole, stop, BLOCK_N):
        top, total, mean = _absorb(
            top, total, mean, q, k_base, v_base, bias_base, stride_kn, stride_kd, stride_vn,
            stride_vd, stride_bm, stride_bn, rows, dims, start, queries, keys, scale,
            D, CAUSAL, BIAS, True, PRECISION, BLOCK_N,
        )  # fmt: skip

    blind = total == 0.0
    mean = mean / tl.where(blind, 1.0, total)[:, None]
    out_base = out_ptr + batch * stride_ob + head * stride_oh + q_start * stride_on
    inside = (rows[:, None] < queries) & (dims[None, :] < D)
    out = mean.to(out_ptr.dtype.element_ty)
    tl.store(pointers(out_base, rows, dims, stride_on, stride_od), out, mask=inside)
    # +inf makes every weight of a blind row zero when it is computed again.
    lse = tl.where(blind, float("inf"), top + tl.log2(tl.where(blind, 1.0, total)))
    lse_base = lse_ptr + batch * stride_lb + head * stride_lh + q_start
    tl.store(lse_base + rows, lse, mask=rows < queries)
