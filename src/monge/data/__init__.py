"""Sources of samples, addressed by position."""

from .aist import AistDance, read_aist
from .catalog import BUNDLED, REMOTES, data_root, load, read_array
from .cifar import CIFARS
from .dance import CONTEXT, DANCE_MELODY, Dance, context, from_dances, level, read_dances, split
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
    "CONTEXT",
    "DANCE_MELODY",
    "LINES",
    "NESMDB",
    "PRIORS",
    "REMOTES",
    "TOYS",
    "VOICES",
    "AistDance",
    "Dance",
    "Draw",
    "EndlessSource",
    "FiniteSource",
    "MappedSource",
    "Mixture",
    "Pair",
    "Source",
    "context",
    "data_root",
    "draw_lines",
    "draw_toy",
    "from_array",
    "from_dances",
    "from_dataset",
    "from_images",
    "from_midi",
    "from_songs",
    "generator",
    "level",
    "load",
    "load_prior",
    "midi_files",
    "most_likely",
    "one_hot",
    "own_slice",
    "read_aist",
    "read_array",
    "read_dances",
    "read_midi",
    "split",
    "to_song",
    "write_midi",
]
