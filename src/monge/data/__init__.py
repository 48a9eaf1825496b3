"""Data sets, the kinds of their samples, and batches addressed by position."""

from monge.rng import generator

from .catalog import CATALOG, data_root, load, read_array
from .domains import Domains, EuclideanDomains
from .draw import Draw
from .kinds import Images, Kind, Mixture, Points, kind_of
from .prior import PRIORS, load_prior
from .sets.lines import draw_lines
from .sets.toy import draw_toy
from .sources import EndlessSource, FiniteSource, Pair, Source, from_array, from_dataset, from_images, own_slice
from .subject import Subject, drawn, moved, origin

# fmt: off
__all__ = [
    "CATALOG", "PRIORS", "Domains", "Draw", "EndlessSource", "EuclideanDomains", "FiniteSource", "Images", "Kind",
    "Mixture", "Pair", "Points", "Source", "Subject", "data_root", "draw_lines", "draw_toy", "drawn",
    "from_array", "from_dataset", "from_images", "generator", "kind_of", "load", "load_prior", "moved", "origin", "own_slice",
    "read_array",
]
# fmt: on
