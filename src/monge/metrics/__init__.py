"""How far generated samples are from the data, each figure beside its floor."""

from .codes import PriorDistances, clustering_accuracy, linear_probe, matched_accuracy, prior_distances
from .features import PrecisionRecall, frechet, kid, precision_recall, relative_spread
from .filters import filter_features, frechet_filters
from .interpolation import cross_fade, midpoint_metrics, path_length
from .lenet import Classifier, FrechetLeNet, classifier, has_lenet, lenet_metrics
from .lines import LineFigures, line_figures, nearest_lines, smoothness
from .memorisation import Memorisation, memorisation, nearest
from .samples import Coverage, WithFloor, coverage, energy_distance, w2_squared
from .transport import l2_uvp

__all__ = [
    "Classifier",
    "Coverage",
    "FrechetLeNet",
    "LineFigures",
    "Memorisation",
    "PrecisionRecall",
    "PriorDistances",
    "WithFloor",
    "classifier",
    "clustering_accuracy",
    "coverage",
    "cross_fade",
    "energy_distance",
    "filter_features",
    "frechet",
    "frechet_filters",
    "has_lenet",
    "kid",
    "l2_uvp",
    "lenet_metrics",
    "line_figures",
    "linear_probe",
    "matched_accuracy",
    "memorisation",
    "midpoint_metrics",
    "nearest",
    "nearest_lines",
    "path_length",
    "precision_recall",
    "prior_distances",
    "relative_spread",
    "smoothness",
    "w2_squared",
]
