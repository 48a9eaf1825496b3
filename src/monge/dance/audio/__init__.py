"""Songs: reading of files, spectra, onsets, beats, features, and a distance between songs."""

from .features import (
    MUSIC,
    beats_of,
    music_distance,
    music_features,
    music_summary,
    song_features,
    sound_features,
)
from .load import is_silent, read
from .rhythm import beats, tempo
from .spectral import RATE, chroma, mel, onset

# fmt: off
__all__ = [
    "MUSIC", "RATE", "beats", "beats_of", "chroma", "is_silent", "mel", "music_distance",
    "music_features", "music_summary", "onset", "read", "song_features", "sound_features", "tempo",
]
# fmt: on
