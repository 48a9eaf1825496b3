"""The loop: recipes, checkpoints, run folders, training and evaluation."""

from . import checkpoint, loop
from .build import build, load_run
from .evaluate import Evaluation, evaluate, evaluate_run, picture_of
from .folder import RunFolder
from .loop import Interrupted, train
from .recipe import Recipe, find, parse, read, recipe_class, shipped, to_yaml

__all__ = [
    "Evaluation",
    "Interrupted",
    "Recipe",
    "RunFolder",
    "build",
    "checkpoint",
    "evaluate",
    "evaluate_run",
    "find",
    "load_run",
    "loop",
    "parse",
    "picture_of",
    "read",
    "recipe_class",
    "shipped",
    "to_yaml",
    "train",
]
