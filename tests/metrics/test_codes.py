"""Metrics of codes have known values."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge import metrics
from monge.data import load_prior
from monge.metrics.codes import CODES_MMD, CODES_W2
from tests.helpers.clouds import cloud


def blobs(seed: int, n: int = 300, distance: float = 8.0) -> tuple[Tensor, Tensor]:
    """Three round clusters in a triangle."""
    labels = torch.arange(n) % 3
    corners = distance * torch.tensor([[0.0, 0.0], [1.0, 0.2], [0.3, 1.0]])
    return cloud(seed, n, 2) + corners[labels], labels


def test_linear_probe_separates_blobs_and_not_quadrants() -> None:
    (z, y), (z2, y2) = blobs(0), blobs(1)
    assert metrics.linear_probe(z, y, z2, y2) == pytest.approx(1, abs=0.02)
    accuracy = metrics.linear_probe(z, y, z2, y2)
    assert metrics.linear_probe(1e5 * z + 1e6, y, 1e5 * z2 + 1e6, y2) == accuracy
    assert metrics.linear_probe(1e-5 * z, y, 1e-5 * z2, y2) == accuracy
    # standardized by the mean of the training codes
    assert metrics.linear_probe(z, y, z2[y2 == 1], y2[y2 == 1]) > 0.95
    x, x2 = cloud(2, 2000, 2), cloud(3, 2000, 2)
    quadrants = metrics.linear_probe(x, x.prod(1) > 0, x2, x2.prod(1) > 0)
    assert quadrants == pytest.approx(0.5, abs=0.1)


def test_linear_probe_of_constant_codes_and_of_one_class() -> None:
    z, y = blobs(0)
    constant = torch.cat([z, torch.full((len(z), 1), 3.0)], 1)
    assert metrics.linear_probe(constant, y, constant, y) == metrics.linear_probe(z, y, z, y)
    # the training codes have one class
    assert metrics.linear_probe(z, torch.ones_like(y), z, y) == pytest.approx(1 / 3)


def test_clustering_accuracy_does_not_depend_on_the_names_of_labels() -> None:
    z, y = blobs(0)
    for order in permutations(range(3)):
        assert metrics.clustering_accuracy(z, z, torch.tensor(order)[y], clusters=3) > 0.99
    held_out, labels = blobs(1)
    assert metrics.clustering_accuracy(z, held_out, labels, clusters=3) > 0.99
    assert metrics.clustering_accuracy(z, held_out, labels.sort().values, clusters=3) < 0.5


def test_clusters_are_found_in_whitened_codes() -> None:
    # wide, narrow, and constant but for rounding
    z = cloud(0, 600, 3) * torch.tensor([50.0, 0.1, 0.0])
    labels = (torch.arange(600) % 2).long()
    z[:, 1] += labels
    turn = torch.linalg.qr(cloud(1, 3, 3)).Q
    assert metrics.clustering_accuracy(z @ turn, z @ turn, labels, clusters=2) > 0.95


def test_matched_accuracy_agrees_with_the_best_permutation() -> None:
    rng = torch.Generator().manual_seed(0)
    clusters, labels = (torch.randint(4, (60,), generator=rng) for _ in range(2))
    best = max(
        float((torch.tensor(order)[clusters] == labels).float().mean())
        for order in permutations(range(4))
    )
    assert metrics.matched_accuracy(clusters, labels) == pytest.approx(best)
    # each label is matched to one cluster
    assert metrics.matched_accuracy(torch.arange(4), torch.zeros(4)) == 0.25


def test_codes_of_the_prior_reach_the_floor() -> None:
    prior = load_prior("normal", 4)
    draw = lambda k: prior.batch(k, 0, 400)
    same = metrics.prior_distances(draw(1), draw(2), draw(3))
    assert same[CODES_W2].ratio == pytest.approx(1, abs=0.1)
    few = lambda k: draw(k)[:60]
    draws = [metrics.prior_distances(few(k), few(k + 50), few(k + 100)) for k in range(40)]
    mmd = torch.tensor([measures[CODES_MMD].value for measures in draws])
    assert mmd.mean().abs() < 4 * mmd.std() / 40**0.5
    moved = metrics.prior_distances(draw(1) + 3, draw(2), draw(3))
    assert moved[CODES_W2].value == pytest.approx(4 * 9, rel=0.1)
    assert moved[CODES_W2].floor == same[CODES_W2].floor


def test_codes_mmd_has_length_scales_of_the_prior() -> None:
    z, p, r = cloud(0, 6, 3).double() * 4, cloud(1, 7, 3).double(), cloud(2, 8, 3).double()
    spread = 2 * sum(np.var(np.concatenate([p, r])[:, i], ddof=1) for i in range(3))
    k = lambda s, t: sum(
        c * spread / (c * spread + float((s - t) @ (s - t))) for c in (0.1, 0.2, 0.5, 1, 2, 5, 10)
    )
    within = lambda x: np.mean(
        [k(s, t) for i, s in enumerate(x) for j, t in enumerate(x) if i != j]
    )
    expected = within(z) + within(p) - 2 * np.mean([k(s, t) for s in z for t in p])
    assert metrics.prior_distances(z, p, r)[CODES_MMD].value == pytest.approx(expected, rel=1e-9)
