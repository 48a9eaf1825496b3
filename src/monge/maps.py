r"""The optimal map between two samples, with scikit-learn's verbs.

Each side is shifted to mean 0 and scaled by one number to a mean variance of 1, which keeps the
optimal map optimal:

.. math:: T(x) = m_Q + s_Q\, \hat T\!\left(\frac{x - m_P}{s_P}\right)

T̂ is the gradient of an input-convex potential, found by `monge.methods.amortised_w2`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from sklearn.base import BaseEstimator
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from monge import metrics, ot
from monge.data import FiniteDataset, SourceTarget
from monge.errors import MongeError
from monge.methods import amortised_w2
from monge.training import Bar, Runner, Training
from monge.training.checkpoint import write_atomically
from monge.training.recipe import explain

Points = TypeVar("Points", np.ndarray, Tensor)
_KEPT = 4096  # samples of either side that the certificate is computed on
# residual, in standard deviations of a coordinate, above which a fit gives a warning
_FAR = 0.5


@dataclass(frozen=True)
class Certificate:
    """How far a fitted map is from optimal, measured on 4,096 of the samples it was fitted to.

    ``primal`` is the cost of the map, E‖x − T(x)‖², and equals W₂² if T is optimal. ``dual`` is the
    value of the dual at the potential, and equals W₂² if the potential is optimal; a gap between
    the two shows that the fit is not. ``cycle`` is E‖T⁻¹(T(x)) − x‖² in per cent of the variance of
    P, ``inverse_cycle`` E‖T(T⁻¹(y)) − y‖² in per cent of that of Q.
    """

    primal: float
    dual: float
    cycle: float
    inverse_cycle: float


class OTMap(BaseEstimator):
    """The optimal transport map between two samples, and its inverse.

    The map T minimizes E‖x − T(x)‖² among all that push the distribution of x to that of y.

    Parameters
    ----------
    steps : int
        Training steps; 0 gives the map between two Gaussians.
    batch : int
        Samples of each side in a step.
    lr : float
        Learning rate of Adam.
    widths, rank : tuple of int, int
        Layers of the potential, see `monge.nets.DenseICNN`.
    seed : int
        Of the weights and the order of the samples; equal seeds give equal maps.
    device : str
        Where to compute.
    progress : bool
        Show a progress bar.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).normal(size=(2, 500, 2))
    >>> T = OTMap(steps=5, batch=64).fit(x, 3 * y + 1)
    >>> moved = T.transform(x)
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
        self.steps = steps
        self.batch = batch
        self.lr = lr
        self.widths = widths
        self.rank = rank
        self.seed = seed
        self.device = device
        self.progress = progress
        self._config()  # wrong settings are refused here already

    def _config(self) -> amortised_w2.Config:
        if self.steps < 0:
            raise MongeError(f"steps must be at least 0, got {self.steps}")
        settings: dict[str, Any] = {
            "adam": {"lr": self.lr},
            "nets": {"widths": tuple(self.widths), "rank": self.rank},
        }
        try:
            return amortised_w2.Config(batch=self.batch, start="identity", **settings)
        except ValidationError as error:
            text = explain(error, amortised_w2.Config)
            raise MongeError(text.removeprefix("adam.").removeprefix("nets.")) from error

    def _build(self, features: int) -> amortised_w2.AmortisedW2:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return amortised_w2.build(self._config(), (features,)).to(self.device)

    def fit(self, x: Points, y: Points) -> OTMap:
        """Fit the map from samples x (n, d) to samples y (m, d).

        MongeError for other shapes, different d, NaN or infinity.
        """
        x_, y_ = self._checked(x, "x"), self._checked(y, "y")
        if x_.shape[1] != y_.shape[1]:
            raise MongeError(
                f"x has {x_.shape[1]} features and y {y_.shape[1]}: distances between them need "
                "one space; embed both in common features first"
            )
        self._P, self._Q = _Scale.of(x_), _Scale.of(y_)
        x_, y_ = self._P.unit(x_), self._Q.unit(y_)
        self._method = self._build(x_.shape[1])
        moments = _moments(x_), _moments(y_)
        self._method.pair.start_at(
            ot.gaussian_map(*moments[0], *moments[1]), ot.gaussian_map(*moments[1], *moments[0])
        )
        pair = SourceTarget("samples", _dataset("x", x_), _dataset("y", y_))
        runner = Runner(
            Training(self._method, pair, self.seed, self.steps, device=self.device),
            bar=Bar("transport", leave=False) if self.progress else None,
            not_finite=lambda step, *_: f"the map diverged at step {step}: lower lr, now {self.lr}",
        )
        last = {"residual": 0.0}
        runner.run(on_step=lambda _, scalars: last.update(scalars))
        if last["residual"] > _FAR * x_.shape[1] ** 0.5:
            missed = f"its inverse misses by {last['residual']:.2g} standard deviations"
            text = f"the map may have diverged: {missed}; lower lr, now {self.lr}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        self._seen = x_[:_KEPT], y_[:_KEPT]
        return self

    def transform(self, x: Points, *, batch_size: int = 65_536) -> Points:
        """Map points x (n, d) of the source; returns the type and dtype that was given."""
        self._check_fitted()
        return self._moved(x, self._P, self._Q, self._method.transform, batch_size)

    def inverse_transform(self, y: Points, *, batch_size: int = 65_536) -> Points:
        """Map points y (n, d) of the target back to the source."""
        self._check_fitted()
        return self._moved(y, self._Q, self._P, self._method.inverse_transform, batch_size)

    def w2_squared(self) -> float:
        """Estimate W₂² between the two samples by the dual."""
        return self.certificate().dual

    @torch.no_grad()
    def certificate(self) -> Certificate:
        """Measure how far the fitted map is from optimal, see `Certificate`."""
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
        """Evaluate the convex potential ψ at x (n, d), up to a constant; T = ∇ψ."""
        self._check_fitted()
        P, Q, t = self._P, self._Q, self._fitting(x)
        psi = (t - P.mean) @ Q.mean + P.scale * Q.scale * self._method.forward_map(P.unit(t))
        return _like(psi, x)

    def save(self, path: str | Path) -> Path:
        """Write the fitted map to a ``.safetensors`` file, which `load` reads.

        >>> import tempfile
        >>> x, y = np.random.default_rng(0).normal(size=(2, 500, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = OTMap(steps=2, batch=64).fit(x, y).save(f"{folder}/map.safetensors")
        ...     OTMap.load(path).transform(x).shape
        (500, 2)
        """
        self._check_fitted()
        path = Path(path)
        if path.suffix != ".safetensors":
            raise MongeError(f"a map is written as .safetensors, got '{path}'")
        u, v = self._seen
        ends = {"P.mean": self._P.mean, "Q.mean": self._Q.mean, "u": u, "v": v}
        tensors = {f"method.{k}": t for k, t in self._method.state_dict().items()} | ends
        scales = [self._P.scale, self._Q.scale]
        about = {"settings": json.dumps(self.get_params()), "scales": json.dumps(scales)}
        content = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
        write_atomically(path, save(content, metadata=about))
        return path

    @classmethod
    def load(cls, path: str | Path) -> OTMap:
        """Read a map that `save` wrote; MongeError for any other file."""
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            settings, scales = json.loads(about["settings"]), json.loads(about["scales"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise MongeError(f"'{path}' holds no map that OTMap.save wrote ({error})") from error
        fitted = cls(**settings)
        P, Q, u, v = (
            tensors.pop(name).to(fitted.device) for name in ("P.mean", "Q.mean", "u", "v")
        )
        fitted._P, fitted._Q, fitted._seen = _Scale(P, scales[0]), _Scale(Q, scales[1]), (u, v)
        fitted._method = fitted._build(len(P))
        state = {name.removeprefix("method."): t for name, t in tensors.items()}
        fitted._method.load_state_dict(state)
        return fitted

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
        """Check that points have as many features as the map."""
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
    """Convert a result to the type and dtype of the input."""
    return (
        result.to(given) if isinstance(given, Tensor) else result.cpu().numpy().astype(given.dtype)
    )


def _square(x: Tensor) -> Tensor:
    """E‖x‖²."""
    return x.square().sum(1).mean()


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the covariance, shrunk by Ledoit and Wolf's estimate."""
    covariance = torch.as_tensor(ledoit_wolf(x.double().cpu().numpy())[0]).to(x)
    return x.mean(0), covariance + 1e-6 * torch.eye(len(covariance)).to(x)


def _dataset(name: str, x: Tensor) -> FiniteDataset:
    rows = np.arange(len(x))
    return FiniteDataset(
        name, tuple(x.shape[1:]), lambda i: x[torch.from_numpy(i).to(x.device)], rows, rows
    )
