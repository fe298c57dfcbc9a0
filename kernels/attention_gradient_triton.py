"""Device code of attention's backward pass, for dense and packed batches alike.

Tiles of weights are made again from the saved log-sum-exp. Keys and queries each get a kernel
of their own, so that every gradient has one writer and the result does not depend on timing;
only a bias that several scores share is summed by atomic additions. Speed: not measured, no
GPU was at hand.

Dao, FlashAttention-2 (2023), algorithm 2.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Device code is typed by tl.constexpr and by what the launcher passes; mypy knows neither.

import triton
import triton.language as tl

from .attention_triton import (
    key_range,
    load_tile,
    pointers,
    scores_tile,
    sequence,
    split_program,
)

__all__ = ["backward_keys_kernel", "backward_queries_kernel", "rowsum_kernel"]


@triton.jit
def rowsum_kernel(
    out_ptr, grad_ptr, sum_ptr, cu_q_ptr,
    stride_ob, stride_oh, stride_on, stride_od, stride_gb, stride_gh, stride_gn, stride_gd,
    stride_lb, stride_lh, heads, queries, blocks,
    D: tl.constexpr, PACKED: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Sum over dims of output x its gradient: what softmax takes off every score's gradient."""
    block, head, batch = split_program(tl.program_id(0), blocks, heads)
    q_start, queries = sequence(cu_q_ptr, batch, queries, PACKED)
    if block * BLOCK_M >= queries:
        return
    batch = batch.to(tl.int64)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    out_base = out_ptr + batch * stride_ob + head * stride_oh + q_start * stride_on
    grad_base = grad_ptr + batch * stride_gb + head * stride_gh + q_start * stride_gn
    out = load_tile(out_base, rows, dims, stride_on, stride_od, queries, D, True)
    grad = load_tile(grad_base, rows, dims, stride_gn, stride_gd, queries, D, True)
    total = tl.sum(out.to(tl.float32) * grad.to(tl.float32), 1)
    sum_base = sum_ptr + batch * stride_lb + head * stride_lh + q_start
    tl.store(sum_base + rows, total, mask=rows < queries)


@triton.jit
def backward_keys_kernel(
    q_ptr, k_ptr, v_ptr, bias_ptr, grad_ptr, lse_ptr, sum_ptr, dk_ptr, dv_ptr, cu_q_ptr, cu_k_ptr,
    stride_qb, stride_qh, stride_qn, stride_qd, stride_kb, stride_kh, stride_kn, stride_kd,
    stride_vb, stride_vh, stride_vn, stride_vd, stride_bb, stride_bh, stride_bm, stride_bn,
    stride_gb, stride_gh, stride_gn, stride_gd, stride_lb, stride_lh,
    stride_dkb, stride_dkh, stride_dkn, stride_dkd, stride_dvb, stride_dvh, stride_dvn, stride_dvd,
    heads, queries, keys, blocks, scale,
    D: tl.constexpr, CAUSAL: tl.constexpr, BIAS: tl.constexpr, PACKED: tl.constexpr,
    PRECISION: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One block of keys of one head: the gradients of its keys and values."""
    block, head, batch = split_program(tl.program_id(0), blocks, heads)
    q_start, queries = sequence(cu_q_ptr, batch, queries, PACKED)
    k_start, keys = sequence(cu_k_ptr, batch, keys, PACKED)
    if block * BLOCK_N >= keys:
        return
    batch = batch.to(tl.int64)
    cols = block * BLOCK_N + tl.arange(0, BLOCK_N)
    dims = tl.arange(0, BLOCK_D)
    q_base = q_ptr + batch * stride_qb + head * stride_qh + q_start * stride_qn
    k_base = k_ptr + batch * stride_kb + head * stride_kh + k_start * stride_kn
    v_base = v_ptr + batch * stride_vb + head * stride_vh + k_start * stride_vn
    bias_base = bias_ptr + batch * stride_bb + head * stride_bh
    grad_base = grad_ptr + batch * stride_gb + head * stride_gh + q_start * stride_gn
    line = batch * stride_lb + head * stride_lh + q_start
    k = load_tile(k_base, cols, dims, stride_kn, stride_kd, keys, D, True)
    v = load_tile(v_base, cols, dims, stride_vn, stride_vd, keys, D, True)
    dk = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    dv = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)

    first = 0
    if CAUSAL:  # queries before this one see none of the block's keys
        first = tl.maximum(block * BLOCK_N - (keys - queries), 0) // BLOCK_M * BLOCK_M
    for start in range(first, queries, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        q = load_tile(q_base, rows, dims, stride_qn, stride_qd, queries, D, True)
        grad = load_tile(grad_base, rows, dims, stride_gn, stride_gd, queries, D, True)
        # Rows past the end get +inf, hence weights of zero.
        lse = tl.load(lse_ptr + line + rows, mask=rows < queries, other=float("inf"))
        taken = tl.load(sum_ptr + line + rows, mask=rows < queries, other=0.0)
        scores = scores_tile(
            q, k, bias_base, stride_bm, stride_bn, rows, cols, queries, keys, scale,
            CAUSAL, BIAS, True, PRECISION,
        )  # fmt: skip
        weights = tl.exp2(scores - lse[:, None])
        dv = tl.dot(tl.trans(weights).to(grad.dtype), grad, dv, input_precision=PRECISION)
        dweights = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        dscores = weights * (dweights - taken[:, None])
        dk = tl.dot(tl.trans(dscores).to(q.dtype), q, dk, input_precision=PRECISION)

    inside = (cols[:, None] < keys) & (dims[None, :] < D)
    dk_base = dk_ptr + batch * stride_dkb + head * stride_dkh + k_start * stride_dkn
    dv_base = dv_ptr + batch * stride_dvb + head * stride_dvh + k_start * stride_dvn
    dk = (dk * scale).to(dk_ptr.dtype.element_ty)
    dv = dv.to(dv_ptr.dtype.element_ty)
    tl.store(pointers(dk_base, cols, dims, stride_dkn, stride_dkd), dk, mask=inside)
    tl.store(pointers(dv_base, cols, dims, stride_dvn, stride_dvd), dv, mask=inside)


@triton.jit
def backward_queries_kernel(
    q_ptr, k_ptr, v_ptr, bias_ptr, grad_ptr, lse_ptr, sum_ptr, dq_ptr, dbias_ptr,
    cu_q_ptr, cu_k_ptr,
    stride_qb, stride_qh, stride_qn, stride_qd, stride_kb, stride_kh, stride_kn, stride_kd,
    stride_vb, stride_vh, stride_vn, stride_vd, stride_bb, stride_bh, stride_bm, stride_bn,
    stride_gb, stride_gh, stride_gn, stride_gd, stride_lb, stride_lh,
    stride_dqb, stride_dqh, stride_dqn, stride_dqd, stride_dbb, stride_dbh, stride_dbm, stride_dbn,
    heads, queries, keys, blocks, scale,
    D: tl.constexpr, CAUSAL: tl.constexpr, BIAS: tl.constexpr, BIAS_GRAD: tl.constexpr,
    PACKED: tl.constexpr, PRECISION: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head: their gradient, and that of the bias beside them.

    BIAS_GRAD is 0 for none, 1 where each score has a bias of its own, 2 where scores share one.
    """
    block, head, batch = split_program(tl.program_id(0), blocks, heads)
    q_start, queries = sequence(cu_q_ptr, batch, queries, PACKED)
    k_start, keys = sequence(cu_k_ptr, batch, keys, PACKED)
    if block * BLOCK_M >= queries:
        return
    batch = batch.to(tl.int64)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    q_base = q_ptr + batch * stride_qb + head * stride_qh + q_start * stride_qn
    k_base = k_ptr + batch * stride_kb + head * stride_kh + k_start * stride_kn
    v_base = v_ptr + batch * stride_vb + head * stride_vh + k_start * stride_vn
    bias_base = bias_ptr + batch * stride_bb + head * stride_bh
    dbias_base = dbias_ptr + batch * stride_dbb + head * stride_dbh
    grad_base = grad_ptr + batch * stride_gb + head * stride_gh + q_start * stride_gn
    line = batch * stride_lb + head * stride_lh + q_start
    q = load_tile(q_base, rows, dims, stride_qn, stride_qd, queries, D, True)
    grad = load_tile(grad_base, rows, dims, stride_gn, stride_gd, queries, D, True)
    lse = tl.load(lse_ptr + line + rows, mask=rows < queries, other=float("inf"))
    taken = tl.load(sum_ptr + line + rows, mask=rows < queries, other=0.0)
    dq = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)

    _whole, stop = key_range(block, queries, keys, CAUSAL, BLOCK_M, BLOCK_N)
    for start in range(0, stop, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, cols, dims, stride_kn, stride_kd, keys, D, True)
        v = load_tile(v_base, cols, dims, stride_vn, stride_vd, keys, D, True)
        scores = scores_tile(
            q, k, bias_base, stride_bm, stride_bn, rows, cols, queries, keys, scale,
            CAUSAL, BIAS, True, PRECISION,
        )  # fmt: skip
        weights = tl.exp2(scores - lse[:, None])
        dweights = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        dscores = weights * (dweights - taken[:, None])
        dq = tl.dot(dscores.to(k.dtype), k, dq, input_precision=PRECISION)
        if BIAS_GRAD != 0:
            inside = (rows[:, None] < queries) & (cols[None, :] < keys)
            where = pointers(dbias_base, rows, cols, stride_dbm, stride_dbn)
            if BIAS_GRAD == 1:
                tl.store(where, dscores, mask=inside)
            else:
                tl.atomic_add(where, dscores, mask=inside, sem="relaxed")

    dq_base = dq_ptr + batch * stride_dqb + head * stride_dqh + q_start * stride_dqn
    inside = (rows[:, None] < queries) & (dims[None, :] < D)
    dq = (dq * scale).to(dq_ptr.dtype.element_ty)
    tl.store(pointers(dq_base, rows, dims, stride_dqn, stride_dqd), dq, mask=inside)
