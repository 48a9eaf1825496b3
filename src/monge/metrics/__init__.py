"""Metrics of generated samples, and the floors that real data reach."""

from .codes import clustering_accuracy, linear_probe, matched_accuracy, prior_distances
from .features import PrecisionRecall, frechet, kid, precision_recall, relative_spread
from .filters import filter_features, frechet_filters
from .interpolation import cross_fade, midpoint_quality, path_length
from .lenet import Classifier, FrechetLeNet, classifier, has_lenet, lenet_quality
from .memorization import memorization, nearest
from .samples import Coverage, coverage, energy_distance, w2_squared
from .spec import EvalConfig, Evaluator, Measured, Measures, Metric, evaluator
from .transport import l2_uvp

# fmt: off
__all__ = [
    "Classifier", "Coverage", "EvalConfig", "Evaluator", "FrechetLeNet", "Measured", "Measures",
    "Metric", "PrecisionRecall", "classifier", "clustering_accuracy", "coverage", "cross_fade",
    "energy_distance", "evaluator", "filter_features", "frechet", "frechet_filters", "has_lenet",
    "kid", "l2_uvp", "lenet_quality", "linear_probe", "matched_accuracy", "memorization",
    "midpoint_quality", "nearest", "path_length", "precision_recall", "prior_distances",
    "relative_spread", "w2_squared",
]
# fmt: on
