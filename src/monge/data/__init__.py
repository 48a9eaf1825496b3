"""Data sets, the kinds of their samples, and batches addressed by position."""

from monge.rng import rng

from .catalog import CATALOG, data_root, load, read_array
from .datasets import (
    Dataset,
    FiniteDataset,
    InfiniteDataset,
    SourceTarget,
    from_array,
    from_dataset,
    from_images,
    own_slice,
)
from .domains import Domains, EuclideanDomains
from .kinds import Images, Kind, Mixture, Points, kind_of
from .prior import PRIORS, load_prior
from .sets.lines import draw_lines
from .sets.toy import draw_toy
from .step_inputs import StepInputs, iterate
from .subject import Subject, apply_map, sample_from, sample_source

# fmt: off
__all__ = [
    "CATALOG", "PRIORS", "Dataset", "Domains", "EuclideanDomains", "FiniteDataset", "Images",
    "InfiniteDataset", "Kind", "Mixture", "Points", "SourceTarget", "StepInputs", "Subject",
    "apply_map", "data_root", "draw_lines", "draw_toy", "from_array", "from_dataset", "from_images",
    "iterate", "kind_of", "load", "load_prior", "own_slice", "read_array", "rng", "sample_from",
    "sample_source",
]
# fmt: on
