"""A run folder: config.yaml, log.jsonl, checkpoints/, model.safetensors and pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save
from torch import Tensor

from monge.data import Dataset, load
from monge.errors import MongeError

from . import checkpoint
from .recipe import Recipe, build, dump, parse, to_yaml, translate_keys

# keys that may change when a run is continued
_MAY_CHANGE_IN_RUN = ("run.out", "run.steps", "run.every", "run.device", "run.threads")
_MAY_CHANGE = ("about", "eval", "data.root", *_MAY_CHANGE_IN_RUN)


class RunFolder:
    """The files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.log = self.path / "log.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.weights = self.path / "model.safetensors"
        self.metrics = self.path / "metrics.json"
        self.samples = self.path / "samples.png"
        self.neighbors = self.path / "neighbours.png"
        self.curves = self.path / "curves.png"
        self.report = self.path / "report.html"

    def claim(self, recipe: Recipe, *, fresh: bool = False) -> None:
        """Create the folder, or check that the run in it has the same configuration.

        ``fresh`` deletes the run in the folder first. MongeError for a run with another
        configuration, and for a folder that is not empty and not a run folder.
        """
        cleared = fresh and self.config.is_file()
        if cleared:
            self._clear()
        if self.config.is_file():
            ours, theirs = leaves(dump(recipe)), leaves(dump(self.recipe()))
            keys = [k for k in sorted({*ours, *theirs}) if not k.startswith(_MAY_CHANGE)]
            changed = [k for k in keys if ours.get(k) != theirs.get(k)]
            if changed:
                changes = ", ".join(
                    f"{k}: {theirs.get(k)!r} there, {ours.get(k)!r} here" for k in changed[:4]
                )
                raise MongeError(
                    f"{self.path} holds a run of another configuration ({changes}): choose another "
                    "`out`, or `fresh=True` to start over"
                )
        elif not cleared and self.path.is_dir() and any(self.path.iterdir()):
            raise MongeError(f"{self.path} exists and is not a run folder: choose another `out`")
        self.path.mkdir(parents=True, exist_ok=True)
        checkpoint.write_atomically(self.config, to_yaml(recipe).encode())

    def recipe(self) -> Recipe:
        """Return the configuration of the run; also reads those of version 0.1.0."""
        return parse(translate_keys(self._read_config()), str(self.config))

    def _read_config(self) -> dict[str, Any]:
        if not self.config.is_file():
            raise MongeError(
                f"'{self.path}' is not a run folder: it has no config.yaml ('monge train RECIPE' "
                "creates one)"
            )
        try:
            stored = yaml.safe_load(self.config.read_text())
        except yaml.YAMLError:
            stored = None
        if not isinstance(stored, dict) or not {"data", "method", "run"} <= stored.keys():
            raise MongeError(f"{self.config} was not written by monge: choose another run folder")
        return stored

    def _clear(self) -> None:
        """Delete the files of the run; other files in its folder are kept."""
        self._read_config()  # raises an error for a config.yaml of another program
        results = (self.log, self.weights, self.metrics, self.report)
        pictures = (self.samples, self.neighbors, self.curves)
        delete(self.checkpoints, *results, *pictures, self.config)

    def append(self, line: Mapping[str, Any]) -> None:
        """Append a line to the log."""
        try:
            with self.log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            raise MongeError(
                f"cannot write {self.log} ({error.strerror}): fix this and run the same command "
                "again"
            ) from error

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of the log, without a line that was truncated by a crash."""
        lines = []
        for raw in self.log.read_text().splitlines() if self.log.is_file() else []:
            try:
                lines.append(json.loads(raw))
            except json.JSONDecodeError:
                continue
        return lines

    def rewind(self, step: int) -> None:
        """Delete the log lines after a step, which will be run again."""
        kept = [line for line in self.history() if line["step"] <= step]
        content = "".join(json.dumps(line) + "\n" for line in kept)
        checkpoint.write_atomically(self.log, content.encode())

    def save_weights(self, state: dict[str, Tensor]) -> None:
        """Write the weights of a method."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        checkpoint.write_atomically(self.weights, save(tensors))

    def load_weights(self) -> dict[str, Tensor]:
        """Read the weights of a method. MongeError if the run has no checkpoint yet."""
        if not self.weights.is_file():
            raise MongeError(
                f"'{self.path}' has no model.safetensors yet: train it to its first checkpoint"
            )
        return load_file(self.weights)

    def torch_state(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the newest valid checkpoint, and messages about invalid ones."""
        return checkpoint.load_latest(self.checkpoints)


def load_run(folder: RunFolder, data: Dataset | None = None) -> tuple[Any, Dataset]:
    """Build the method of a run with its trained weights, and load its data unless given."""
    recipe = folder.recipe()
    if data is None:
        data = load(recipe.data.name, recipe.data.root, recipe.data.size)
    method = build(recipe, data)
    try:
        method.load_state_dict(folder.load_weights())
    except RuntimeError as error:
        raise MongeError(
            f"{folder.weights} does not match the networks of {folder.config}: train again with "
            "`fresh=True`"
        ) from error
    return method, data


def delete(checkpoints: Path, *files: Path) -> None:
    """Delete the checkpoints and the files of a run, and its folder if it is empty then.

    Files are deleted in order. The file that identifies the folder as a run must be the last one,
    so that an interrupted deletion can be repeated.
    """
    shutil.rmtree(checkpoints, ignore_errors=True)
    for file in files:
        file.unlink(missing_ok=True)
    if not any(checkpoints.parent.iterdir()):
        checkpoints.parent.rmdir()


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a tree of mappings, with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            result |= leaves(value, f"{prefix}{key}.")
        else:
            result[prefix + key] = value
    return result


def device_of(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is cuda if available. MongeError if it is missing."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise MongeError(f"run.device = {name!r} is not available here: use auto or cpu") from error
    return device
