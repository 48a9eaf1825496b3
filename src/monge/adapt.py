r"""Unsupervised domain adaptation: samples of one domain moved onto another by the map of least ‖x
− T(x)‖².

    Korotin et al., "Wasserstein-2 generative networks", ICLR 2021 [korotin2021], section 5: USPS
        and MNIST

Learn a classifier where there are labels, and move the samples: either the labeled domain onto the
other one, before learning, or the other one onto the labeled, before predicting. Labels of one
domain are enough. T moves *all* mass onto *all* mass: where the classes have other proportions in
the two domains, some samples are moved into a class that is not theirs.
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
    """Move samples of a source domain onto a target domain, and back; a scikit-learn transformer.

    ``y`` in `fit` is a second set of samples, not labels. A feature that is constant in both
    domains is shifted, and takes no part in the map. The map begins as the one between two
    Gaussians with shrunk covariances, and with ``steps=0`` stays that: a baseline that is hard to
    beat where samples are few. The parameters are those of `monge.maps.OTMap`. The learning rate is
    smaller than there: in many dimensions a fast fit learns the samples rather than the
    distribution.

    Fitted, ``n_features_in_`` is d, ``varying_`` (d,) tells which features vary in at least one of
    the domains, and ``map_`` is the `OTMap` of these; None if none does.

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
        """Find the map of X (n, d), the source, onto y (m, d), the target.

        ValueError for NaN, infinity, other shapes, a single sample, or domains with different
        features. A warning where a domain has no more samples than features: its covariance is then
        mostly a guess.
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
            found = (
                f"the source has {d} features and the target {target.shape[1]}: distances between "
                "them need one space"
            )
            advice = "the last hidden layer of a network trained on the domain with labels"
            raise ValueError(f"{found}. Embed both in the same features first, e.g. {advice}")
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
        """T(X) for samples (n, d) of the source."""
        return self._moved(X, 1)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """T⁻¹(X) for samples (n, d) of the target."""
        return self._moved(X, -1)

    def _moved(self, X: ArrayLike, direction: int) -> Array:
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
    """Whether each column holds one value, but for rounding."""
    return np.ptp(x, axis=0) <= 4 * np.finfo(x.dtype).eps * np.abs(x).max(axis=0)
