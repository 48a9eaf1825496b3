"""Metrics of an autoencoder's codes: their information on labels, and their distance to the prior.

    Berthelot et al., "Understanding and improving interpolation in autoencoders via an adversarial
        regularizer", ICLR 2019, sections 4.1 and 4.2   [berthelot2019]

The encoder is trained without labels. For ACAI's codes of MNIST with 32 numbers, the paper reports
98.25 % for a single-layer classifier and 94.38 % for clusters; its k-means uses the best of 1,000
initializations, this module the best of 20.
"""

from __future__ import annotations

import torch
from torch import Tensor

from monge import ot

from .samples import w2_squared
from .spec import Measured, Measures, Metric

RECONSTRUCTION = Metric("reconstruction_error", "reconstruction error", 4, "low")
CODES_W2 = Metric("codes_w2", "W2² of codes to the prior", 2, "low", ratio="codes_w2_ratio")
CODES_MMD = Metric("codes_mmd", "MMD² of codes to the prior", better="low")
LINEAR_PROBE = Metric("linear_probe", "linear probe", 1, "high", "%", 100, table="linear probe, %")
CLUSTERING = Metric("clustering_accuracy", "clustering accuracy", 1, "high", "%", 100)

_INITIALIZATIONS = 20
_FLAT = 1e-9  # a smaller standard deviation, relative to the largest, counts as 0


def linear_probe(train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor) -> float:
    """Return the accuracy of a linear classifier on codes (n, d).

    It is a multinomial logistic regression on standardized codes, fitted to the training codes
    until convergence. Labels are integers (n,).

    >>> z = torch.arange(10.0)[:, None]
    >>> linear_probe(z, z[:, 0] > 4, z + 0.1, z[:, 0] > 4)
    1.0
    """
    if len(torch.unique(train_labels)) == 1:
        return (labels == train_labels[0]).double().mean().item()
    from sklearn.linear_model import LogisticRegression

    z, mean = train_codes.double(), train_codes.double().mean(0)
    scale = z.std(0, correction=0)
    scale = torch.where(scale > _FLAT * scale.max(), scale, 1)
    train, test = (((t.double() - mean) / scale).cpu().numpy() for t in (train_codes, codes))
    probe = LogisticRegression(max_iter=2000).fit(train, train_labels.cpu().numpy())
    return float((probe.predict(test) == labels.cpu().numpy()).mean())


def clustering_accuracy(
    train_codes: Tensor, codes: Tensor, labels: Tensor, clusters: int = 10, seed: int = 0
) -> float:
    """Return the share of codes (n, d) in the cluster that is matched to their label.

    Clusters and labels are matched one to one, so that the share is largest. The clusters are those
    of k-means on the training codes, the best of 20 initializations, after whitening in their
    principal axes; directions without variance are left out. ``labels`` are integers (n,) of
    ``codes``; the training codes need none.

    >>> z = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> clustering_accuracy(z, z, torch.tensor([1, 1, 0, 0]), clusters=2)
    1.0
    """
    from sklearn.cluster import KMeans

    z = train_codes.double()
    _, sigma, Vh = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    kept = sigma > _FLAT * sigma[0]
    axes = len(z) ** 0.5 * Vh[kept].mT / sigma[kept] if kept.any() else Vh.mT
    train, test = (((t.double() - z.mean(0)) @ axes).cpu().numpy() for t in (train_codes, codes))
    kmeans = KMeans(clusters, n_init=_INITIALIZATIONS, max_iter=1000, random_state=seed).fit(train)
    return matched_accuracy(torch.from_numpy(kmeans.predict(test)), labels.cpu())


def matched_accuracy(clusters: Tensor, labels: Tensor) -> float:
    """Return the accuracy of clusters (n,) as labels (n,), under the best one-to-one matching.

    >>> matched_accuracy(torch.tensor([7, 7, 2, 2]), torch.tensor([0, 0, 1, 0]))
    0.75
    """
    from scipy.optimize import linear_sum_assignment

    names, rows = torch.unique(clusters, return_inverse=True)
    classes, columns = torch.unique(labels, return_inverse=True)
    confusion = torch.zeros(len(names), len(classes))
    confusion.index_put_((rows, columns), torch.ones(()), accumulate=True)
    counts = confusion.numpy()
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


def prior_distances(codes: Tensor, prior: Tensor, reference: Tensor) -> Measures:
    """Compute `CODES_W2` and `CODES_MMD`, the distances of codes to samples of their prior.

    All arguments are (n, d), with n of a few thousand at most. The floor is W₂² of ``reference``,
    other samples of the prior, to the same samples. The MMD has the inverse multiquadric kernel
    with length scales from the prior, so that values for the same prior are comparable. Its
    expectation is 0 if the codes have the distribution of the prior, and it may be negative.

    >>> z = torch.randn(3, 200, 2, generator=torch.Generator().manual_seed(0))
    >>> near, far = prior_distances(z[0], z[1], z[2]), prior_distances(z[0] + 2, z[1], z[2])
    >>> near[CODES_W2].ratio < 2, far[CODES_W2].ratio > 20
    (True, True)
    >>> abs(near[CODES_MMD].value) < 0.01, far[CODES_MMD].value > 0.5
    (True, True)
    """
    z, p, r = (t.double().cpu() for t in (codes, prior, reference))
    both = torch.cat([p, r])
    scales = ot.kernel_scales(both) if (both != both[0]).any() else None
    return {
        CODES_W2: w2_squared(z, p, r),
        CODES_MMD: Measured(ot.mmd(z, p, kernel="imq", scales=scales).item()),
    }
