"""Music to dance: everything about dances, from motion capture and songs to a page that plays a
dance.

``motion`` holds skeletons and what moves them, ``audio`` what is heard of a song; ``data`` and
``aist`` read dances; ``domains`` and ``network`` are what `monge.methods.mdot` is told about music
and dance; ``dancer`` and ``performance`` dance to songs; ``metrics`` and ``plots`` measure and
draw, ``kind`` does both for a run, and ``command`` is `monge dance`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dancer import Dancer
    from .performance import Performance, perform, write

__all__ = ["Dancer", "Performance", "perform", "write"]


def __getattr__(name: str) -> Any:
    """Import on first use: the data sets and the runner, which a dancer needs, import parts of this
    package.
    """
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(".dancer" if "ancer" in name else ".performance", __name__), name)
