r"""An optimal map between two samples, with scikit-learn's verbs: what color, domains and codes are
moved by.

Each side is shifted to mean 0 and scaled by one number to a mean variance of 1, which keeps the
optimal map optimal:

.. math:: T(x) = m_Q + s_Q\, \hat T\!\left(\frac{x - m_P}{s_P}\right)

T̂ is the gradient of an input-convex potential, found by `monge.methods.amortised_w2`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from monge import metrics, ot
from monge.data import FiniteDataset, SourceTarget
from monge.errors import MongeError
from monge.methods import amortised_w2
from monge.training import Bar, Runner, Training
from monge.training.recipe import explain

Points = TypeVar("Points", np.ndarray, Tensor)
_KEPT = 4096  # samples of either side that the certificate is computed on
_FAR = (
    0.5  # residual, in standard deviations of a coordinate, above which a fit is called in question
)


@dataclass(frozen=True)
class Certificate:
    """How far a fitted map is from optimal, from ``_KEPT`` of the samples it was fitted on.

    ``primal`` is E‖x − T(x)‖², the cost of the map; W₂² when T is optimal. ``dual`` is the value of
    the dual at the potential, W₂² when that is optimal: a gap to ``primal`` says that something is
    not. ``cycle`` and ``inverse_cycle`` are E‖T⁻¹(T(x)) − x‖² and E‖T(T⁻¹(y)) − y‖², in per cent of
    the variance of P and of Q.
    """

    primal: float
    dual: float
    cycle: float
    inverse_cycle: float


class OTMap:
    """The map of least E‖x − T(x)‖² that moves the distribution of one sample onto that of another,
    and its inverse.

    It takes ``steps`` of training on ``batch`` samples of each side, with Adam's learning rate
    ``lr``. ``widths`` and ``rank`` are those of the potential's layers, see `monge.nets.DenseICNN`.
    ``seed`` is that of weights and of the order of the samples: the same seed gives the same map.
    ``device`` says where to compute, ``progress`` shows a bar.

    >>> x, y = np.random.default_rng(0).normal(size=(2, 500, 2))
    >>> found = OTMap(steps=5, batch=64).fit(x, 3 * y + 1)
    >>> moved = found.transform(x)
    >>> moved.shape, round(moved.std() / x.std())
    ((500, 2), 3)
    """

    def __init__(
        self,
        *,
        steps: int = 1000,
        batch: int = 1024,
        lr: float = 3e-3,
        widths: tuple[int, ...] = (64, 64, 32),
        rank: int = 1,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = False,
    ) -> None:
        if steps < 0:
            raise MongeError(f"steps must be at least 0, got {steps}")
        self.steps = steps
        self.seed = seed
        self.device = torch.device(device)
        self.progress = progress
        try:
            nets = {"widths": tuple(widths), "rank": rank}
            self.config = amortised_w2.Config(
                batch=batch, adam={"lr": lr}, nets=nets, start="identity"
            )
        except ValidationError as error:
            raise MongeError(
                explain(error, amortised_w2.Config).removeprefix("adam.").removeprefix("nets.")
            ) from error

    def fit(self, x: Points, y: Points) -> OTMap:
        """Find the map of x (n, d) onto y (m, d).

        MongeError for other shapes, different d, NaN or infinity.
        """
        x_, y_ = self._checked(x, "x"), self._checked(y, "y")
        if x_.shape[1] != y_.shape[1]:
            found = f"x has {x_.shape[1]} features and y {y_.shape[1]}"
            raise MongeError(
                f"{found}: distances between them need one space; embed both in common features "
                "first"
            )
        self._P, self._Q = _Scale.of(x_), _Scale.of(y_)
        x_, y_ = self._P.unit(x_), self._Q.unit(y_)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._method = amortised_w2.build(self.config, (x_.shape[1],)).to(self.device)
        moments = _moments(x_), _moments(y_)
        self._method.pair.start_at(
            ot.gaussian_map(*moments[0], *moments[1]), ot.gaussian_map(*moments[1], *moments[0])
        )
        pair = SourceTarget("samples", _source("x", x_), _source("y", y_))
        runner = Runner(
            Training(self._method, pair, self.seed, self.steps, device=self.device),
            bar=Bar("transport", leave=False) if self.progress else None,
            not_finite=lambda step, *_: (
                f"the map diverged at step {step}: lower lr, now {self.config.adam.lr}"
            ),
        )
        last = {"residual": 0.0}
        runner.run(on_step=lambda _, scalars: last.update(scalars))
        if last["residual"] > _FAR * x_.shape[1] ** 0.5:
            missed = f"its inverse misses by {last['residual']:.2g} standard deviations"
            text = f"the map may have diverged: {missed}; lower lr, now {self.config.adam.lr}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        self._seen = x_[:_KEPT], y_[:_KEPT]
        return self

    def transform(self, x: Points, *, batch_size: int = 65_536) -> Points:
        """T(x) for points (n, d) of P; an array for an array, a tensor for a tensor, of the same
        dtype.
        """
        self._check_fitted()
        return self._moved(x, self._P, self._Q, self._method.transform, batch_size)

    def inverse_transform(self, y: Points, *, batch_size: int = 65_536) -> Points:
        """T⁻¹(y) for points (n, d) of Q."""
        self._check_fitted()
        return self._moved(y, self._Q, self._P, self._method.inverse_transform, batch_size)

    def w2_squared(self) -> float:
        """W₂² between the two samples, by the dual."""
        return self.certificate().dual

    @torch.no_grad()
    def certificate(self) -> Certificate:
        """Measure the fitted map, see `Certificate`."""
        self._check_fitted()
        u, v = self._seen
        P, Q, method = self._P, self._Q, self._method
        moved, back = method.transform(u), method.inverse_transform(v)
        apart = (P.mean - Q.mean).square().sum()
        # E ψ̂ + E ψ̂*
        gained = (
            method.forward_map(u).mean() + ((back * v).sum(1) - method.forward_map(back)).mean()
        )
        dual = (
            apart
            + P.scale**2 * _square(u)
            + Q.scale**2 * _square(v)
            - 2 * P.scale * Q.scale * gained
        )
        return Certificate(
            _square(Q.mean - P.mean + Q.scale * moved - P.scale * u).item(),
            dual.item(),
            metrics.l2_uvp(method.inverse_transform(moved), u),
            metrics.l2_uvp(method.transform(back), v),
        )

    @torch.no_grad()
    def potential(self, x: Points) -> Points:
        """ψ(x), (n,), up to a constant: the convex function of which T is the gradient."""
        self._check_fitted()
        P, Q, t = self._P, self._Q, self._fitting(x)
        psi = (t - P.mean) @ Q.mean + P.scale * Q.scale * self._method.forward_map(P.unit(t))
        return _like(psi, x)

    @torch.no_grad()
    def _moved(
        self,
        points: Any,
        start: _Scale,
        end: _Scale,
        map_: Callable[[Tensor], Tensor],
        batch_size: int,
    ) -> Any:
        t = self._fitting(points)
        return _like(
            torch.cat([end.original(map_(start.unit(block))) for block in t.split(batch_size)]),
            points,
        )

    def _fitting(self, points: Any) -> Tensor:
        """Points with as many features as the map has."""
        t = self._checked(points, "the points")
        if t.shape[1] != len(self._P.mean):
            raise MongeError(
                f"the points have {t.shape[1]} features, the map was fitted to {len(self._P.mean)}"
            )
        return t

    def _checked(self, points: Any, name: str) -> Tensor:
        t = torch.as_tensor(points)
        if t.ndim != 2 or 0 in t.shape:
            raise MongeError(
                f"{name} must have shape (n, d), one row a sample, got {tuple(t.shape)}"
            )
        t = t.to(self.device, torch.float32)
        if not torch.isfinite(t).all():
            row = int((~torch.isfinite(t)).any(1).nonzero()[0])
            raise MongeError(f"{name} has NaN or infinity in row {row}: remove or replace it")
        return t

    def _check_fitted(self) -> None:
        if not hasattr(self, "_method"):
            raise MongeError("the map is not fitted: call fit(x, y) first")


@dataclass(frozen=True)
class _Scale:
    mean: Tensor
    scale: float

    @classmethod
    def of(cls, x: Tensor) -> _Scale:
        spread = x.var(0, unbiased=False).mean().sqrt().item()
        return cls(x.mean(0), spread if spread > 0 else 1.0)

    def unit(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def original(self, x: Tensor) -> Tensor:
        return x * self.scale + self.mean


def _like(result: Tensor, given: Any) -> Any:
    """The result as what was given: a tensor or an array, of its dtype."""
    return (
        result.to(given) if isinstance(given, Tensor) else result.cpu().numpy().astype(given.dtype)
    )


def _square(x: Tensor) -> Tensor:
    """E‖x‖²."""
    return x.square().sum(1).mean()


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance, shrunk toward a multiple of 1 as far as the number of samples asks for."""
    covariance = torch.as_tensor(ledoit_wolf(x.double().cpu().numpy())[0]).to(x)
    return x.mean(0), covariance + 1e-6 * torch.eye(len(covariance)).to(x)


def _source(name: str, x: Tensor) -> FiniteDataset:
    rows = np.arange(len(x))
    return FiniteDataset(
        name, tuple(x.shape[1:]), lambda i: x[torch.from_numpy(i).to(x.device)], rows, rows
    )
