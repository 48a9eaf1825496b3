"""Figures of codes and of what lies between them have known values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import pi
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monge import metrics
from monge.data import Dataset, FiniteDataset, from_array, load, load_prior
from monge.data.evaluators import code_quality, random_pairs
from monge.methods import acai, gan, wwae
from monge.metrics import EvalConfig
from monge.metrics.codes import CODES_MMD, CODES_W2
from monge.metrics.spec import flat
from monge.nets import Autoencoder
from monge.training.codes import codes
from monge.training.evaluate import evaluate
from tests.helpers.measured import measured
from tests.helpers.clouds import cloud

CONFIG = EvalConfig(samples=64, lenet_samples=100)


def code_figures(method: object, data: Dataset, config: EvalConfig) -> dict[str, Any]:
    return measured(codes, method, data, config) | measured(code_quality, method, data, config)


def blobs(seed: int, n: int = 300, distance: float = 8.0) -> tuple[Tensor, Tensor]:
    """Three round clusters in a triangle."""
    labels = torch.arange(n) % 3
    corners = distance * torch.tensor([[0.0, 0.0], [1.0, 0.2], [0.3, 1.0]])
    return cloud(seed, n, 2) + corners[labels], labels


def test_a_linear_probe_finds_lines_and_nothing_else() -> None:
    (z, y), (z2, y2) = blobs(0), blobs(1)
    assert metrics.linear_probe(z, y, z2, y2) == pytest.approx(1, abs=0.02)
    assert metrics.linear_probe(1e5 * z + 1e6, y, 1e5 * z2 + 1e6, y2) == metrics.linear_probe(
        z, y, z2, y2
    )
    # by the scale that was learned
    assert metrics.linear_probe(1e-5 * z, y, 1e-5 * z2, y2) == metrics.linear_probe(z, y, z2, y2)
    assert metrics.linear_probe(z, y, z2[y2 == 1], y2[y2 == 1]) > 0.95  # and by the mean
    x, x2 = cloud(2, 2000, 2), cloud(3, 2000, 2)
    quadrants = metrics.linear_probe(x, x.prod(1) > 0, x2, x2.prod(1) > 0)
    assert quadrants == pytest.approx(0.5, abs=0.1)


def test_a_linear_probe_of_degenerate_codes() -> None:
    z, y = blobs(0)
    constant = torch.cat([z, torch.full((len(z), 1), 3.0)], 1)
    assert metrics.linear_probe(constant, y, constant, y) == metrics.linear_probe(z, y, z, y)
    # one class was ever seen
    assert metrics.linear_probe(z, torch.ones_like(y), z, y) == pytest.approx(1 / 3)


def test_clusters_have_no_names() -> None:
    z, y = blobs(0)
    for order in permutations(range(3)):
        assert metrics.clustering_accuracy(z, z, torch.tensor(order)[y], clusters=3) > 0.99
    held_out, labels = blobs(1)
    assert metrics.clustering_accuracy(z, held_out, labels, clusters=3) > 0.99
    assert metrics.clustering_accuracy(z, held_out, labels.sort().values, clusters=3) < 0.5


def test_clusters_are_those_of_whitened_codes() -> None:
    # wide, narrow, and constant but for rounding
    z = cloud(0, 600, 3) * torch.tensor([50.0, 0.1, 0.0])
    labels = (torch.arange(600) % 2).long()
    z[:, 1] += labels
    turn = torch.linalg.qr(cloud(1, 3, 3)).Q
    assert metrics.clustering_accuracy(z @ turn, z @ turn, labels, clusters=2) > 0.95


def test_matching_against_every_permutation() -> None:
    given = torch.Generator().manual_seed(0)
    clusters, labels = (torch.randint(4, (60,), generator=given) for _ in range(2))
    best = max(
        float((torch.tensor(order)[clusters] == labels).float().mean())
        for order in permutations(range(4))
    )
    assert metrics.matched_accuracy(clusters, labels) == pytest.approx(best)
    # a label has one cluster
    assert metrics.matched_accuracy(torch.arange(4), torch.zeros(4)) == 0.25


def test_codes_of_the_prior_are_at_its_floor() -> None:
    prior = load_prior("normal", 4)
    draw = lambda k: prior.batch(k, 0, 400)
    same = metrics.prior_distances(draw(1), draw(2), draw(3))
    assert same[CODES_W2].ratio == pytest.approx(1, abs=0.1)
    draws = torch.tensor(
        [
            metrics.prior_distances(draw(k)[:60], draw(k + 50)[:60], draw(k + 100)[:60])[
                CODES_MMD
            ].value
            for k in range(40)
        ]
    )
    assert draws.mean().abs() < 4 * draws.std() / 40**0.5
    moved = metrics.prior_distances(draw(1) + 3, draw(2), draw(3))
    assert moved[CODES_W2].value == pytest.approx(4 * 9, rel=0.1)
    assert moved[CODES_W2].floor == same[CODES_W2].floor


def test_the_kernel_is_the_priors() -> None:
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


def test_path_lengths() -> None:
    t = torch.linspace(0, 1, 200)
    straight, half_circle = torch.stack([t, t], 1), torch.stack([(pi * t).cos(), (pi * t).sin()], 1)
    loop = torch.stack([(2 * pi * t).cos(), (2 * pi * t).sin()], 1)
    loop[-1] = loop[0]
    assert metrics.path_length(straight[None]) == pytest.approx(1)
    assert metrics.path_length(half_circle[None]) == pytest.approx(pi / 2, rel=1e-4)
    assert metrics.path_length(torch.stack([straight, half_circle, loop])) == pytest.approx(
        (1 + pi / 2) / 2, rel=1e-4
    )


def test_everyone_has_two_partners() -> None:
    a, b = random_pairs(50, seed=1)
    assert (a != b).all()
    assert sorted(a.tolist()) == sorted(b.tolist()) == list(range(50))
    assert not torch.equal(a, random_pairs(50, seed=2)[0])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiniteDataset]:
    """Labeled pictures that pass for MNIST: a bright bar, whose height is the label."""
    random, labels = np.random.default_rng(0), np.arange(400) % 10
    bars = random.uniform(0, 0.2, (400, 28, 28)).astype(np.float32)
    for bar, label in zip(bars, labels, strict=True):
        bar[2 * label + 2 : 2 * label + 6] += 0.8
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGE_CACHE", str(tmp_path_factory.mktemp("lenet")))
        yield from_array(bars, "mnist", labels=torch.from_numpy(labels))


class Pixels(nn.Module):
    """Codes are the pictures themselves."""

    prior = None

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(nn.Flatten(), nn.Unflatten(1, shape), int(np.prod(shape)))


def test_pixels_as_codes_are_a_perfect_autoencoder_with_cross_fades_between(
    pictures: FiniteDataset,
) -> None:
    found = code_figures(Pixels(pictures.shape), pictures, CONFIG)
    assert found["reconstruction_error"] == 0
    assert found["frechet_lenet_reconstruction"] == pytest.approx(0, abs=1e-3)
    assert found["confidence_reconstruction"] == pytest.approx(found["confidence_data"])
    assert found["linear_probe"] > 0.95
    for name in ("confidence", "frechet_lenet"):
        assert found[f"{name}_midpoint"] == pytest.approx(found[f"{name}_crossfade"], rel=1e-4)
    assert found["path_length"] == pytest.approx(found["path_length_crossfade"], rel=1e-4)
    assert found["path_length"] > 1
    assert found["confidence_midpoint"] < found["confidence_data"]
    assert found["frechet_lenet_midpoint"] > 1
    assert "codes_w2" not in found


def test_midpoints_that_are_data_are_at_no_distance(pictures: FiniteDataset) -> None:
    x = pictures.held_out(80)
    a, b = random_pairs(80, 0)
    found = flat(
        metrics.midpoint_quality(pictures, x, x[a], x[b], metrics.cross_fade(x[a[:3]], x[b[:3]], 4))
    )
    assert found["frechet_lenet_midpoint"] == pytest.approx(0, abs=1e-3)
    assert found["confidence_midpoint"] == pytest.approx(found["confidence_data"])
    assert found["frechet_lenet_crossfade"] > 1


def test_figures_that_fit_the_data() -> None:
    torch.manual_seed(0)
    digits, config = load("digits"), {"batch": 16}
    plain = acai.build(
        acai.Config(
            nets={"kind": "mlp", "latent": 3, "width": 8},
            interpolation={"critic_width": 4},
            **config,
        ),
        digits.shape,
    )
    assert set(code_figures(plain, digits, CONFIG)) == {
        "reconstruction_error",
        "linear_probe",
        "clustering_accuracy",
    }
    points = load("8gaussians")
    two = wwae.build(
        wwae.Config(nets={"kind": "mlp", "latent": 2, "width": 8}, **config), points.shape
    )
    prior = {"codes_w2", "codes_w2_floor", "codes_w2_ratio", "codes_mmd"}
    found = code_figures(two, points, CONFIG)
    assert set(found) == {"reconstruction_error", *prior}
    assert found["codes_w2_ratio"] == pytest.approx(found["codes_w2"] / found["codes_w2_floor"])
    assert (
        code_figures(
            gan.build(gan.Config(batch=8, nets={"width": 8}), points.shape), points, CONFIG
        )
        == {}
    )


def test_the_error_is_that_of_an_entry() -> None:
    method = Pixels((3,))
    points = from_array(np.random.default_rng(0).normal(size=(100, 3)), n_held_out=50)
    method.autoencoder.decoder = nn.Threshold(0, 0)
    x = points.held_out(50)
    assert code_figures(method, points, CONFIG)["reconstruction_error"] == pytest.approx(
        x.clamp(max=0).square().mean().item()
    )
    # four voices, five classes, seven frames
    rolls = nn.functional.one_hot(torch.randint(5, (20, 4, 7)), 5).movedim(3, 2).float()
    rows = np.arange(20)
    scores = FiniteDataset(
        "scores", (4, 5, 7), lambda i: rolls[torch.from_numpy(i)], rows[:10], rows[10:]
    )
    method.autoencoder = Autoencoder(
        nn.Flatten(),
        nn.Sequential(nn.Unflatten(1, (4, 5, 7)), nn.Threshold(2, 0)),
        140,
        classes=True,
    )
    # it tells nothing apart
    assert code_figures(method, scores, CONFIG) == {
        "reconstruction_error": pytest.approx(np.log(5))
    }


def test_codes_of_the_prior_reach_the_floor_in_training() -> None:
    method = Pixels((2,))
    method.prior = load_prior("normal", 2)  # type: ignore[assignment]
    source = from_array(
        torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)), n_held_out=300
    )
    found = code_figures(method, source, EvalConfig(samples=300))
    assert 0.5 < found["codes_w2_ratio"] < 2
    assert abs(found["codes_mmd"]) < 0.05
    assert found["reconstruction_error"] == 0


def test_a_single_held_out_sample_has_no_distance() -> None:
    source = from_array(np.random.default_rng(0).normal(size=(4, 3)), n_held_out=1)
    method = wwae.build(
        wwae.Config(nets={"kind": "mlp", "latent": 2, "width": 8}, batch=2), source.shape
    )
    assert set(code_figures(method, source, CONFIG)) == {"reconstruction_error"}


def test_a_run_is_measured_with_its_codes() -> None:
    digits = load("digits")
    method = wwae.build(
        wwae.Config(nets={"kind": "mlp", "latent": 2, "width": 8}, batch=16), digits.shape
    )
    found = evaluate(method, digits, CONFIG)
    assert {"w2_squared", "linear_probe", "codes_w2_ratio", "reconstruction_error"} <= set(found)
    assert found["linear_probe"] > 0.2
