"""What is measured of a method around an autoencoder: its reconstructions, and what its codes tell."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge import metrics
from monge.data import FiniteDataset, Subject
from monge.methods.protocols import Autoencoding
from monge.metrics import Measured, Measures, evaluator
from monge.metrics.codes import CLUSTERING, CODES_MMD, CODES_W2, LINEAR_PROBE, RECONSTRUCTION
from monge.nets import Autoencoder

_BLOCK = 1000  # samples of a data set that are fetched at once


@evaluator(LINEAR_PROBE, CLUSTERING, RECONSTRUCTION, CODES_W2, CODES_MMD)
def codes(subject: Subject) -> Measures:
    """Reconstructions and codes of held-out samples; nothing for a method that is not
    `Autoencoding`.

    `RECONSTRUCTION` is the mean error of an entry: squared, or the cross-entropy in nats where the
    decoder gives classes. With a prior the codes' distance to it, with labels a linear probe and
    the accuracy of clusters.
    """
    method, data, config = subject.method, subject.data, subject.config
    if not isinstance(method, Autoencoding):
        return {}
    autoencoder, held_out = method.autoencoder, data.held_out(config.samples, config.seed)
    found = {
        RECONSTRUCTION: Measured(
            autoencoder.error_all(held_out).mean().item() / autoencoder.entries(held_out)
        )
    }
    if method.prior is not None:
        z, prior = autoencoder.encode_all(held_out), method.prior
        drawn, other = prior.held_out(len(z), config.seed), prior.train(len(z), config.seed)
        n = min(len(z), len(drawn), len(other))
        found |= metrics.prior_distances(z[:n], drawn[:n], other[:n]) if n > 1 else {}
    if isinstance(data, FiniteDataset) and data.labels is not None:
        found |= _labeled(autoencoder, data, data.labels, config.seed)
    return found


def encoded_part(
    autoencoder: Autoencoder, data: FiniteDataset, indices: NDArray[np.int64]
) -> Tensor:
    """Codes (n, d) of the samples of a data set at ``indices``, few of which are in memory at a
    time.
    """
    blocks = np.split(indices, range(_BLOCK, len(indices), _BLOCK))
    return torch.cat([autoencoder.encode_all(data.fetch(block)) for block in blocks])


def _labeled(autoencoder: Autoencoder, data: FiniteDataset, labels: Tensor, seed: int) -> Measures:
    parts = [data.train_indices, data.held_out_indices]
    train, held_out = (encoded_part(autoencoder, data, part) for part in parts)
    train_labels, held_out_labels = (labels[torch.from_numpy(part)] for part in parts)
    found = {
        LINEAR_PROBE: Measured(metrics.linear_probe(train, train_labels, held_out, held_out_labels))
    }
    classes = len(torch.unique(labels))
    if len(train) >= classes:
        found[CLUSTERING] = Measured(
            metrics.clustering_accuracy(train, held_out, held_out_labels, classes, seed)
        )
    return found
