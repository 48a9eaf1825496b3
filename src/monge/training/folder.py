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
from .recipe import Recipe, build, dump, parse, to_yaml, translated

_MAY_CHANGE = (
    "about",
    "eval",
    "run.out",
    "run.steps",
    "run.every",
    "data.root",
    "run.device",
    "run.threads",
)


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
        """Make the folder, or check that the run it holds has this configuration."""
        cleared = fresh and self.config.is_file()
        if cleared:
            self._clear()
        if self.config.is_file():
            ours, theirs = leaves(dump(recipe)), leaves(dump(self.recipe()))
            changed = [
                k
                for k in sorted({*ours, *theirs})
                if ours.get(k) != theirs.get(k) and not k.startswith(_MAY_CHANGE)
            ]
            if changed:
                shown = ", ".join(
                    f"{k}: {theirs.get(k)!r} there, {ours.get(k)!r} here" for k in changed[:4]
                )
                held = f"{self.path} holds a run of another configuration ({shown})"
                raise MongeError(f"{held}: choose another --run.out, or --fresh to start over")
        elif not cleared and self.path.is_dir() and any(self.path.iterdir()):
            raise MongeError(
                f"{self.path} exists and is not a run folder: choose another --run.out"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        checkpoint.write_atomically(self.config, to_yaml(recipe).encode())

    def recipe(self) -> Recipe:
        """The configuration of the run, also of one that version 0.1.0 wrote."""
        return parse(translated(self._stored()), str(self.config))

    def _stored(self) -> dict[str, Any]:
        if not self.config.is_file():
            raise MongeError(
                f"'{self.path}' is not a run folder: it has no config.yaml ('monge train RECIPE' "
                "makes one)"
            )
        try:
            stored = yaml.safe_load(self.config.read_text())
        except yaml.YAMLError:
            stored = None
        if not isinstance(stored, dict) or not {"data", "method", "run"} <= stored.keys():
            raise MongeError(f"{self.config} was not written by monge: choose another run folder")
        return stored

    def _clear(self) -> None:
        """Delete the run and nothing else that lies in its folder."""
        self._stored()  # refuses a folder whose config.yaml is somebody else's
        own = (
            self.log,
            self.weights,
            self.metrics,
            self.samples,
            self.neighbors,
            self.curves,
            self.report,
        )
        delete(self.checkpoints, *own, self.config)

    def append(self, line: Mapping[str, Any]) -> None:
        try:
            with self.log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            said = f"cannot write {self.log} ({error.strerror})"
            raise MongeError(f"{said}: correct that and run the same command again") from error

    def history(self) -> list[dict[str, Any]]:
        """The lines of the log; a line that was cut off by a crash is left out."""
        lines = []
        for raw in self.log.read_text().splitlines() if self.log.is_file() else []:
            try:
                lines.append(json.loads(raw))
            except json.JSONDecodeError:
                continue
        return lines

    def rewind(self, step: int) -> None:
        """Drop the log lines after a step that is about to be run again."""
        kept = [line for line in self.history() if line["step"] <= step]
        checkpoint.write_atomically(
            self.log, "".join(json.dumps(line) + "\n" for line in kept).encode()
        )

    def save_weights(self, state: dict[str, Tensor]) -> None:
        checkpoint.write_atomically(
            self.weights, save({k: v.detach().cpu().contiguous() for k, v in state.items()})
        )

    def load_weights(self) -> dict[str, Tensor]:
        if not self.weights.is_file():
            raise MongeError(
                f"'{self.path}' has no model.safetensors yet: let it train to its first checkpoint"
            )
        return load_file(self.weights)

    def torch_state(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest whole checkpoint and remarks on those passed over."""
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
            f"{folder.weights} does not fit the networks of {folder.config}: train again with "
            "--fresh"
        ) from error
    return method, data


def delete(checkpoints: Path, *files: Path) -> None:
    """Delete the checkpoints and the files of a run, and its folder if nothing else is in it.

    The last of the files is the one that says whose the others are: while it is there they are
    known to be ours.
    """
    shutil.rmtree(checkpoints, ignore_errors=True)
    for file in files:
        file.unlink(missing_ok=True)
    if not any(checkpoints.parent.iterdir()):
        checkpoints.parent.rmdir()


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree of mappings under dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= (
            leaves(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {prefix + key: value}
        )
    return found


def device_of(name: str) -> torch.device:
    """Resolve ``auto`` and check that a named device exists."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise MongeError(f"run.device = {name!r} is not available here: use auto or cpu") from error
    return device
