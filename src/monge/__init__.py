"""Generative models built on optimal transport.

>>> import monge
>>> run = monge.train("sinkhorn_gan", "8gaussians", steps=2000, out="runs/a")  # doctest: +SKIP
>>> run.model.sample(1000).shape, run.metrics["w2_squared"].ratio  # doctest: +SKIP
(torch.Size([1000, 2]), 1.21)
>>> T = monge.OTMap().fit(x, y)  # doctest: +SKIP

``train`` and ``load`` return a `Run`; ``list_methods``, ``list_datasets`` and ``list_recipes`` say
what there is. `OTMap`, `DomainAdapter`, `Interpolator`, `ColorTransfer`, `TextureSynthesizer` and
`Dancer` have scikit-learn's verbs. Everything else is in the subpackages: ``ot`` (solvers and
divergences), ``methods`` (one file a paper), ``nets``, ``data``, ``metrics``, ``plots``,
``images``, ``music`` and ``dance``.

Names are imported on first use, so that ``import monge`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import dance, data, images, methods, metrics, music, nets, ot, plots
    from .adapt import DomainAdapter
    from .dance import Dancer
    from .errors import MongeError
    from .images.color.transfer import ColorTransfer
    from .images.texture.synthesizer import TextureSynthesizer
    from .interpolate import Interpolator
    from .maps import OTMap
    from .runs import Run, list_datasets, list_methods, list_recipes, load, train

__version__ = "0.1.0"

_HOME = {
    "ColorTransfer": "images.color.transfer",
    "Dancer": "dance.dancer",
    "DomainAdapter": "adapt",
    "Interpolator": "interpolate",
    "MongeError": "errors",
    "OTMap": "maps",
    "Run": "runs",
    "TextureSynthesizer": "images.texture.synthesizer",
    "list_datasets": "runs",
    "list_methods": "runs",
    "list_recipes": "runs",
    "load": "runs",
    "train": "runs",
}
_PACKAGES = ("dance", "data", "images", "methods", "metrics", "music", "nets", "ot", "plots")

# fmt: off
__all__ = [
    "ColorTransfer", "Dancer", "DomainAdapter", "Interpolator", "MongeError", "OTMap", "Run",
    "TextureSynthesizer", "dance", "data", "images", "list_datasets", "list_methods",
    "list_recipes", "load", "methods", "metrics", "music", "nets", "ot", "plots", "train",
]
# fmt: on


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _PACKAGES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module 'monge' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
