"""MDOT-Net: its transport and relations against other implementations, a tiny problem it must learn, and the dances it makes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.data import Dance, Draw, Pair, from_dances, generator, load
from monge.engine import drawn
from monge.errors import MongeError
from monge.methods import mdot
from monge.motion import MELODY, angle, channels, decode, directions, place, pose_distance, rest

STILL = rest(MELODY)


def poses() -> Tensor:
    """A body with its arms up, and one that bows with its arms down, (2, B, 3)."""
    u = directions(STILL, MELODY).repeat(2, 1, 1)
    for b, j in enumerate(MELODY.bones):
        if MELODY.joints[j].split()[-1] in ("elbow", "forearm", "wrist", "hand"):
            u[:, b] = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    u[1, MELODY.bones.index(1)] = torch.tensor([0.0, 0.6, 0.8])
    return u


def two_kinds(frames: int = 32) -> Pair:
    """Ten songs; to those of one sound people sway with their arms up, to those of another they bow."""
    dances = []
    for k in range(10):
        kind, g = k % 2, generator(7, k)
        time = torch.arange(frames)[:, None, None]
        sway = 0.1 * (0.4 * time + 6 * torch.rand(1, len(MELODY.bones), 3, generator=g)).sin()
        u = torch.nn.functional.normalize(poses()[kind] + sway, dim=-1)
        still = place(u, STILL[MELODY.root].expand(frames, -1), MELODY)
        music = torch.zeros(frames, 80)
        music[:, 64 + 6 * kind] = 1.0
        music[:, :64] = 0.3 * torch.randn(frames, 64, generator=g)
        dances.append(Dance(f"song {k}", "waltz", still, music))
    return from_dances(dances, size=8)


def small(seed: int = 0, **settings: Any) -> mdot.MDOT:
    torch.manual_seed(seed)
    return mdot.build(mdot.Config(**{"batch": 8, "width": 8, "clips": (8,), "matched": 8, **settings}), (8, channels(MELODY)))


def train(method: mdot.MDOT, source: Pair, steps: int) -> list[dict[str, float]]:
    log, position = [], 0
    for step in range(steps):
        draw = Draw(source, 0, step, position=position, steps=steps)
        log.append({name: float(value) for name, value in method.step(draw).items()})
        position = draw.position
    return log


def windows(n: int, seed: int, frames: int = 8) -> Tensor:
    """Features of bodies that move at random, float64."""
    x = 0.05 * torch.randn(n, frames, channels(MELODY), generator=generator(3, seed), dtype=torch.float64)
    u = torch.randn(n, frames, len(MELODY.bones), 3, generator=generator(4, seed), dtype=torch.float64)
    x[..., 3] += 1.0
    x[..., 4:] = (u / u.norm(dim=-1, keepdim=True)).flatten(-2)
    return x


def test_the_cost_of_poses_and_heights_equals_a_loop() -> None:
    method = small(velocity=0.0, effort=0.0, stride=2).double()
    x, y = windows(3, 0), windows(4, 1)
    found = mdot.cost(method.compared(x), method.compared(y))
    u, v = (t[:, ::2, 4:].unflatten(-1, (-1, 3)) for t in (x, y))
    expected = torch.tensor(
        [
            [
                angle(u[i], v[j]).square().mean() + ((x[i, ::2, 3] - y[j, ::2, 3]) / 0.3).square().mean()
                for j in range(4)
            ]
            for i in range(3)
        ],
        dtype=torch.float64,
    ).sqrt()  # fmt: skip
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_cost_of_velocities_grows_with_them() -> None:
    method = small(velocity=1.0).double()
    x = windows(1, 0).expand(5, -1, -1).clone()
    x[:, :, 1] += 0.05 * torch.arange(5.0, dtype=torch.float64)[:, None]
    C = mdot.cost(method.compared(x), method.compared(x))[0]
    assert (C.diff() > 0).all()
    assert C[0] < 1e-2


def test_transport_equals_another_implementation() -> None:
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    method = small(tol=1e-9, max_iter=5000, epsilon=0.1).double()
    made, made2, x, x2 = (windows(6, k) for k in range(4))
    pairs = ((made, x), (made, x2), (made2, x), (made2, x2), (made, made2), (x, x2))
    costs = [mdot.cost(method.compared(a), method.compared(b)) for a, b in pairs]
    epsilon = 0.1 * torch.stack(costs).mean().item()
    W = []
    for C in costs:
        mass = torch.full((6,), 1 / 6, dtype=torch.float64).numpy()
        plan = torch.from_numpy(
            pot.sinkhorn(mass, mass, C.numpy(), epsilon, method="sinkhorn_log", numItermax=5000, stopThr=1e-12)
        )
        assert plan.sum().item() == pytest.approx(1)
        W.append((plan * C).sum().item())
    expected = (W[0] + W[1] + W[2] + W[3] - 2 * W[4] - 2 * W[5]) / 2
    assert method._transport(made, made2, x, x2).item() == pytest.approx(expected, rel=1e-5)


def test_equal_dances_leave_no_transport_on_average() -> None:
    method = small(batch=32).double()
    same = [method._transport(*(windows(12, 10 * k + j) for j in range(4))).item() for k in range(20)]
    far = windows(12, 0)
    far[..., 3] += 1.0
    apart = method._transport(far, far, windows(12, 1), windows(12, 2)).item()
    assert abs(sum(same) / 20) < 0.02 * apart


def matrices(m: int = 6) -> tuple[Tensor, Tensor]:
    D, C = (torch.rand(m, m, generator=generator(9, k), dtype=torch.float64) for k in range(2))
    return D / D.mean(), C / C.mean()


def test_relations_are_the_fourfold_sum_at_the_plan() -> None:
    D, C = matrices()
    method = small(pairing=0.0, tol=1e-6).double()
    P = ot.gromov_wasserstein(D, C, epsilon=method.config.gw_epsilon, tol=1e-6, max_iter=method.config.max_iter).matrix()
    assert P.sum().item() == pytest.approx(1, abs=1e-4)
    four = (D[:, None, :, None] - C[None, :, None, :]).square()  # (i, j, k, l)
    expected = torch.einsum("ijkl,ij,kl->", four, P, P)
    assert method._relations(D, C).item() == pytest.approx(float(expected), rel=1e-4)


def test_pairing_leaves_dances_with_their_music() -> None:
    """Charged enough, the plan is the identity over m, and what remains is the mean square of D − C."""
    D, C = matrices()
    method = small(pairing=10.0, tol=1e-6).double()
    assert method._relations(D, C).item() == pytest.approx((D - C).square().mean().item(), rel=1e-3)


@pytest.mark.parametrize(
    "settings", [{"relation": "one-plan", "pairing": 0.0}, {"relation": "one-plan"}, {"relation": "co-optimal"}]
)
def test_every_form_of_the_relations_moves_the_dances(settings: dict[str, Any]) -> None:
    D, C = matrices()
    C.requires_grad_()
    G = small(**settings).double()._relations(D, C)
    assert G.item() >= 0
    (slope,) = torch.autograd.grad(G, C)
    assert slope.isfinite().all()
    assert slope.norm() > 1e-3
    assert small(**settings).double()._relations(D, C - 0.05 * slope / slope.norm()) < G


def test_clips_are_pieces_of_the_sequences() -> None:
    x = torch.arange(2 * 24.0).reshape(2, 24, 1)
    assert mdot.clips(x, 8, 100)[..., 0].tolist() == x.reshape(6, 8).tolist()
    assert mdot.clips(x, 8, 3)[:, 0, 0].tolist() == [0, 16, 32]
    assert mdot.clips(x, 96, 100).shape == (2, 24, 1)
    assert mdot.clips(x, 10, 100)[..., 0].tolist() == [[*range(10)], [*range(10, 20)], [*range(24, 34)], [*range(34, 44)]]


def test_it_learns_two_kinds_of_poses() -> None:
    source = two_kinds()
    method = small(width=16, lr=0.01, ema=0.8, velocity=0.0, effort=0.0)
    log = train(method, source, 100)
    assert all(value == value for line in log for value in line.values())
    u = method.transform(source.origin_held_out(10_000))[..., 4:].unflatten(-1, (-1, 3))[:, 4]
    distance = torch.stack([pose_distance(u, pose) for pose in poses()], 1)
    assert distance.min(1).values.mean() < 0.2 * pose_distance(*poses()).item()
    assert distance.argmin(1).bincount(minlength=2).min() > 0


@pytest.mark.parametrize(
    "settings", [{"ot": 0, "gw": 0, "gan": 1}, {"gan": 0.1}, {"ot": 0}, {"gw": 0}, {"relation": "co-optimal", "ot": 0}]
)
def test_every_loss_trains(settings: dict[str, Any]) -> None:
    method = small(**settings)
    before = [p.clone() for p in method.generator.parameters()]
    log = train(method, two_kinds(), 2)
    assert all(value == value and abs(value) < 1e6 for line in log for value in line.values())
    assert log[-1]["generator_grad"] > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, method.generator.parameters(), strict=True))
    wanted = {"critic": settings.get("gan", 0), "relations": settings.get("gw", 1), "transport_8": settings.get("ot", 1)}
    assert {name for name, weight in wanted.items() if weight} == set(wanted) & set(log[0])


def test_wrong_settings_and_data_are_named() -> None:
    with pytest.raises(ValueError, match=r"method\.ot, method\.gw and method\.gan are all 0"):
        mdot.Config(ot=0, gw=0)
    for wrong in ({"batch": 2}, {"epsilon": 0}, {"clips": ()}, {"relation": "both"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            mdot.Config(**wrong)
    with pytest.raises(ValueError, match=r"mdot makes dances \(frames, 70\), got samples of shape \(2,\): use dance_melody"):
        mdot.build(mdot.Config(), (2,))
    with pytest.raises(MongeError, match="'8gaussians' is not a pair of them: use dance_melody"):
        small().step(Draw(load("8gaussians"), 0, 0))
    with pytest.raises(MongeError, match=r"mdot cannot make 3 samples .*'8gaussians' is not a pair: give it samples"):
        drawn(small(), load("8gaussians"), 3)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 50, 97])
def test_a_song_of_any_length_is_danced_to(frames: int) -> None:
    dance = small().dance(torch.randn(frames, 80, generator=generator(1)))
    assert dance.shape == (frames, 23, 3)
    assert dance.isfinite().all()


def test_a_dance_is_a_function_of_song_seed_and_style() -> None:
    method, song = small(width=32), torch.randn(120, 80, generator=generator(1))
    make = partial(method.dance, song)
    assert torch.equal(make(), make(seed=0))
    assert torch.equal(make(seed=2, style=3), make(seed=2, style=3))
    dances = [make(), make(seed=1), make(style=0), make(style=1), make(style=1, seed=1), method.dance(-song)]
    for i, one in enumerate(dances):
        assert all((one - other).abs().max() > 1e-3 for other in dances[:i])


def test_windows_are_transformed_alike_every_time_and_each_for_itself() -> None:
    method, music = small(width=32), torch.randn(1, 104, 80, generator=generator(1)).expand(3, -1, -1)
    x = method.transform(music, seed=4)
    assert x.shape == (3, 8, 70)
    assert torch.equal(x, method.transform(music, seed=4))
    assert (x[0] - x[1]).abs().max() > 1e-3
    assert (x - method.transform(music, seed=5)).abs().max() > 1e-3
    assert decode(x, MELODY).isfinite().all()


def test_five_minutes_are_finite_and_bones_keep_their_lengths() -> None:
    method = small(width=16)
    dance = method.dance(torch.randn(7500, 80, generator=generator(1)))
    assert dance.isfinite().all()
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    lengths = (dance[:, list(MELODY.bones)] - dance[:, [MELODY.parents[j] for j in MELODY.bones]]).norm(dim=-1)
    assert (lengths / own - 1).abs().max() < 1e-5
