"""Kernels in Triton, written for this test: softmax, layer norm, matrix product (pointers, TMA, persistent, fp8), attention
forward and backward."""

import triton
import triton.language as tl


@triton.jit
def softmax(x, y, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BLOCK)
    v = tl.load(x + row * cols + c, mask=c < cols, other=-float("inf")).to(tl.float32)
    e = tl.exp(v - tl.max(v, 0))
    tl.store(y + row * cols + c, e / tl.sum(e, 0), mask=c < cols)


@triton.jit
def layer_norm(x, w, b, y, mean, rstd, cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    inside = c < cols
    v = tl.load(x + row * cols + c, mask=inside, other=0).to(tl.float32)
    m = tl.sum(v, 0) / cols
    d = tl.where(inside, v - m, 0)
    r = tl.rsqrt(tl.sum(d * d, 0) / cols + eps)
    tl.store(mean + row, m)
    tl.store(rstd + row, r)
    out = d * r * tl.load(w + c, mask=inside, other=0) + tl.load(b + c, mask=inside, other=0)
    tl.store(y + row * cols + c, out, mask=inside)


@triton.jit
def layer_norm_bwd(dy, x, w, mean, rstd, dx, dw, db, cols, BLOCK: tl.constexpr):
    """dw and db are sums over rows by atomic additions."""
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    inside = c < cols
    g = tl.load(dy + row * cols + c, mask=inside, other=0).to(tl.float32)
    v = tl.load(x + row * cols + c, mask=inside, other=0).to(tl.float32)
    n = tl.where(inside, (v - tl.load(mean + row)) * tl.load(rstd + row), 0)
    gw = g * tl.load(w + c, mask=inside, other=0)
    a = tl.sum(n * gw, 0) / cols
    e = tl.sum(gw, 0) / cols
    tl.store(dx + row * cols + c, (gw - (n * a + e)) * tl.load(rstd + row), mask=inside)
    tl.atomic_add(dw + c, g * n, mask=inside)
    tl.atomic_add(db + c, g, mask=inside)


@triton.jit
def matmul(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """C = A B, all row-major, through pointers."""
    pm, pn = tl.program_id(0), tl.program_id(1)
    m, n, k = pm * BM + tl.arange(0, BM), pn * BN + tl.arange(0, BN), tl.arange(0, BK)
    pa, pb = a + m[:, None] * K + k[None, :], b + k[:, None] * N + n[None, :]
    acc = tl.zeros((BM, BN), tl.float32)
    for i in range(0, K, BK):
        inside = k < K - i
        acc = tl.dot(tl.load(pa, mask=inside[None, :], other=0), tl.load(pb, mask=inside[:, None], other=0), acc)
        pa += BK
        pb += BK * N
    tl.store(c + m[:, None] * N + n[None, :], acc.to(c.dtype.element_ty), mask=(m < M)[:, None] & (n < N)[None, :])


@triton.jit
def matmul_tma(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPECIALIZE: tl.constexpr):
    """C = A Bᵀ through tensor maps that the kernel makes, persistent."""
    da = tl.make_tensor_descriptor(a, [M, K], [K, 1], [BM, BK])
    db = tl.make_tensor_descriptor(b, [N, K], [K, 1], [BN, BK])
    dc = tl.make_tensor_descriptor(c, [M, N], [N, 1], [BM, BN])
    tiles_n = tl.cdiv(N, BN)
    tiles = tl.cdiv(M, BM) * tiles_n
    for t in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True, warp_specialize=SPECIALIZE):
        m, n = t // tiles_n * BM, t % tiles_n * BN
        acc = tl.zeros((BM, BN), tl.float32)
        for k in range(0, K, BK):
            acc = tl.dot(da.load([m, k]), db.load([n, k]).T, acc)
        dc.store([m, n], acc.to(c.dtype.element_ty))


@triton.jit
def attention(q, k, v, o, lse, scale, S, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, CAUSAL: tl.constexpr):
    """One head a program in y; q, k, v, o are [heads, S, D]."""
    pm, head = tl.program_id(0), tl.program_id(1)
    base = head.to(tl.int64) * S * D
    m, d = pm * BM + tl.arange(0, BM), tl.arange(0, D)
    tile_q = tl.load(q + base + m[:, None] * D + d[None, :])
    top = tl.full((BM,), -float("inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    factor = scale * 1.4426950408889634
    end = (pm + 1) * BM if CAUSAL else S
    for start in range(0, end, BN):
        n = start + tl.arange(0, BN)
        tile_k = tl.load(k + base + n[None, :] * D + d[:, None])
        s = tl.dot(tile_q, tile_k) * factor
        if CAUSAL:
            s = tl.where(m[:, None] >= n[None, :], s, -float("inf"))
        new = tl.maximum(top, tl.max(s, 1))
        p = tl.exp2(s - new[:, None])
        alpha = tl.exp2(top - new)
        total = total * alpha + tl.sum(p, 1)
        tile_v = tl.load(v + base + n[:, None] * D + d[None, :])
        acc = tl.dot(p.to(tile_v.dtype), tile_v, acc * alpha[:, None])
        top = new
    tl.store(o + base + m[:, None] * D + d[None, :], (acc / total[:, None]).to(o.dtype.element_ty))
    tl.store(lse + head * S + m, (top + tl.log2(total)) * 0.6931471805599453)


@triton.jit
def attention_bwd_kv(q, k, v, do, lse, delta, dk, dv, scale, S, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
                     CAUSAL: tl.constexpr):
    """Gradients of a block of keys and values."""
    pn, head = tl.program_id(0), tl.program_id(1)
    base = head.to(tl.int64) * S * D
    n, d = pn * BN + tl.arange(0, BN), tl.arange(0, D)
    tile_k = tl.load(k + base + n[:, None] * D + d[None, :])
    tile_v = tl.load(v + base + n[:, None] * D + d[None, :])
    gk, gv = tl.zeros((BN, D), tl.float32), tl.zeros((BN, D), tl.float32)
    begin = pn * BN // BM * BM if CAUSAL else 0
    for start in range(begin, S, BM):
        m = start + tl.arange(0, BM)
        tile_q = tl.load(q + base + m[:, None] * D + d[None, :])
        tile_do = tl.load(do + base + m[:, None] * D + d[None, :])
        l = tl.load(lse + head * S + m)
        p = tl.exp(tl.dot(tile_k, tile_q.T) * scale - l[None, :])
        if CAUSAL:
            p = tl.where(m[None, :] >= n[:, None], p, 0.0)
        gv = tl.dot(p.to(tile_do.dtype), tile_do, gv)
        dp = tl.dot(tile_v, tile_do.T)
        ds = p * (dp - tl.load(delta + head * S + m)[None, :])
        gk = tl.dot(ds.to(tile_q.dtype), tile_q, gk)
    tl.store(dk + base + n[:, None] * D + d[None, :], (gk * scale).to(dk.dtype.element_ty))
    tl.store(dv + base + n[:, None] * D + d[None, :], gv.to(dv.dtype.element_ty))
