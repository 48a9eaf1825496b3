"""Handwritten digits of 8×8 pixels, shipped with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from monge.data.datasets import FiniteDataset, from_array


def digits() -> FiniteDataset:
    """Return 1,797 digits with labels; a fixed random choice of 797 is held out."""
    from sklearn.datasets import load_digits

    content = load_digits()
    pictures = content.images.astype(np.float32) / 16
    labels = torch.from_numpy(content.target).long()
    return from_array(pictures, "digits", n_held_out=797, labels=labels)
