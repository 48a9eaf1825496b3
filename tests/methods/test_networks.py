"""Weight normalization, its first batch, and large batches in the memory of small ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monge.data import StepInputs, load
from monge.methods import ot_gan
from monge.nets import (
    MLP,
    CReLUCritic,
    GLUGenerator,
    checkpointed_batches,
    data_dependent_init,
    weight_normalized,
)


@pytest.mark.parametrize(
    "net", [lambda: CReLUCritic(1, 8, 4, 16), lambda: MLP([64, 8, 16])], ids=["conv", "mlp"]
)
def test_the_first_batch_gives_every_output_mean_0_and_variance_1(net: object) -> None:
    torch.manual_seed(0)
    made = weight_normalized(net())
    x = 3 + 2 * torch.randn(200, 1, 8, 8)
    data_dependent_init(made, x)
    seen = []
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda _, __, out: seen.append(out.transpose(0, 1).flatten(1))
            )
    out = made(x)
    assert out.shape == (200, 16)
    assert len(seen) == (3 if isinstance(made, CReLUCritic) else 2)
    for t in seen:
        torch.testing.assert_close(t.mean(1), torch.zeros(len(t)), atol=1e-4, rtol=0)
        torch.testing.assert_close(t.std(1, correction=0), torch.ones(len(t)), atol=1e-3, rtol=0)


def test_transposed_convolutions_have_one_length_for_each_output() -> None:
    torch.manual_seed(0)
    net = weight_normalized(GLUGenerator(4, 3, 8, 4))
    assert net.picture.parametrizations.weight.original0.shape == (1, 3, 1, 1)
    data_dependent_init(net, torch.randn(100, 4))
    pixels = torch.atanh(
        net(torch.randn(500, 4, generator=torch.Generator().manual_seed(1))).clamp(-0.9999, 0.9999)
    )
    assert 0.7 < pixels.std() < 1.3


def test_an_output_that_does_not_vary_keeps_its_length() -> None:
    net = weight_normalized(nn.Linear(2, 3))
    data_dependent_init(net, torch.ones(5, 2))
    assert torch.isfinite(net(torch.ones(5, 2))).all()
    assert torch.isfinite(net.parametrizations.weight.original0).all()


def test_parts_give_the_gradient_of_the_whole() -> None:
    torch.manual_seed(0)
    net, x = MLP([3, 8, 4]).double(), torch.randn(10, 3, dtype=torch.float64)

    def gradient(size: int | None) -> list[torch.Tensor]:
        features = checkpointed_batches(net, x, size)
        return list(
            torch.autograd.grad(torch.cdist(features, features).sum().cos(), list(net.parameters()))
        )

    for whole, parts in zip(gradient(None), gradient(3), strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-12, atol=1e-12)


def test_ot_gan_in_micro_batches_is_ot_gan() -> None:
    """The same weights after both kinds of step, in float64; the loss of the whole batch, not a
    mean over parts.
    """
    weights = []
    for size in (None, 5):
        torch.manual_seed(0)
        method = ot_gan.build(
            ot_gan.Config(
                batch=32,
                nets={"width": 8, "critic_width": 8},
                features=4,
                epsilon=0.05,
                micro_batch=size,
            ),
            (2,),
        )
        method.double()
        for step in range(3):
            method.step(
                StepInputs(load("8gaussians"), 0, step, position=32 * step, dtype=torch.float64)
            )
        weights.append(torch.cat([p.flatten() for p in method.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-10, atol=1e-12)


def test_micro_batches_hold_the_activations_of_one_part() -> None:
    """Bytes that autograd keeps for the backward pass: of one part and the outputs, not of the
    batch.
    """

    def kept(size: int | None) -> int:
        held = 0

        def pack(t: torch.Tensor) -> torch.Tensor:
            nonlocal held
            held += t.numel() * t.element_size()
            return t

        net, x = MLP([64, 256, 256, 4]), torch.randn(512, 64)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            checkpointed_batches(net, x, size).sum()
        return held

    assert kept(32) < 0.4 * kept(None)
