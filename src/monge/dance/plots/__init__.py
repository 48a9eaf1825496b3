"""Pictures of dances: frames, strips, GIFs, and a page that plays a dance to its song."""

from .player import player_page
from .stage import Picture
from .strips import GIF_RATE, dance_frame, dance_frames, dance_strip, to_gif

__all__ = [
    "GIF_RATE",
    "Picture",
    "dance_frame",
    "dance_frames",
    "dance_strip",
    "player_page",
    "to_gif",
]
