r"""Unsupervised domain adaptation by the optimal transport map between two domains.

    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021, section 5   [korotin2021]

A classifier needs labels of one domain only. Either the labeled samples are mapped to the other
domain before training the classifier, or the unlabeled samples are mapped to the labeled domain
before predicting. T maps *all* mass to *all* mass: if the proportions of the classes differ between
the domains, some samples are mapped into another class.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from monge.maps import OTMap

Array = NDArray[Any]
_KINDS = [np.float64, np.float32]


class DomainAdapter(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Map samples of a source domain to a target domain, and back; a scikit-learn transformer.

    ``y`` in `fit` is a second set of samples, not labels. A feature that is constant in both
    domains is only shifted. The map starts from the one between two Gaussians with shrunk
    covariances; with ``steps=0`` it stays there, a baseline that is hard to beat with few samples.
    The parameters are those of `monge.OTMap`, with a smaller learning rate: in many dimensions a
    fast fit learns the samples rather than the distribution.

    After `fit`, ``n_features_in_`` is d, ``varying_`` (d,) says which features vary in at least one
    domain, and ``map_`` is the `OTMap` of these features, or None if there are none.

    >>> Xs, Xt = np.random.default_rng(0).normal(size=(2, 400, 2))
    >>> adapter = DomainAdapter(steps=5, batch=64).fit(Xs, 2 * Xt + 7)
    >>> adapter.transform(Xs).mean().round()
    np.float64(7.0)
    >>> bool(abs(adapter.inverse_transform(adapter.transform(Xs)) - Xs).max() < 0.1)
    True
    """

    def __init__(
        self,
        steps: int = 500,
        batch: int = 1024,
        lr: float = 3e-4,
        widths: tuple[int, ...] = (64, 64, 32),
        rank: int = 1,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.steps, self.batch, self.lr, self.widths = steps, batch, lr, widths
        self.rank, self.seed, self.device = rank, seed, device

    def fit(self, X: ArrayLike, y: ArrayLike) -> DomainAdapter:
        """Fit the map from the source X (n, d) to the target y (m, d).

        ValueError for NaN, infinity, other shapes, a single sample, or domains with different
        features. Warns if a domain has no more samples than features, since its covariance is then
        not determined.
        """
        if y is None:
            needed = "DomainAdapter requires y to be passed, but the target y is None"
            raise ValueError(f"{needed}: give the samples of the target domain")
        source = validate_data(self, X, dtype=_KINDS, ensure_min_samples=2)
        target = check_array(
            y, dtype=_KINDS, ensure_min_samples=2, input_name="y, the target domain,"
        )
        d = source.shape[1]
        if target.shape[1] != d:
            raise ValueError(
                f"the source has {d} features and the target {target.shape[1]}: distances between "
                "them need one space. Embed both in the same features first, e.g. the last hidden "
                "layer of a network trained on the domain with labels"
            )
        self.varying_ = ~(_constant(source) & _constant(target))
        fewest = min(len(source), len(target))
        if fewest <= self.varying_.sum():
            few = (
                f"{fewest} samples of {self.varying_.sum()} features do not determine a covariance"
            )
            text = (
                f"{few}: it is shrunk toward a multiple of the identity. Reduce the features, by "
                "PCA say, or take more samples"
            )
            warnings.warn(text, stacklevel=2)
        self.shift_ = np.where(self.varying_, 0.0, target[0] - source[0])
        self.map_ = None
        if self.varying_.any():
            settings = self.get_params(deep=False)
            self.map_ = OTMap(**settings).fit(source[:, self.varying_], target[:, self.varying_])
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Map samples X (n, d) of the source to the target domain."""
        return self._mapped(X, 1)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Map samples X (n, d) of the target back to the source domain."""
        return self._mapped(X, -1)

    def _mapped(self, X: ArrayLike, direction: int) -> Array:
        check_is_fitted(self)
        points = validate_data(self, X, dtype=_KINDS, reset=False)
        moved = (points + direction * self.shift_).astype(points.dtype)
        if self.map_ is not None:
            move = self.map_.transform if direction > 0 else self.map_.inverse_transform
            moved[:, self.varying_] = move(points[:, self.varying_])
        return moved

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _constant(x: Array) -> NDArray[np.bool_]:
    """Whether each column is constant up to rounding."""
    return np.ptp(x, axis=0) <= 4 * np.finfo(x.dtype).eps * np.abs(x).max(axis=0)
