"""Handwritten digits of 8×8 pixels, shipped with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from monge.data.datasets import FiniteDataset, from_array


def digits() -> FiniteDataset:
    """Return 1,797 digits with labels; 797 of a fixed random choice are held out."""
    from sklearn.datasets import load_digits

    found = load_digits()
    labels = torch.from_numpy(found.target).long()
    return from_array(found.images.astype(np.float32) / 16, "digits", n_held_out=797, labels=labels)
