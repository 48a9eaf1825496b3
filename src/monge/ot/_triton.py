"""Log-sum-exp and soft mean of the scores <qᵢ, kⱼ> + hⱼ on CUDA, without the n×m matrix.

    Dao et al., "FlashAttention: Fast and memory-efficient exact attention with IO-awareness",
        NeurIPS 2022 [dao2022]
    Ye et al., "FlashSinkhorn: IO-aware entropic optimal transport", arXiv:2602.03067, 2026 [ye2026]

    q, k        rows (n, d) and columns (m, d)
    h           added to each column (m,); −inf removes the column
    v           values (m, e)
    s           a tile of scores, N rows by M columns, summed over D dimensions at a time
    top, total  largest score of a row so far, and Σⱼ exp(sⱼ − top)

Half an iteration of Sinkhorn is one `lse`: for the cost \\|x − y\\|², q = 2x/ε, k = y and
h = log b + (g − \\|y\\|²)/ε; for the cosine cost, q = x/(ε\\|x\\|), k = y/\\|y\\| and
h = log b + (g − 1)/ε. Inputs are float32, float16 or bfloat16; results are float32, without
gradient, and bitwise reproducible, since no atomics are used.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
# (the arguments of a kernel are pointers and numbers of Triton's language, not of Python)

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = tl = None

_jit = triton.jit if triton else lambda kernel: kernel

# Chosen from the reports of ptxas for sm_75 to sm_90 and d a multiple of 16: "ieee" and "tf32"
# spill at most 8 bytes of registers. Exact products are multiply-adds that hold their operands in
# registers: with 4 warps, 128 rows take all 255 of them and spill.
_ROWS, _COLUMNS, _DEPTH = 64, 64, 32
_COLUMNS_OF_MEAN = 32  # half as many, since the sums of values take registers too
_LEAST = 16  # smallest size that tl.dot accepts
_WIDEST = 256  # for wider values the scores are computed once per block of values
# programs that keep a large GPU busy: with fewer blocks of rows, the columns are divided as well
_PROGRAMS = 1024


def available(tensor: Tensor) -> bool:
    """Return whether the kernels support the device and the dtype of a tensor.

    On CUDA without Triton, return False and warn once.
    """
    if not tensor.is_cuda or tensor.dtype == torch.float64:
        return False
    if triton is None:
        _warn()
    return triton is not None


@cache
def _warn() -> None:
    warnings.warn(
        "Sinkhorn on CUDA is slow without Triton: pip install triton", RuntimeWarning, stacklevel=3
    )


def lse(q: Tensor, k: Tensor, h: Tensor, *, input_precision: str = "ieee") -> Tensor:
    r"""Return the logarithm of the sum over columns of the exponential of the scores.

    .. math:: \log \sum_j \exp(\langle q_i, k_j \rangle + h_j)

    Shapes (n, d), (m, d), (m,) to (n,); −inf where every hⱼ is −inf. ``input_precision`` sets how
    float32 is multiplied: ``"ieee"`` exactly, ``"tf32x3"`` almost exactly on tensor cores,
    ``"tf32"`` with 11 bits. Source: [ye2026].
    """
    q, k, h = q.contiguous(), k.contiguous(), h.contiguous()
    (n, d), m = q.shape, len(k)
    blocks = triton.cdiv(n, _ROWS)
    span = _span(blocks, m, _COLUMNS)
    out = q.new_empty((triton.cdiv(m, span), n), dtype=torch.float32)
    sizes = (_ROWS, _COLUMNS, _depth(d), _precision(input_precision, q, k))
    with torch.cuda.device_of(q):
        _lse[blocks, len(out)](q, k, h, out, n, m, d, span, *sizes, num_warps=4, num_stages=2)
    return out.logsumexp(0) if len(out) > 1 else out[0]


def mean(
    q: Tensor, k: Tensor, h: Tensor, lse: Tensor, v: Tensor, *, input_precision: str = "ieee"
) -> Tensor:
    r"""Return the mean of the values under the softmax of the scores.

    .. math:: \sum_j \exp(\langle q_i, k_j \rangle + h_j - \mathrm{lse}_i)\, v_j

    This is the barycentric map, or the product in a gradient. Shapes (n, d), (m, d), (m,), (n,),
    (m, e) to (n, e); zero where lseᵢ is −inf. For ``input_precision`` see `lse`; with 16-bit inputs
    the exponentials are rounded to 11 bits. Source: [ye2026].
    """
    q, k, h, lse, v = (tensor.contiguous() for tensor in (q, k, h, lse, v))
    (n, d), (m, e) = q.shape, v.shape
    width = min(_WIDEST, max(_LEAST, triton.next_power_of_2(e)))
    blocks, strips = triton.cdiv(n, _ROWS), triton.cdiv(e, width)
    span = _span(blocks * strips, m, _COLUMNS_OF_MEAN)
    out = q.new_empty((triton.cdiv(m, span), n, e), dtype=torch.float32)
    sizes = (_ROWS, _COLUMNS_OF_MEAN, _depth(d), width, _precision(input_precision, q, k, v))
    grid, warps = (blocks, strips, len(out)), 4 if width <= 64 else 8
    with torch.cuda.device_of(q):
        arguments = (q, k, h, lse, v, out, n, m, d, e, span)
        _mean[grid](*arguments, *sizes, num_warps=warps, num_stages=2)
    return out.sum(0) if len(out) > 1 else out[0]


def _span(programs: int, m: int, columns: int) -> int:
    """Return the columns per program: all, unless there are too few programs for a GPU."""
    return triton.cdiv(triton.cdiv(m, columns), max(1, _PROGRAMS // programs)) * columns


def _depth(d: int) -> int:
    return _LEAST if d <= _LEAST else _DEPTH


def _precision(requested: str, *tensors: Tensor) -> str:
    """Return "tf32" where all tensors are 16-bit, since it represents them exactly."""
    return "tf32" if all(tensor.dtype.itemsize == 2 for tensor in tensors) else requested


@_jit
def _scores(
    q, k, h, rows, cols, n, m, d,
    N: tl.constexpr, M: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    s = tl.zeros((N, M), tl.float32)
    for start in range(0, d, D):
        dims = start + tl.arange(0, D)
        left_mask = (rows[:, None] < n) & (dims[None, :] < d)
        left = tl.load(q + rows[:, None] * d + dims[None, :], left_mask, 0)
        right_mask = (cols[None, :] < m) & (dims[:, None] < d)
        right = tl.load(k + cols[None, :] * d + dims[:, None], right_mask, 0)
        s = tl.dot(left.to(tl.float32), right.to(tl.float32), s, input_precision=PRECISION)
    # columns past the end have weight zero
    return s + tl.load(h + cols, cols < m, float("-inf")).to(tl.float32)[None, :]


@_jit
def _lse(
    q, k, h, out, n, m, d, span,
    N: tl.constexpr, M: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * N + tl.arange(0, N).to(tl.int64)  # 64 bits, since n·d may exceed 2³¹
    first = tl.program_id(1) * span
    top = tl.full((N,), float("-inf"), tl.float32)
    total = tl.zeros((N,), tl.float32)
    for start in range(first, tl.minimum(first + span, m), M):
        cols = start + tl.arange(0, M).to(tl.int64)
        s = _scores(q, k, h, rows, cols, n, m, d, N, M, D, PRECISION)
        higher = tl.maximum(top, tl.max(s, 1))
        pivot = tl.where(higher == float("-inf"), 0, higher)  # −inf − (−inf) is NaN
        total = total * tl.exp(top - pivot) + tl.sum(tl.exp(s - pivot[:, None]), 1)
        top = higher
    tl.store(out + tl.program_id(1) * n + rows, top + tl.log(total), rows < n)


@_jit
def _mean(
    q, k, h, lse, v, out, n, m, d, e, span,
    N: tl.constexpr, M: tl.constexpr, D: tl.constexpr, E: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * N + tl.arange(0, N).to(tl.int64)
    dims = tl.program_id(1) * E + tl.arange(0, E)
    first = tl.program_id(2) * span
    shift = tl.load(lse + rows, rows < n, 0).to(tl.float32)
    shift = tl.where(shift == float("-inf"), 0, shift)
    total = tl.zeros((N, E), tl.float32)
    for start in range(first, tl.minimum(first + span, m), M):
        cols = start + tl.arange(0, M).to(tl.int64)
        p = tl.exp(_scores(q, k, h, rows, cols, n, m, d, N, M, D, PRECISION) - shift[:, None])
        mask = (cols[:, None] < m) & (dims[None, :] < e)
        values = tl.load(v + cols[:, None] * e + dims[None, :], mask, 0)
        total = tl.dot(p, values.to(tl.float32), total, input_precision=PRECISION)
    place = (tl.program_id(2) * n + rows[:, None]) * e + dims[None, :]
    tl.store(out + place, total, (rows[:, None] < n) & (dims[None, :] < e))
