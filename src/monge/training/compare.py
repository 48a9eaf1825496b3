"""Comparison of runs: runs of one recipe form a group, and each group is a row of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isclose
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from monge.errors import MongeError, nearest
from monge.metrics import Metric

from .folder import RunFolder, leaves
from .recipe import Recipe, dump

_FREE = ("run.seed", "run.out", "about.", "data.root")  # keys that differ between runs of a group


@dataclass(frozen=True)
class Run:
    """The content of a run folder."""

    folder: RunFolder
    recipe: Recipe
    metrics: dict[str, Any]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation over seeds; the deviation of one seed is 0.

    >>> MeanStd((1.0, 3.0)).mean, round(MeanStd((1.0, 3.0)).sd, 4)
    (2.0, 1.4142)
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def sd(self) -> float:
        return stdev(self.values) if len(self.values) > 1 else 0.0


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed; ``label`` is different for each group."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def metrics(self) -> dict[str, MeanStd]:
        """The metrics that are numbers in all runs of the group."""
        runs = [run.metrics for run in self.runs]
        names = [name for name in runs[0] if all(_is_number(run.get(name)) for run in runs)]
        metrics = {name: MeanStd(tuple(float(run[name]) for run in runs)) for name in names}
        if "cpu_seconds" in metrics:
            seconds = metrics["cpu_seconds"].values
            metrics["cpu_minutes"] = MeanStd(tuple(s / 60 for s in seconds))
        return metrics

    def headline(self, known: Sequence[Metric]) -> str:
        """Return the text below the samples: the last headline metric, or an empty string.

        The metrics of the data's kind come last in ``known``.
        """
        headlines = [c for c in columns(known) if c.judged and c.metric.headline]
        measured = [c for c in headlines if c.key in self.metrics]
        if not measured:
            return ""
        column = measured[-1]
        return f"{column.title} {column.cell(self.metrics[column.key])}"


@dataclass(frozen=True)
class Column:
    """A column of the table: the key of a number, the title, and the metric with its format.

    ``judged`` is False for the floor and the references of a metric, for which no value is better.
    """

    key: str
    title: str
    metric: Metric
    judged: bool = True

    @property
    def better(self) -> str | None:
        """Whether low or high values are better; None for floors and references."""
        return self.metric.better if self.judged else None

    def cell(self, value: MeanStd) -> str:
        """Format a value, with its deviation over several seeds."""
        text = self.metric.number(value.mean)
        varies = self.better is not None or value.sd > 0  # unlike the total number of modes
        if len(value.values) > 1 and varies:
            text += f" ± {self.metric.number(value.sd)}"
        return text


CPU = Metric("cpu_minutes", "CPU-min", 2, "low", table="CPU-min")


def columns(known: Sequence[Metric]) -> list[Column]:
    """Return the columns of the metrics that have one, and of their floors and references."""
    result = []
    for metric in (*known, CPU):
        if metric.table is not None:
            result.append(Column(metric.ratio or metric.key, metric.table, metric))
            for name, title, decimals in metric.beside:
                style = replace(metric, decimals=decimals)
                result.append(Column(metric.suffixed(name), title, style, judged=False))
    return result


def read_groups(paths: Sequence[str | Path]) -> list[Group]:
    """Read run folders and group the seeds of each recipe, in the given order.

    MongeError for a folder without a run or without metrics.json, for runs on different data, and
    for two folders with the same run.
    """
    runs = [_read(RunFolder(path)) for path in paths]
    for run in runs[1:]:
        names = [r.recipe.data.name for r in (runs[0], run)]
        if names[0] != names[1]:
            raise MongeError(
                f"runs on different data cannot be compared: {runs[0].folder.path} is on "
                f"'{names[0]}', {run.folder.path} on '{names[1]}'"
            )
    by_recipe: dict[str, list[Run]] = {}
    for run in runs:
        seed = run.recipe.run.seed
        group = by_recipe.setdefault(json.dumps(_settings(run.recipe), sort_keys=True), [])
        twin = next((r for r in group if r.recipe.run.seed == seed), None)
        if twin is not None:
            raise MongeError(
                f"{twin.folder.path} and {run.folder.path} hold the same run (recipe and seed "
                f"{seed}): name one"
            )
        group.append(run)
    groups = [tuple(sorted(group, key=lambda r: r.recipe.run.seed)) for group in by_recipe.values()]
    return [Group(label, group) for label, group in zip(_labels(groups), groups, strict=True)]


def _read(folder: RunFolder) -> Run:
    recipe = folder.recipe()
    try:
        metrics = json.loads(folder.metrics.read_text())
    except FileNotFoundError as error:
        raise MongeError(
            f"'{folder.path}' has no metrics.json: run 'monge eval {folder.path}'"
        ) from error
    except json.JSONDecodeError as error:
        raise MongeError(
            f"{folder.metrics} is not valid JSON: run 'monge eval {folder.path}' to write it again"
        ) from error
    return Run(folder, recipe, metrics, folder.history())


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return the flat configuration without the keys that may differ in a group."""
    return {k: v for k, v in leaves(dump(recipe)).items() if not k.startswith(_FREE)}


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return a label for each group: the method's name, and what distinguishes the group.

    For groups of one method, these are the settings that differ, or the folder if there are more
    than two.
    """
    labels = []
    for group in groups:
        recipe, folder = group[0].recipe, group[0].folder.path
        name = recipe.method.name.replace("_", "-")
        recipes = [g[0].recipe for g in groups if g is not group]
        others = [_settings(other) for other in recipes if other.method.name == recipe.method.name]
        settings = _settings(recipe)
        differing = {k: v for k, v in settings.items() if any(o.get(k) != v for o in others)}
        text = ", ".join(f"{k.split('.')[-1]} {v}" for k, v in differing.items())
        labels.append(f"{name}, {text if len(differing) <= 2 else folder}" if differing else name)
    return labels


def table(groups: Sequence[Group], known: Sequence[Metric]) -> str:
    """Format groups as an aligned table, one per row, with ``*`` at the best of each column.

    ``known`` are the metrics, which define the columns and the format of numbers.
    """
    shown = [c for c in columns(known) if any(c.key in g.metrics for g in groups)]
    rows = [["method", *(f"{c.title}  " for c in shown), "seeds"]]
    for group in groups:
        row = [group.label]
        for c in shown:
            mark = " *" if group.label in _best(c, groups) else "  "
            row.append(c.cell(group.metrics[c.key]) + mark if c.key in group.metrics else "")
        rows.append([*row, str(len(group.runs))])
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for label, *cells in rows:
        aligned = (cell.rjust(width) for cell, width in zip(cells, others, strict=True))
        lines.append("  ".join([label.ljust(first), *aligned]))
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _best(column: Column, groups: Sequence[Group]) -> set[str]:
    """Return the labels of the groups with the best mean.

    Empty if all means are equal, or if neither low nor high values are better.
    """
    means = {g.label: g.metrics[column.key].mean for g in groups if column.key in g.metrics}
    if column.better is None or len(set(means.values())) < 2:
        return set()
    top = min(means.values()) if column.better == "low" else max(means.values())
    return {label for label, value in means.items() if isclose(value, top)}


def as_json(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The groups as plain values: every metric with its mean, deviation and values by seed."""
    return [
        {
            "label": group.label,
            "method": group.runs[0].recipe.method.name,
            "data": group.runs[0].recipe.data.name,
            "runs": [str(run.folder.path) for run in group.runs],
            "seeds": [run.recipe.run.seed for run in group.runs],
            "metrics": {
                name: {"mean": value.mean, "sd": value.sd, "values": list(value.values)}
                for name, value in group.metrics.items()
            },
        }
        for group in groups
    ]


def logged(groups: Sequence[Group], name: str) -> bool:
    """Return whether the logs of all runs have a scalar of that name."""
    return all(any(name in line for line in run.history) for group in groups for run in group.runs)


def require_logged(groups: Sequence[Group], flag: str, name: str) -> None:
    """Raise `MongeError` if a run's log has no scalar ``name``; ``flag`` is where it was given."""
    for run in (run for group in groups for run in group.runs):
        known = {k for line in run.history for k, v in line.items() if _is_number(v)}
        if name not in known:
            advice = nearest(name, known) if known else "; its log is empty"
            raise MongeError(f"{flag} {name}: {run.folder.log} has no '{name}'{advice}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
