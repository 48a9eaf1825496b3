"""Evaluator of autoencoders: reconstructions and codes."""

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

_BLOCK = 1000  # samples that are fetched at once


@evaluator(LINEAR_PROBE, CLUSTERING, RECONSTRUCTION, CODES_W2, CODES_MMD)
def codes(subject: Subject) -> Measures:
    """Measure reconstructions and codes of held-out samples, for an `Autoencoding` method.

    `RECONSTRUCTION` is the mean error per entry of a sample: the squared error, or the
    cross-entropy in nats if the decoder returns logits. For a method with a prior, the
    distance of the codes to it is measured; for data with labels, a linear probe and the accuracy
    of clusters.
    """
    method, data, config = subject.method, subject.data, subject.config
    if not isinstance(method, Autoencoding):
        return {}
    autoencoder, held_out = method.autoencoder, data.held_out(config.samples, config.seed)
    error = autoencoder.error_all(held_out).mean().item() / autoencoder.entries(held_out)
    measures = {RECONSTRUCTION: Measured(error)}
    if method.prior is not None:
        z, prior = autoencoder.encode_all(held_out), method.prior
        p, reference = prior.held_out(len(z), config.seed), prior.train(len(z), config.seed)
        n = min(len(z), len(p), len(reference))
        measures |= metrics.prior_distances(z[:n], p[:n], reference[:n]) if n > 1 else {}
    if isinstance(data, FiniteDataset) and data.labels is not None:
        measures |= _measure_labels(autoencoder, data, data.labels, config.seed)
    return measures


def encode_indices(
    autoencoder: Autoencoder, data: FiniteDataset, indices: NDArray[np.int64]
) -> Tensor:
    """Return the codes (n, d) of the samples at ``indices``, encoded in blocks."""
    blocks = np.split(indices, range(_BLOCK, len(indices), _BLOCK))
    return torch.cat([autoencoder.encode_all(data.fetch(block)) for block in blocks])


def _measure_labels(
    autoencoder: Autoencoder, data: FiniteDataset, labels: Tensor, seed: int
) -> Measures:
    parts = [data.train_indices, data.held_out_indices]
    train, held_out = (encode_indices(autoencoder, data, part) for part in parts)
    train_labels, held_out_labels = (labels[torch.from_numpy(part)] for part in parts)
    probe = metrics.linear_probe(train, train_labels, held_out, held_out_labels)
    measures = {LINEAR_PROBE: Measured(probe)}
    classes = len(torch.unique(labels))
    if len(train) >= classes:
        accuracy = metrics.clustering_accuracy(train, held_out, held_out_labels, classes, seed)
        measures[CLUSTERING] = Measured(accuracy)
    return measures
