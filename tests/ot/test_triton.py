"""Tests of the Triton kernels against float64.

They are compiled if CUDA is available, and run in Triton's interpreter otherwise. The interpreter
is selected when Triton is imported, so it runs in a separate process.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from monge.ot import _triton

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton is not installed: pip install triton"
)
Run = Callable[..., Tensor]


def call(name: str, *tensors: Tensor, programs: int = 1, **options: str) -> Tensor:
    """Call a function of `_triton`, by default with one program for all columns.

    A program then has several tiles even in small problems.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_triton, "_PROGRAMS", programs)
        return getattr(_triton, name)(*(tensor.to(device) for tensor in tensors), **options).cpu()


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    if find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install triton")
    if torch.cuda.is_available():
        yield call
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            # the process starts here, and inherits the variable
            pool.submit(torch.set_num_threads, 1).result()
        yield lambda *arguments, **options: pool.submit(call, *arguments, **options).result()


def problem(
    n: int, m: int, d: int, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(n + 100 * m + 10_000 * d)
    q, k, h = (torch.randn(*shape, generator=rng) for shape in ((n, d), (m, d), (m,)))
    return q.to(dtype), k.to(dtype), scale * h


def scores(q: Tensor, k: Tensor, h: Tensor) -> Tensor:
    return q.double() @ k.double().T + h.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("n", "m", "d"), [(1, 1, 1), (1, 130, 3), (17, 1, 16), (130, 17, 33), (65, 200, 130)]
)
def test_lse_agrees_with_float64(run: Run, n: int, m: int, d: int, dtype: torch.dtype) -> None:
    q, k, h = problem(n, m, d, dtype=dtype)
    result = run("lse", q, k, h)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), scores(q, k, h).logsumexp(1), atol=2e-5, rtol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("n", "m", "d", "e"), [(1, 1, 1, 1), (17, 130, 3, 17), (130, 17, 33, 1), (65, 70, 2, 300)]
)
def test_mean_agrees_with_float64(
    run: Run, n: int, m: int, d: int, e: int, dtype: torch.dtype
) -> None:
    (q, k, h), v = problem(n, m, d, dtype=dtype), problem(e, m, e)[1].to(dtype)
    s = scores(q, k, h)
    result = run("mean", q, k, h, s.logsumexp(1).float(), v)
    assert result.dtype == torch.float32
    # compiled, the exponentials of 16-bit inputs have 11 bits
    tolerance = 1e-5 if dtype == torch.float32 else 2e-3
    torch.testing.assert_close(
        result.double(), s.softmax(1) @ v.double(), atol=tolerance, rtol=tolerance
    )


def test_mean_accepts_any_normalization(run: Run) -> None:
    (q, k, h), v = problem(5, 40, 3), problem(1, 40, 4)[1]
    f = torch.linspace(-1, 1, 5)
    expected = (scores(q, k, h) - f.double()[:, None]).exp() @ v.double()
    torch.testing.assert_close(run("mean", q, k, h, f, v).double(), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("n", [1, 70])
def test_columns_are_divided_among_programs_if_rows_are_few(run: Run, n: int) -> None:
    (q, k, h), v = problem(n, 201, 5), problem(1, 201, 7)[1]
    h[64:128] = -torch.inf  # one of the shares is empty
    s = scores(q, k, h)
    for programs in (1, 4, 1024):
        total = run("lse", q, k, h, programs=programs)
        torch.testing.assert_close(total.double(), s.logsumexp(1), atol=1e-5, rtol=1e-6)
        result = run("mean", q, k, h, total, v, programs=programs)
        torch.testing.assert_close(result.double(), s.softmax(1) @ v.double(), atol=1e-5, rtol=1e-5)


def test_spans_cover_the_columns_without_excess_programs() -> None:
    pytest.importorskip("triton", reason="triton is not installed: pip install triton")
    for programs in (1, 3, 700, 5000):
        for m in (1, 64, 65, 1000, 10**6):
            span = _triton._span(programs, m, 64)
            shares = -(-m // span)
            assert span % 64 == 0
            assert shares == 1 or shares * programs <= _triton._PROGRAMS
            assert shares >= min(-(-m // 64), _triton._PROGRAMS // programs) / 2


def test_tf32_is_used_for_16_bit_inputs_or_on_request() -> None:
    single, half, brain = (
        torch.ones(2, dtype=dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16)
    )
    assert _triton._precision("ieee", half, brain) == "tf32"
    assert _triton._precision("ieee", half, single) == "ieee"
    assert _triton._precision("tf32x3", single, single) == "tf32x3"


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_potentials_keep_float32_accuracy(run: Run, scale: float) -> None:
    q, k, h = problem(40, 150, 4)
    h = h + scale
    s = scores(q, k, h)
    total = run("lse", q, k, h)
    # the spacing of float32 numbers near 1e4 is 1e-3
    torch.testing.assert_close(total.double(), s.logsumexp(1), atol=2e-3, rtol=0)
    result = run("mean", q, k, h, total, k)
    torch.testing.assert_close(result.double(), s.softmax(1) @ k.double(), atol=5e-3, rtol=5e-3)
    wide = problem(40, 150, 4, scale=scale)
    torch.testing.assert_close(
        run("lse", *wide).double(), scores(*wide).logsumexp(1), atol=2e-3, rtol=0
    )


def test_large_scores_that_cancel_keep_their_differences(run: Run) -> None:
    q, k, h = problem(20, 100, 1)
    q, k = torch.full_like(q, 64.0), 128 + torch.round(16 * k) / 16  # products are exact
    # the scores are small; multiplying their terms by log₂e would cause errors of 1e-4
    h = torch.round(8 * h) / 8 - 64 * k[:, 0]
    torch.testing.assert_close(
        run("lse", q, k, h).double(), scores(q, k, h).logsumexp(1), atol=3e-6, rtol=0
    )


def test_columns_of_zero_weight_do_not_change_the_result(run: Run) -> None:
    q, k, h = problem(20, 150, 3)
    h[:70] = -torch.inf  # all of the first tile
    kept = h > -torch.inf
    torch.testing.assert_close(
        run("lse", q, k, h), run("lse", q, k[kept], h[kept]), atol=2e-6, rtol=1e-6
    )
    total = run("lse", q, k, h)
    torch.testing.assert_close(
        run("mean", q, k, h, total, k), run("mean", q, k[kept], h[kept], total, k[kept])
    )


def test_zero_weights_give_minus_infinity_and_zero(run: Run) -> None:
    q, k, h = problem(20, 100, 3)
    h.fill_(-torch.inf)
    total = run("lse", q, k, h)
    assert (total == -torch.inf).all()
    assert (run("mean", q, k, h, total, k) == 0).all()


def test_kernels_do_not_read_past_the_end(run: Run) -> None:
    (q, k, h), v = problem(5, 7, 3), problem(1, 7, 4)[1]
    beyond = [
        torch.cat([tensor, torch.full((80, *tensor.shape[1:]), torch.nan)])[: len(tensor)]
        for tensor in (q, k, h, v)
    ]
    total = run("lse", *beyond[:3])
    torch.testing.assert_close(total, run("lse", q, k, h), atol=0, rtol=0)
    torch.testing.assert_close(
        run("mean", *beyond[:3], total, beyond[3]), run("mean", q, k, h, total, v), atol=0, rtol=0
    )


def test_kernels_accept_non_contiguous_tensors(run: Run) -> None:
    q, k, h = problem(7, 20, 4)
    q, k, h = q.T.contiguous().T, k.repeat(1, 2)[:, ::2], h[:1].expand(20)
    total = scores(q, k, h).logsumexp(1)
    torch.testing.assert_close(run("lse", q, k, h).double(), total, atol=1e-5, rtol=1e-6)
    result = run("mean", q, k, h, total.float(), k)
    torch.testing.assert_close(
        result.double(), scores(q, k, h).softmax(1) @ k.double(), atol=1e-5, rtol=1e-5
    )


@needs_triton
@pytest.mark.parametrize(
    ("capability", "dtype", "depth", "width"),
    [(80, "fp32", _triton._LEAST, _triton._WIDEST), (90, "bf16", _triton._DEPTH, _triton._LEAST)],
)
def test_kernels_compile_without_a_gpu(capability: int, dtype: str, depth: int, width: int) -> None:
    """Compilation finds types that tl.dot rejects and kernels too large for older GPUs."""
    import triton
    from triton.backends.compiler import GPUTarget

    constants = {"N": _triton._ROWS, "M": _triton._COLUMNS_OF_MEAN, "D": depth, "E": width}
    constants["PRECISION"] = "ieee" if dtype == "fp32" else "tf32"
    types = {**dict.fromkeys("qkv", f"*{dtype}"), **dict.fromkeys(("h", "lse", "out"), "*fp32")}
    for kernel in (_triton._lse, _triton._mean):
        signature = {
            name: "constexpr" if name in constants else types.get(name, "i32")
            for name in kernel.arg_names
        }
        own = {name: value for name, value in constants.items() if name in signature}
        source = triton.compiler.ASTSource(kernel, signature, own)
        compiled = triton.compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": 8, "num_stages": 2},
        )
        assert compiled.metadata.shared <= 64 * 1024


def test_available_checks_device_dtype_and_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cuda, in_double = (
        SimpleNamespace(is_cuda=True, dtype=dtype) for dtype in (torch.float32, torch.float64)
    )
    assert not _triton.available(torch.ones(2))
    monkeypatch.setattr(_triton, "triton", SimpleNamespace())
    assert _triton.available(on_cuda)
    assert not _triton.available(in_double)


def test_cuda_without_triton_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_triton, "triton", None)
    _triton._warn.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not _triton.available(torch.ones(2))
        assert not caught
        for _ in range(3):
            assert not _triton.available(SimpleNamespace(is_cuda=True, dtype=torch.float32))
    assert [str(w.message) for w in caught] == [
        "Sinkhorn on CUDA is slow without Triton: pip install triton"
    ]
    assert caught[0].category is RuntimeWarning
