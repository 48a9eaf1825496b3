"""What a peer is, and the registry of all."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a call returns.

    ``coupling`` (a plan, or a pair of potentials) and ``later`` (more values) are computed after
    the call has been timed.
    """

    value: Any
    gradient: Any = None
    coupling: Callable[[], Any] | None = None
    note: dict[str, Any] = field(default_factory=dict)
    later: Callable[[], dict[str, Any]] = dict
    x: Any = None  # the points, if the call has moved them


Call = Callable[[], Answer]


@dataclass(frozen=True)
class Peer:
    """A setting of a library for one task."""

    name: str
    package: str  # as it is imported
    ladder: tuple[Any, ...]
    make: Callable[..., Call]
    task: str

    @property
    def stops_itself(self) -> bool:
        """Whether the number of iterations, which no user knows beforehand, is not given."""
        return not isinstance(self.ladder[0], int)

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


PROJECTIONS = 128
PEERS: dict[tuple[str, str], Peer] = {}
ITERATIONS = tuple(sorted({round(1.15**k) for k in range(58)}))  # 1 … 2882
TOLERANCES = (3e-3, 2e-3, 1.5e-3, 1e-3, 7e-4, 5e-4, 3e-4, 1e-4)


def peer(
    name: str, library: str, ladder: tuple[Any, ...] = (None,), task: str = "sinkhorn"
) -> Callable[[Callable[..., Call]], Callable[..., Call]]:
    """Return a decorator that registers the maker of a peer's calls."""

    def register(make: Callable[..., Call]) -> Callable[..., Call]:
        PEERS[task, name] = Peer(name, library, ladder, make, task)
        return make

    return register


def in_torch(loss: Callable[..., Any]) -> Callable[..., Call]:
    """Return a peer from a function that builds ``f(x, y) -> value``, differentiable in torch."""

    def make(x: Any, y: Any, scale: float, _: None) -> Call:
        import torch

        f, x, y = loss(scale), torch.from_numpy(x), torch.from_numpy(y)

        def call() -> Answer:
            x1 = x.clone().requires_grad_()
            value = f(x1, y)
            value.backward()
            return Answer(value.item(), x1.grad)

        return call

    return make


def inner_costs(x: Any, y: Any) -> list[Any]:
    """Return the squared distances within x and within y, each of mean one."""
    costs = [(z**2).sum(1)[:, None] + (z**2).sum(1) - 2 * z @ z.T for z in (x, y)]
    return [C / C.mean() for C in costs]
