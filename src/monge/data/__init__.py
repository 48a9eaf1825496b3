"""Sources of samples, addressed by position."""

from monge.data.sets.cifar import CIFARS
from monge.data.sets.lines import LINES, draw_lines
from monge.data.sets.toy import TOYS, Mixture, draw_toy

from .catalog import BUNDLED, REMOTES, data_root, load, read_array
from .domains import Domains, EuclideanDomains
from .draw import Draw
from .prior import PRIORS, load_prior
from .sources import (
    EndlessSource,
    FiniteSource,
    MappedSource,
    Pair,
    Source,
    from_array,
    from_dataset,
    from_images,
    generator,
    own_slice,
)

__all__ = [
    "BUNDLED",
    "CIFARS",
    "LINES",
    "PRIORS",
    "REMOTES",
    "TOYS",
    "Domains",
    "Draw",
    "EndlessSource",
    "EuclideanDomains",
    "FiniteSource",
    "MappedSource",
    "Mixture",
    "Pair",
    "Source",
    "data_root",
    "draw_lines",
    "draw_toy",
    "from_array",
    "from_dataset",
    "from_images",
    "generator",
    "load",
    "load_prior",
    "own_slice",
    "read_array",
]
