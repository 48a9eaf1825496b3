"""Sources of samples, addressed by position."""

from .catalog import BUNDLED, REMOTES, data_root, load, read_array
from .cifar import CIFARS
from .draw import Draw
from .lines import LINES, draw_lines
from .midi import from_midi, midi_files, read_midi, write_midi
from .nesmdb import NESMDB, VOICES, from_songs, most_likely, one_hot, to_song
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
from .toy import TOYS, Mixture, draw_toy

__all__ = [
    "BUNDLED",
    "CIFARS",
    "LINES",
    "NESMDB",
    "PRIORS",
    "REMOTES",
    "TOYS",
    "VOICES",
    "Draw",
    "EndlessSource",
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
    "from_midi",
    "from_songs",
    "generator",
    "load",
    "load_prior",
    "midi_files",
    "most_likely",
    "one_hot",
    "own_slice",
    "read_array",
    "read_midi",
    "to_song",
    "write_midi",
]
