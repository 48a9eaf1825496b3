"""GeomLoss. Its cost is |x − y|²/2 and its kernel losses are half of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.solvers.peers.registry import Answer, Call, in_torch, peer


@peer(
    "GeomLoss tensorized, torch",
    "geomloss",
    (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995),
)
def geomloss(x: Any, y: Any, epsilon: float, scaling: float) -> Call:
    import torch
    from geomloss import SamplesLoss

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    blur = (epsilon / 2) ** 0.5  # its C is |x − y|²/2
    options = {"blur": blur, "scaling": scaling, "debias": False, "backend": "tensorized"}
    loss = SamplesLoss("sinkhorn", p=2, **options)
    dual = SamplesLoss("sinkhorn", p=2, potentials=True, **options)

    def call() -> Answer:
        x1 = x.clone().requires_grad_()
        value = 2 * loss(x1, y)
        (gradient,) = torch.autograd.grad(value, x1)
        return Answer(
            value.item(), gradient, lambda: [2 * f.detach().flatten() for f in dual(x, y)]
        )

    return call


def geomloss_kernel(name: str) -> Callable[..., Any]:
    def loss(scale: float) -> Callable[..., Any]:
        from geomloss import SamplesLoss

        half = SamplesLoss(name, blur=scale, backend="tensorized")
        return lambda x, y: 2 * half(x, y)

    return loss


peer("GeomLoss tensorized, torch", "geomloss", task="mmd")(in_torch(geomloss_kernel("gaussian")))
peer("GeomLoss tensorized, torch", "geomloss", task="energy")(in_torch(geomloss_kernel("energy")))
