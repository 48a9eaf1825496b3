"""The loop: recipes, checkpoints, run folders, training and evaluation."""

from . import checkpoint, loop
from .folder import RunFolder
from .loop import Training, build, train
from .maps import drawn
from .measure import evaluate, evaluate_run, load_run, picture_of
from .recipe import Recipe, find, parse, read, recipe_class, shipped, to_yaml
from .runner import Bar, Clock, Interrupted, Runner

__all__ = [
    "Bar",
    "Clock",
    "Interrupted",
    "Recipe",
    "RunFolder",
    "Runner",
    "Training",
    "build",
    "checkpoint",
    "drawn",
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
