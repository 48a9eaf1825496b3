"""Matrix products by oneDNN and by torch agree with float64."""

from __future__ import annotations

import pytest
import torch

from monge.ot import _matmul
from tests.helpers.clouds import cloud


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("worthwhile", [1, 2**40])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_pairwise_and_times_agree_with_float64(
    shape: tuple[int, ...], worthwhile: int, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_matmul, "_WORTHWHILE", worthwhile)
    batch = shape[0] if shape else 1
    x, y, bias = (
        cloud(s, batch * n, d).reshape(*shape, n, d)
        for s, n, d in ((0, 13, 7), (1, 9, 7), (2, 9, 1))
    )
    exact = scale * x @ y.mT + bias.mT
    product = _matmul.pairwise(x.float(), y.float(), bias[..., 0].float(), scale)
    torch.testing.assert_close(product.double(), exact, atol=1e-5, rtol=0)
    torch.testing.assert_close(_matmul.pairwise(x, y, None, scale), scale * x @ y.mT)
    K, v = product, cloud(3, batch * 9, 4).reshape(*shape, 9, 4).float()
    torch.testing.assert_close(_matmul.times(K, v), K @ v, atol=1e-5, rtol=0)
    transposed = _matmul.times(product.mT, x.float())
    torch.testing.assert_close(transposed, product.mT @ x.float(), atol=1e-5, rtol=0)
