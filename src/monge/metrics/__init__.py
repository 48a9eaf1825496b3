"""How far generated samples are from the data, each figure beside its floor."""

from .features import PrecisionRecall, frechet, kid, precision_recall, relative_spread
from .filters import filter_features, frechet_filters
from .lenet import Classifier, FrechetLeNet, classifier, has_lenet, lenet_metrics
from .memorisation import Memorisation, memorisation, nearest
from .samples import Coverage, WithFloor, coverage, energy_distance, w2_squared
from .transport import l2_uvp

__all__ = [
    "Classifier",
    "Coverage",
    "FrechetLeNet",
    "Memorisation",
    "PrecisionRecall",
    "WithFloor",
    "classifier",
    "coverage",
    "energy_distance",
    "filter_features",
    "frechet",
    "frechet_filters",
    "has_lenet",
    "kid",
    "l2_uvp",
    "lenet_metrics",
    "memorisation",
    "nearest",
    "precision_recall",
    "relative_spread",
    "w2_squared",
]
