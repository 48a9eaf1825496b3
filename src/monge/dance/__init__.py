"""Music to dance: from motion capture and songs to a page that plays a dance.

``motion`` holds skeletons and their kinematics, ``audio`` the features of a song. ``data`` and
``aist`` read data sets of dances. ``domains`` and ``network`` define the costs and the generator
that `monge.methods.mdot` trains. ``dancer`` and ``performance`` generate dances to songs.
``metrics`` measures dances, ``plots`` draws them, ``kind`` does both for a run, and ``command`` is
`monge dance`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dancer import Dancer
    from .performance import Performance, perform, write

__all__ = ["Dancer", "Performance", "perform", "write"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    A dancer needs the data sets and the runner, which import parts of this package.
    """
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(".dancer" if "ancer" in name else ".performance", __name__), name)
