"""What an autoencoder's codes tell about the data, and how far they are from their prior.

    Berthelot et al., "Understanding and improving interpolation in autoencoders via an adversarial
    regularizer",
    ICLR 2019, sections 4.1 and 4.2    [berthelot2019]

The encoder has seen no labels. For ACAI's codes of MNIST, 32 numbers each, the paper reports 98.25
% for a single-layer classifier and 94.38 % for clusters; its k-means took the best of 1,000
beginnings, ours the best of 20.
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

_BEGINNINGS = 20
_FLAT = 1e-9  # standard deviations that count as 0, in units of the largest


def linear_probe(train_codes: Tensor, train_labels: Tensor, codes: Tensor, labels: Tensor) -> float:
    """Accuracy of a linear classifier of codes (n, d), trained on others.

    Multinomial logistic regression on standardized codes, run until it has converged. Labels are
    integers (n,).

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
    known, asked = (((t.double() - mean) / scale).cpu().numpy() for t in (train_codes, codes))
    probe = LogisticRegression(max_iter=2000).fit(known, train_labels.cpu().numpy())
    return float((probe.predict(asked) == labels.cpu().numpy()).mean())


def clustering_accuracy(
    train_codes: Tensor, codes: Tensor, labels: Tensor, clusters: int = 10, seed: int = 0
) -> float:
    """Share of codes (n, d) in the cluster of their label, under the best one-to-one matching of
    clusters with labels.

    k-means of the training codes after whitening in their principal axes, the best of 20
    beginnings; directions without variance are left out. ``labels`` are integers (n,) of the codes
    that are judged; the training codes need none.

    >>> z = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> clustering_accuracy(z, z, torch.tensor([1, 1, 0, 0]), clusters=2)
    1.0
    """
    from sklearn.cluster import KMeans

    z = train_codes.double()
    _, sigma, Vh = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    kept = sigma > _FLAT * sigma[0]
    axes = len(z) ** 0.5 * Vh[kept].mT / sigma[kept] if kept.any() else Vh.mT
    known, asked = (((t.double() - z.mean(0)) @ axes).cpu().numpy() for t in (train_codes, codes))
    found = (
        KMeans(clusters, n_init=_BEGINNINGS, max_iter=1000, random_state=seed)
        .fit(known)
        .predict(asked)
    )
    return matched_accuracy(torch.from_numpy(found), labels.cpu())


def matched_accuracy(clusters: Tensor, labels: Tensor) -> float:
    """Accuracy of clusters (n,) as labels (n,), named by the one-to-one matching that makes it
    greatest.

    >>> matched_accuracy(torch.tensor([7, 7, 2, 2]), torch.tensor([0, 0, 1, 0]))
    0.75
    """
    from scipy.optimize import linear_sum_assignment

    (names, found), (kinds, given) = (
        torch.unique(t, return_inverse=True) for t in (clusters, labels)
    )
    counts = (
        torch.zeros(len(names), len(kinds))
        .index_put_((found, given), torch.ones(()), accumulate=True)
        .numpy()
    )
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


def prior_distances(codes: Tensor, prior: Tensor, reference: Tensor) -> Measures:
    """`CODES_W2` and `CODES_MMD`: how far codes are from samples of their prior, (n, d) each, a few
    thousand.

    The floor is W₂² of ``reference``, other samples of the prior, to the same. The MMD has the
    inverse multiquadric kernel with lengths taken from the prior, so that values for one prior
    compare; it is 0 in the mean where codes have the prior's distribution, and may be negative.

    >>> z = torch.randn(3, 200, 2, generator=torch.Generator().manual_seed(0))
    >>> near, far = prior_distances(z[0], z[1], z[2]), prior_distances(z[0] + 2, z[1], z[2])
    >>> near[CODES_W2].ratio < 2, far[CODES_W2].ratio > 20, abs(near[CODES_MMD].value) < 0.01, far[CODES_MMD].value > 0.5
    (True, True, True, True)
    """
    z, p, r = (t.double().cpu() for t in (codes, prior, reference))
    known = torch.cat([p, r])
    scales = ot.kernel_scales(known) if (known != known[0]).any() else None
    return {
        CODES_W2: w2_squared(z, p, r),
        CODES_MMD: Measured(ot.mmd(z, p, kernel="imq", scales=scales).item()),
    }
