"""How far generated samples are from the data, each figure beside its floor."""

from .features import PrecisionRecall, frechet, kid, precision_recall
from .lenet import DATA_SETS as LENET_DATA
from .lenet import Classifier, classifier, lenet_metrics
from .samples import Coverage, WithFloor, coverage, energy_distance, w2_squared

__all__ = [
    "LENET_DATA",
    "Classifier",
    "Coverage",
    "PrecisionRecall",
    "WithFloor",
    "classifier",
    "coverage",
    "energy_distance",
    "frechet",
    "kid",
    "lenet_metrics",
    "precision_recall",
    "w2_squared",
]
