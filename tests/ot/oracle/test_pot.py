"""Agreement of entropic and exact transport with POT, and of costs with scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge import ot
from tests.helpers.clouds import cloud, weights

pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
def test_sinkhorn_plan_agrees_with_pot(epsilon: float) -> None:
    x, y, a, b = cloud(0, 30, 3), cloud(1, 20, 3), weights(0, 30), weights(1, 20)
    C = ot.as_cost("sqeuclidean").matrix(x, y)
    ours = ot.sinkhorn(x, y, a=a, b=b, epsilon=epsilon, tol=1e-10, max_iter=200_000)
    options = {"method": "sinkhorn_log", "numItermax": 100_000, "stopThr": 1e-11}
    theirs = pot.sinkhorn(a.numpy(), b.numpy(), C.numpy(), epsilon, **options)
    np.testing.assert_allclose(ours.matrix().numpy(), theirs, atol=1e-8)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (17, 31), (300, 250)])
def test_exact_transport_with_weights_agrees_with_pot(n: int, m: int) -> None:
    x, y, a, b = cloud(0, n, 3), cloud(1, m, 3), weights(0, n), weights(1, m)
    C = ot.as_cost("sqeuclidean").matrix(x, y).numpy()
    value = pot.emd2(a.numpy(), b.numpy(), C)
    assert (ot.wasserstein(x, y, a=a, b=b) ** 2).item() == pytest.approx(value, rel=1e-7)


def test_column_generation_from_few_arcs_agrees_with_pot(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one initial arc per point, most of the optimal arcs must be added by reduced cost."""
    from monge.ot import exact

    monkeypatch.setattr(exact, "_ALL_ARCS", 0)
    monkeypatch.setattr(exact, "_ARCS", 1)
    C, a, b = cloud(0, 40, 60).abs(), weights(0, 40), weights(1, 60)
    value = (ot.transport(C, a, b) * C).sum().item()
    assert value == pytest.approx(pot.emd2(a.numpy(), b.numpy(), C.numpy()), rel=1e-7)


def test_minibatch_energy_distance_agrees_with_pot() -> None:
    batches = [torch.nn.functional.normalize(cloud(s, 24, 5, s / 8), dim=1) for s in range(4)]
    uniform = np.full(24, 1 / 24)

    options = {"method": "sinkhorn_log", "numItermax": 200_000, "stopThr": 1e-10}

    def term(s: torch.Tensor, t: torch.Tensor) -> float:
        C = (1 - s @ t.T).numpy()
        P = pot.sinkhorn(uniform, uniform, C, 0.1, **options)
        return float((P * C).sum())

    x, x2, y, y2 = batches
    cross = term(x, y) + term(x, y2) + term(x2, y) + term(x2, y2)
    theirs = cross - 2 * term(x, x2) - 2 * term(y, y2)
    ours = ot.minibatch_energy_distance(*batches, epsilon=0.1, tol=1e-8, max_iter=200_000)
    assert ours.item() == pytest.approx(theirs, abs=1e-4)


def test_cost_matrices_agree_with_scipy() -> None:
    from scipy.spatial.distance import cdist

    x, y = cloud(0, 9, 7), cloud(1, 8, 7)
    for name in ("sqeuclidean", "euclidean", "cosine"):
        ours, theirs = ot.as_cost(name).matrix(x, y).numpy(), cdist(x.numpy(), y.numpy(), name)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
