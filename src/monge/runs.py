"""Training in Python: the run folders that ``monge train`` writes and continues.

A call of `train` and a command line with the same settings are the same run: either continues what
the other one began, to the bit.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from monge.data import (
    CATALOG,
    Dataset,
    FiniteDataset,
    InfiniteDataset,
    SourceTarget,
    from_array,
    from_dataset,
    sample_from,
)
from monge.errors import MongeError, nearest
from monge.metrics import Measured
from monge.metrics.spec import measures_of
from monge.training import RunFolder, load_run, recipe, shipped
from monge.training import train as train_recipe
from monge.training.checkpoint import write_atomically
from monge.training.evaluate import known_metrics
from monge.training.recipe import DataConfig, Recipe, RunConfig

_SECTIONS = {"about", "eval"}  # of a recipe, given as a mapping


@dataclass(frozen=True)
class Run:
    """A trained method, its data and the folder that holds its files.

    ``model`` is the method, an ``nn.Module``: what it can do is in `monge.methods.protocols`,
    ``sample(n, seed)`` for a generator, ``transform(x)`` for a map. ``metrics`` maps the keys of
    ``metrics.json`` to `Measured` numbers, with ``value``, ``floor`` and ``ratio``. In a notebook a
    run shows its samples.
    """

    folder: Path
    model: Any
    data: Dataset = field(repr=False)
    metrics: Mapping[str, Measured] = field(repr=False)

    @property
    def config(self) -> Recipe:
        """The settings of the run."""
        return RunFolder(self.folder).recipe()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of the log: step, seconds, losses."""
        return RunFolder(self.folder).history()

    @property
    def report(self) -> Path:
        """A page with the metrics, pictures, curves and settings."""
        return RunFolder(self.folder).report

    @property
    def picture(self) -> Path:
        """The samples as a PNG."""
        return RunFolder(self.folder).samples

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Draw n samples, or map n held-out samples of the source; on the CPU, a function of the
        seed.
        """
        return sample_from(self.model, self.data, n, seed).detach().float().cpu()

    def __repr__(self) -> str:
        name = self.model.config.name
        return f"Run('{self.folder}', {name} on {self.data.name}, {self.config.run.steps} steps)"

    def _repr_png_(self) -> bytes | None:
        return self.picture.read_bytes() if self.picture.is_file() else None


def train(
    method: str,
    data: str | Path | ArrayLike | Tensor | Dataset | TorchDataset[Any] | None = None,
    *,
    out: str | Path | None = None,
    preset: str | None = None,
    fresh: bool = False,
    **settings: Any,
) -> Run:
    """Train a method on data, or continue an interrupted run; returns the trained `Run`.

    Parameters
    ----------
    method : str
        The name of a method (`list_methods`) or of a recipe (`list_recipes`), or the path of a
        recipe file. A recipe brings its data and settings, which arguments override.
    data : str, path, array, Tensor or data set, optional
        The name of a data set (`list_datasets`); a file or folder of arrays, pictures or MIDI; an
        array of points (n, d) or pictures (n, h, w), (n, h, w, c), (n, c, h, w), which is stored in
        the run folder; a data set of `monge.data` or any map-style torch ``Dataset``, which has to
        be passed again where the run is continued or loaded.
    out : path, optional
        The run folder, ``runs/METHOD-DATA`` or ``runs/RECIPE`` by default. An unfinished run in it
        is continued, a finished one is only measured again.
    preset : str, optional
        A variant that the recipe holds, for example ``"gpu"``.
    fresh : bool
        Delete the run that the folder holds and start over.
    **settings
        Of the run (``steps``, ``every``, ``seed``, ``dtype``, ``device``, ``threads``), of the data
        (``root``, ``size``), or of the method: every field of its ``Config``, nested ones as
        mappings, ``nets={"width": 64}``; ``eval={"samples": 512}`` says how it is measured.

    Raises
    ------
    MongeError
        For an unknown method, data set or setting, with the nearest name; a value out of bounds; a
        folder that holds a run of another configuration; a loss that is not finite.

    Examples
    --------
    >>> import tempfile
    >>> tiny = {"batch": 16, "nets": {"width": 8}, "eval": {"samples": 64}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train("sinkhorn_gan", "8gaussians", out=f"{folder}/a", steps=2, **tiny)
    ...     run.model.sample(5).shape, run.metrics["w2_squared"].ratio > 1
    (torch.Size([5, 2]), True)
    """
    dataset, array, name = _resolve_data(data)
    base, title = _starting_recipe(method, preset, name)
    tree = recipe.dump(base) if base else {"method": {"name": title}, "data": {}}
    folder = Path(out or (base and base.run.out) or f"runs/{_default_folder(title, preset, name)}")
    if array is not None:
        name = str(folder / f"data-{hashlib.sha256(array).hexdigest()[:12]}.npy")
    changes = _group_settings(settings, str(tree["method"]["name"]))
    if name is not None:
        changes["data"]["name"] = name
    if out is not None:
        changes["run"]["out"] = str(out)
    job = recipe.parse(recipe.merge(tree, changes), "monge.train")
    run = RunFolder(folder)
    if array is not None:
        run.claim(job, fresh=fresh)
        write_atomically(Path(str(name)), array)
    train_recipe(job, run, fresh=fresh and array is None, dataset=dataset)
    return load(folder, data=dataset)


def load(run: str | Path, *, data: Dataset | TorchDataset[Any] | None = None) -> Run:
    """Load a trained run from its folder, also one that ``monge train`` wrote.

    ``data`` is needed where the run was trained on a data set object. MongeError for a folder that
    is not a run, has no weights yet, or whose data are not there.
    """
    folder = RunFolder(run)
    method, dataset = load_run(folder, _resolve_data(data)[0])
    stored = json.loads(folder.metrics.read_text()) if folder.metrics.is_file() else {}
    metrics = {
        metric.key: value for metric, value in measures_of(stored, known_metrics(dataset)).items()
    }
    return Run(folder.path, method, dataset, metrics)


def list_methods(pattern: str = "*") -> list[str]:
    """The methods that `train` takes, one for each paper.

    >>> list_methods("*gan")
    ['cramer_gan', 'gan', 'ot_gan', 'sinkhorn_gan', 'wgan']
    """
    return [name for name in recipe.recipe_methods() if fnmatch(name, pattern)]


def list_datasets(pattern: str = "*") -> list[str]:
    """The data sets that are known by name; ``monge data`` says which of them are here.

    >>> list_datasets("*gaussians")
    ['8gaussians', '25gaussians', '49gaussians', '100gaussians']
    """
    return [entry.name for entry in CATALOG if fnmatch(entry.name, pattern)]


def list_recipes(pattern: str = "*") -> list[str]:
    """The recipes that are shipped: a method, data and tuned settings.

    >>> list_recipes("sinkhorn-gan-*")[:2]
    ['sinkhorn-gan-25gaussians', 'sinkhorn-gan-8gaussians']
    """
    return [name for name, _ in shipped() if fnmatch(name, pattern)]


def _resolve_data(data: Any) -> tuple[Dataset | None, bytes | None, str | None]:
    """Return the data set object, the content of a file to store, and the name of the data."""
    if data is None or isinstance(data, str | Path):
        return None, None, None if data is None else str(data)
    if isinstance(data, FiniteDataset | InfiniteDataset | SourceTarget):
        return data, None, data.name
    if isinstance(data, TorchDataset):
        dataset = from_dataset(data)
        return dataset, None, dataset.name
    array = data.detach().cpu().numpy() if isinstance(data, Tensor) else np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise MongeError(f"data must be numbers, got an array of {array.dtype}")
    from_array(array)  # refuses what is not samples
    stream = io.BytesIO()
    np.save(stream, array)
    return None, stream.getvalue(), "array"


def _starting_recipe(
    method: str, preset: str | None, data: str | None
) -> tuple[Recipe | None, str]:
    """Return the recipe to start from, None for a method by itself, and its name."""
    if method in recipe.method_names():
        if preset is not None:
            raise MongeError(f"preset '{preset}' needs a recipe, and '{method}' is a method")
        if data is None:
            raise MongeError(f"data is missing: '{method}' is a method; a recipe brings its data")
        return None, method
    if method in dict(shipped()) or Path(method).suffix in (".yaml", ".yml"):
        return recipe.read(recipe.find(method), preset), Path(method).stem
    names = [*list_methods(), *list_recipes()]
    raise MongeError(f"unknown method or recipe '{method}'{nearest(method, names)}")


def _default_folder(title: str, preset: str | None, data: str | None) -> str:
    variant = f"-{preset}" if preset and preset != recipe.UNCHANGED else ""
    suffix = f"-{Path(data).stem}" if data else ""
    return f"{title.replace('_', '-')}{suffix}{variant}"


def _group_settings(settings: Mapping[str, Any], method: str) -> dict[str, dict[str, Any]]:
    """Return the settings grouped by the part of the recipe that they belong to."""
    parts: dict[str, dict[str, Any]] = {"data": {}, "method": {}, "run": {}}
    model = recipe.recipe_class(method)
    fields = {
        "data": DataConfig.model_fields.keys() - {"name"},
        "run": RunConfig.model_fields.keys() - {"out"},
        "method": model.model_fields["method"].annotation.model_fields.keys() - {"name"},  # type: ignore[union-attr]
    }
    for key, value in settings.items():
        owner = next((part for part, names in fields.items() if key in names), None)
        if owner:
            parts[owner][key] = value
        elif key in _SECTIONS:
            parts[key] = dict(value)
        elif now := recipe.current_keys(model, f"method.{key}"):
            new = " and ".join(f"'{name.removeprefix('method.')}'" for name in now)
            raise MongeError(
                f"unknown setting '{key}': its name is {new}; pass nested settings as mappings"
            )
        else:
            known_names = {*_SECTIONS, *(name for names in fields.values() for name in names)}
            raise MongeError(f"unknown setting '{key}'{nearest(key, known_names)}")
    return parts
