"""Agreement of Gromov-Wasserstein and co-optimal transport with POT, at the same ε."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from monge.ot.co_optimal import co_optimal_transport
from monge.ot.gromov import fused_gromov_wasserstein, gromov_wasserstein
from tests.helpers.clouds import cloud, rng, weights
from tests.helpers.relations import distances, relation

pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
coot = pytest.importorskip("ot.coot")

TIGHT = {"tol": 1e-8, "max_iter": 2000}
THEIRS: dict[str, Any] = {"max_iter": 5000, "tol": 1e-12, "numItermax": 20_000, "stopThr": 1e-13}


@pytest.mark.parametrize("epsilon", [5.0, 0.5])
@pytest.mark.parametrize(("n", "m"), [(20, 20), (13, 17)])
def test_gromov_wasserstein_agrees_with_pot(n: int, m: int, epsilon: float) -> None:
    Cx, Cy, a, b = distances(0, n) / 4, distances(1, m, 3) / 6, weights(0, n), weights(1, m)
    theirs = pot.gromov.entropic_gromov_wasserstein(
        Cx.numpy(), Cy.numpy(), a.numpy(), b.numpy(), epsilon=epsilon, **THEIRS
    )
    ours = gromov_wasserstein(Cx, Cy, epsilon=epsilon, a=a, b=b, **TIGHT)
    np.testing.assert_allclose(ours.matrix().numpy(), theirs, atol=1e-6)
    matrices = pot.gromov.init_matrix(Cx.numpy(), Cy.numpy(), a.numpy(), b.numpy())
    their_cost = float(pot.gromov.gwloss(*matrices, theirs))
    assert ours.cost.item() == pytest.approx(their_cost, rel=1e-5)


def test_asymmetric_relations_agree_with_pot() -> None:
    Cx, Cy, a = relation(0, 9), relation(1, 7), weights(0, 9)
    uniform = np.full(7, 1 / 7)
    theirs = pot.gromov.entropic_gromov_wasserstein(
        Cx.numpy(), Cy.numpy(), a.numpy(), uniform, epsilon=0.5, symmetric=False, **THEIRS
    )
    ours = gromov_wasserstein(Cx, Cy, epsilon=0.5, a=a, **TIGHT)
    np.testing.assert_allclose(ours.matrix().numpy(), theirs, atol=1e-6)


def test_kl_loss_agrees_with_pot() -> None:
    Cx, Cy = relation(0, 9), relation(1, 7)
    Cx, Cy = Cx + Cx.T, Cy + Cy.T
    theirs = pot.gromov.entropic_gromov_wasserstein(
        Cx.numpy(), Cy.numpy(), loss_fun="kl_loss", epsilon=0.5, **THEIRS
    )
    ours = gromov_wasserstein(Cx, Cy, epsilon=0.5, loss="kl", **TIGHT)
    np.testing.assert_allclose(ours.matrix().numpy(), theirs, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_fused_gromov_wasserstein_agrees_with_pot(alpha: float) -> None:
    C, Cx, Cy = relation(2, 12)[:, :10], distances(0, 12) / 4, distances(1, 10) / 4
    theirs = pot.gromov.entropic_fused_gromov_wasserstein(
        C.numpy(), Cx.numpy(), Cy.numpy(), epsilon=0.5, alpha=alpha, **THEIRS
    )
    ours = fused_gromov_wasserstein(C, Cx, Cy, epsilon=0.5, alpha=alpha, **TIGHT)
    np.testing.assert_allclose(ours.matrix().numpy(), theirs, atol=1e-6)


def test_objective_is_not_above_that_of_pot_with_many_minima() -> None:
    Cx, Cy = distances(0, 60), distances(1, 60)
    Cx, Cy = Cx / Cx.mean(), Cy / Cy.mean()
    theirs = torch.from_numpy(
        pot.gromov.entropic_gromov_wasserstein(
            Cx.numpy(), Cy.numpy(), epsilon=0.05, max_iter=500, tol=1e-9, stopThr=1e-9
        )
    )
    continued = gromov_wasserstein(Cx, Cy, epsilon=0.05, init=theirs)
    ours = gromov_wasserstein(Cx, Cy, epsilon=0.05, n_starts=6, generator=rng(0))
    assert ours.value.item() <= continued.value.item() + 1e-3


@pytest.mark.parametrize("epsilon", [(1.0, 1.0), (0.5, 2.0)])
def test_co_optimal_transport_agrees_with_pot(epsilon: tuple[float, float]) -> None:
    X, Y, a, w = cloud(0, 10, 6), cloud(1, 8, 5, 0.3), weights(0, 10), weights(1, 5)
    options = {
        "wx_samp": a.numpy(),
        "wy_feat": w.numpy(),
        "epsilon": epsilon,
        "nits_bcd": 5000,
        "tol_bcd": 1e-13,
        "early_stopping_tol": -1,
        "nits_ot": 5000,
        "tol_sinkhorn": 1e-13,
        "method_sinkhorn": "sinkhorn_log",
    }
    samples, features, log = coot.co_optimal_transport(X.numpy(), Y.numpy(), log=True, **options)
    ours = co_optimal_transport(X, Y, epsilon=epsilon, a=a, w=w, **TIGHT)
    np.testing.assert_allclose(ours.samples.matrix().numpy(), samples, atol=1e-6)
    np.testing.assert_allclose(ours.features.matrix().numpy(), features, atol=1e-6)
    assert ours.value.item() == pytest.approx(float(log["distances"][-1]), rel=1e-5)
