"""Paths between codes: their ends, their shapes, and whether they stay where codes are."""

from __future__ import annotations

from math import pi
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import monge
from monge import metrics
from monge.data.evaluators import random_pairs
from monge.errors import MongeError
from monge.interpolate import MODES, Interpolator, Mode, slerp
from monge.nets import Autoencoder
from tests.helpers.clouds import cloud


class Plain(nn.Module):
    """Codes are the samples, doubled."""

    prior = None

    def __init__(self, d: int) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(Times(2.0), Times(0.5), d)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def spread(codes: Tensor, mode: Mode, n: int = 3, at: int = 1, **settings: int) -> metrics.Measured:
    """W₂² to codes of codes on the paths between random pairs, with its floor."""
    a, b = random_pairs(len(codes) // 3, seed=0)
    first, other, known = codes.chunk(3)
    between = Interpolator(Plain(codes.shape[1]), known, **settings)
    return metrics.w2_squared(between.path(first[a], first[b], n, mode)[:, at], other, first)


@pytest.mark.parametrize("mode", MODES)
def test_paths_begin_and_end_at_their_ends_and_are_continuous(mode: Mode) -> None:
    between, (a, b) = Interpolator(Plain(3), cloud(2, 50, 3).float() + 1), cloud(0, 2, 3).float()
    path = between.path(a, b, 200, mode)
    assert path.shape == (200, 3)
    assert torch.equal(path[0], a)
    assert torch.equal(path[-1], b)
    assert path.diff(dim=0).norm(dim=1).max() < 0.05 * (1 + (a - b).norm())
    assert torch.equal(between.path(a, b, 2, mode), torch.stack([a, b]))


@pytest.mark.parametrize("mode", MODES)
def test_many_paths_are_single_ones(mode: Mode) -> None:
    between, a, b = Interpolator(Plain(3)), cloud(0, 4, 3).float(), cloud(1, 4, 3).float()
    many = between.path(a, b, 5, mode)
    torch.testing.assert_close(
        many, torch.stack([between.path(p, q, 5, mode) for p, q in zip(a, b, strict=True)])
    )


def test_samples_are_decoded_and_the_mean_is_the_one_seen_in_training() -> None:
    method, a, b = Plain(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    t = torch.linspace(0, 1, 5)
    torch.testing.assert_close(
        Interpolator(method).interpolate(a, b, 5), torch.stack([1 - t, t], 1)
    )
    middle = lambda: Interpolator(method).interpolate(a, b, 3, "transport")[1]
    torch.testing.assert_close(middle(), torch.full((2,), 0.5**0.5))
    method.autoencoder.mean.fill_(1.0)  # of codes: half of that in samples
    torch.testing.assert_close(middle(), torch.full((2,), 0.5))


def test_slerp_turns_at_constant_speed() -> None:
    a = torch.tensor([2.0, 0.0, 0.0])
    b = torch.tensor([0.0, 0.0, 4.0])
    t = torch.linspace(0, 1, 5)[:, None]
    path = slerp(a, b, t)
    torch.testing.assert_close(path.norm(dim=1), torch.linspace(2, 4, 5))
    unit = nn.functional.normalize(path, dim=1)
    torch.testing.assert_close(
        (unit[1:] * unit[:-1]).sum(1).acos(), torch.full((4,), pi / 8), rtol=1e-4, atol=0
    )
    p, q = cloud(0, 20, 6), cloud(1, 20, 6)
    u, v = (nn.functional.normalize(end, dim=1) for end in (p, q))
    middle = nn.functional.normalize(u + v, dim=1) * (p.norm(dim=1) + q.norm(dim=1))[:, None] / 2
    torch.testing.assert_close(slerp(p, q, torch.tensor([[0.5]], dtype=p.dtype)), middle)


def test_slerp_between_ends_without_a_great_circle() -> None:
    t, a = torch.linspace(0, 1, 9)[:, None], torch.tensor([3.0, 4.0])
    torch.testing.assert_close(slerp(a, 2 * a, t), torch.lerp(a, 2 * a, t))
    torch.testing.assert_close(slerp(a, 0 * a, t), torch.lerp(a, 0 * a, t))
    torch.testing.assert_close(slerp(0 * a, a, t), torch.lerp(0 * a, a, t))
    assert not slerp(0 * a, 0 * a, t).any()
    opposite = slerp(a, -a, t)
    torch.testing.assert_close(opposite.norm(dim=1), torch.full((9,), 5.0))
    torch.testing.assert_close(opposite[[0, -1]], torch.stack([a, -a]), atol=1e-5, rtol=0)
    torch.testing.assert_close((opposite[4] * a).sum(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert slerp(a[:1], -a[:1], t).isfinite().all()  # on a line there is nothing to turn about


@pytest.mark.parametrize(("n", "at"), [(3, 1), (5, 1), (11, 9)])
def test_transport_stays_where_codes_are(n: int, at: int) -> None:
    turn = torch.tensor([[3.0, 1.0], [-2.0, 0.5]], dtype=torch.float64)
    codes = cloud(0, 1800, 2) @ turn + torch.tensor([10.0, -4.0])
    assert spread(codes, "transport", n, at).ratio < 1.6
    if n == 3:
        assert spread(codes, "linear").ratio > 5
        assert spread(codes, "slerp").ratio > 5


def test_a_learned_map_leaves_the_gap_between_two_clusters_empty() -> None:
    side = 2 * torch.randint(2, (1800, 1), generator=torch.Generator().manual_seed(0)) - 1
    codes = 0.3 * cloud(1, 1800, 2).float() + side * torch.tensor([1.0, 0.0])
    assert spread(codes, "transport", steps=100).value < 0.4 * spread(codes, "transport").value
    path = Interpolator(Plain(2), codes, steps=5).path(codes[0], codes[1], 100, "transport")
    assert path.diff(dim=0).norm(dim=1).max() < 0.2  # the ends fit the map and its inverse


def test_the_same_seed_gives_the_same_path() -> None:
    codes = cloud(0, 200, 2).float()
    path = lambda seed: Interpolator(Plain(2), codes, steps=2, seed=seed).path(
        codes[0], codes[1], 5, "transport"
    )
    assert torch.equal(path(1), path(1))
    assert not torch.equal(path(1), path(2))


def test_what_is_refused() -> None:
    between, a = Interpolator(Plain(2)), torch.zeros(2)
    with pytest.raises(MongeError, match="n must be at least 2, the two ends, got 1"):
        between.interpolate(a, a, 1)
    with pytest.raises(MongeError, match="unknown mode 'liner'; did you mean 'linear'"):
        between.interpolate(a, a, 3, "liner")  # type: ignore[arg-type]
    with pytest.raises(MongeError, match=r"a has shape \(2,\) and b \(3,\)"):
        between.interpolate(a, torch.zeros(3))
    with pytest.raises(MongeError, match="codes is missing: steps=5 fit a map"):
        Interpolator(Plain(2), steps=5)


def test_load_takes_a_run_or_its_folder(tmp_path: Path) -> None:
    settings = {"steps": 2, "batch": 16, "nets": {"kind": "mlp", "width": 8, "latent": 2}}
    evaluation = {"samples": 16}
    run = monge.train("wwae", "digits", out=tmp_path / "a", eval=evaluation, **settings)
    a, b = run.data.held_out(2)
    loaded = monge.Interpolator.load(run).interpolate(a, b, n=3)
    torch.testing.assert_close(loaded, monge.Interpolator.load(run.folder).interpolate(a, b, n=3))
    torch.testing.assert_close(loaded, monge.Interpolator(run.model).interpolate(a, b, n=3))
    assert monge.Interpolator.load(run, steps=2).path(*torch.zeros(2, 2), n=3).shape == (3, 2)
    generator = monge.train("sinkhorn_gan", "digits", out=tmp_path / "b", eval=evaluation, steps=1)
    with pytest.raises(MongeError, match="is of sinkhorn_gan: it has no autoencoder"):
        monge.Interpolator.load(generator)
