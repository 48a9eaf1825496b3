"""Metrics of interpolations between pictures, by a LeNet, beside a cross-fade of the pixels.

Berthelot et al. [berthelot2019] require that an interpolation looks like data at every point and
changes its meaning smoothly. They measure both on data with a known true interpolation; for real
data, this module uses the features of a classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .features import frechet
from .lenet import classifier
from .spec import Measured, Measures, Metric

if TYPE_CHECKING:
    from monge.data import FiniteDataset

CONFIDENCE = Metric(
    "confidence_midpoint",
    "confidence in midpoints",
    3,
    "high",
    stem="confidence",
    table="their confidence",
)
FRECHET = Metric(
    "frechet_lenet_midpoint",
    "Fréchet-LeNet of midpoints",
    1,
    "low",
    stem="frechet_lenet",
    table="midpoints",
)
PATH_LENGTH = Metric("path_length", "length of paths, in chords", 3, "low")
MIDPOINTS = (FRECHET, CONFIDENCE, PATH_LENGTH)


def path_length(features: Tensor) -> float:
    r"""Return the mean length of paths of features (n, k, d), relative to the chord of their ends.

    .. math:: \sum_j |\varphi_{j+1} - \varphi_j| \,/\, |\varphi_{k-1} - \varphi_0|

    It is 1 for straight paths and never less. Paths with equal ends have no chord and are left out;
    the result is NaN if all ends are equal.

    >>> path_length(torch.tensor([[[0.0, 0.0], [0.0, 3.0], [4.0, 3.0]]]))
    1.4
    """
    f = features.double()
    length, chord = f.diff(dim=1).norm(dim=2).sum(1), (f[:, -1] - f[:, 0]).norm(dim=1)
    return (length[chord > 0] / chord[chord > 0]).mean().item()


def cross_fade(first: Tensor, last: Tensor, n: int) -> Tensor:
    """Return n mixtures (1 − t) x + t y of samples (m, ...), ends included, (m, n, ...).

    >>> cross_fade(torch.zeros(1, 1), torch.ones(1, 1), 3).flatten()
    tensor([0.0000, 0.5000, 1.0000])
    """
    t = torch.linspace(0, 1, n).to(first).reshape(1, n, *(1,) * (first.ndim - 1))
    return (1 - t) * first[:, None] + t * last[:, None]


def midpoint_quality(
    dataset: FiniteDataset, midpoints: Tensor, first: Tensor, last: Tensor, paths: Tensor
) -> Measures:
    """Compute `MIDPOINTS`: Fréchet-LeNet and confidence of decoded midpoints, and length of paths.

    Beside each metric is its value for a cross-fade of the pixels, and beside the confidence also
    that of held-out pictures. The confidence is the mean of the largest class probability, and
    paths are measured in the features of the LeNet. ``dataset`` must satisfy `has_lenet`; Fréchet
    distances are to its held-out part. ``midpoints`` are decoded half-way between the codes of the
    pictures ``first`` and ``last``, (n, 1, 28, 28) each. ``paths`` (m, k, 1, 28, 28) are whole
    interpolations, ends included, of the first m pairs.
    """
    lenet = classifier(dataset)
    data, data_classes = lenet(dataset.held_out(len(midpoints)))
    m, k = paths.shape[:2]

    def measure(middle: Tensor, path: Tensor) -> tuple[float, float, float]:
        features, classes = lenet(middle)
        length = path_length(lenet(path.flatten(0, 1))[0].unflatten(0, (m, k)))
        return frechet(features, data), classes.amax(1).mean().item(), length

    ours = measure(midpoints, paths)
    faded = measure((first + last) / 2, cross_fade(first[:m], last[:m], k))
    beside = [{"crossfade": value} for value in faded]
    beside[MIDPOINTS.index(CONFIDENCE)]["data"] = data_classes.amax(1).mean().item()
    return {
        metric: Measured(value, beside=other)
        for metric, value, other in zip(MIDPOINTS, ours, beside, strict=True)
    }
