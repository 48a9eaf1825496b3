"""Networks on large batches, computed in parts."""

from __future__ import annotations

import torch

from monge.nets import MLP, checkpointed_batches


def test_checkpointed_batches_have_the_gradient_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    net, x = MLP([3, 8, 4]).double(), torch.randn(10, 3, dtype=torch.float64)

    def gradient(size: int | None) -> list[torch.Tensor]:
        features = checkpointed_batches(net, x, size)
        loss = torch.cdist(features, features).sum().cos()
        return list(torch.autograd.grad(loss, list(net.parameters())))

    for whole, parts in zip(gradient(None), gradient(3), strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-12, atol=1e-12)


def test_checkpointed_batches_hold_the_activations_of_one_part() -> None:
    """Counts the bytes that autograd saves for the backward pass."""

    def saved_bytes(size: int | None) -> int:
        total = 0

        def pack(t: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += t.numel() * t.element_size()
            return t

        net, x = MLP([64, 256, 256, 4]), torch.randn(512, 64)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            checkpointed_batches(net, x, size).sum()
        return total

    assert saved_bytes(32) < 0.4 * saved_bytes(None)
