"""Runs side by side: seeds of one recipe become one group, and groups become rows of a table."""

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

_FREE = ("run.seed", "run.out", "about.", "data.root")  # what runs of one group may differ in


@dataclass(frozen=True)
class Run:
    """What a run folder says about itself."""

    folder: RunFolder
    recipe: Recipe
    metrics: dict[str, Any]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation over seeds; of one seed the deviation is 0.

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
    """Runs that differ in nothing but their seed; ``label`` tells the group from the others."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def metrics(self) -> dict[str, MeanStd]:
        """Every metric that all runs of the group have as a number."""
        first, *rest = (r.metrics for r in self.runs)
        names = [k for k, v in first.items() if _number(v) and all(_number(m.get(k)) for m in rest)]
        found = {name: MeanStd(tuple(float(r.metrics[name]) for r in self.runs)) for name in names}
        if "cpu_seconds" in found:
            found["cpu_minutes"] = MeanStd(tuple(v / 60 for v in found["cpu_seconds"].values))
        return found

    def headline(self, known: Sequence[Metric]) -> str:
        """The number to write below the samples, that of the data's kind if it has one."""
        found = [
            c for c in columns(known) if c.judged and c.metric.headline and c.key in self.metrics
        ]
        return f"{found[-1].title} {found[-1].cell(self.metrics[found[-1].key])}" if found else ""


@dataclass(frozen=True)
class Column:
    """A column of the table: the key of a number, its head, and the metric that says how it is
    written.
    """

    key: str
    title: str
    metric: Metric
    judged: bool = True

    @property
    def better(self) -> str | None:
        """Which end is better; of what stands beside a metric, none."""
        return self.metric.better if self.judged else None

    def cell(self, figure: MeanStd) -> str:
        written = self.metric.number(figure.mean)
        varies = self.better is not None or figure.sd > 0  # how many modes there are does not
        return (
            f"{written} ± {self.metric.number(figure.sd)}"
            if len(figure.values) > 1 and varies
            else written
        )


CPU = Metric("cpu_minutes", "CPU-min", 2, "low", table="CPU-min")


def columns(known: Sequence[Metric]) -> list[Column]:
    """The columns of those metrics that have one, and of what stands beside them."""
    found = []
    for metric in (*known, CPU):
        if metric.table is not None:
            found.append(Column(metric.ratio or metric.key, metric.table, metric))
            for name, title, decimals in metric.beside:
                found.append(
                    Column(
                        metric.suffixed(name),
                        title,
                        replace(metric, decimals=decimals),
                        judged=False,
                    )
                )
    return found


def read_groups(paths: Sequence[str | Path]) -> list[Group]:
    """Read run folders and group the seeds of each recipe, in the order given.

    MongeError for a folder that is no run, lacks its log or its metrics.json, holds other data than
    the first, or the same run twice.
    """
    runs = [_read(RunFolder(path)) for path in paths]
    for run in runs[1:]:
        names = [r.recipe.data.name for r in (runs[0], run)]
        if names[0] != names[1]:
            found = f"{runs[0].folder.path} is on '{names[0]}', {run.folder.path} on '{names[1]}'"
            raise MongeError(f"runs on different data cannot be compared: {found}")
    together: dict[str, list[Run]] = {}
    for run in runs:
        same = together.setdefault(json.dumps(_settings(run.recipe), sort_keys=True), [])
        twin = next((r for r in same if r.recipe.run.seed == run.recipe.run.seed), None)
        if twin is not None:
            same_run = f"hold the same run (recipe and seed {run.recipe.run.seed})"
            raise MongeError(f"{twin.folder.path} and {run.folder.path} {same_run}: name one")
        same.append(run)
    groups = [tuple(sorted(group, key=lambda r: r.recipe.run.seed)) for group in together.values()]
    return [Group(label, group) for label, group in zip(_labels(groups), groups, strict=True)]


def _read(folder: RunFolder) -> Run:
    recipe = folder.recipe()
    try:
        metrics = json.loads(folder.metrics.read_text())
    except FileNotFoundError as error:
        raise MongeError(
            f"'{folder.path}' has no metrics.json: 'monge eval {folder.path}' makes one"
        ) from error
    except json.JSONDecodeError as error:
        raise MongeError(
            f"{folder.metrics} is torn: 'monge eval {folder.path}' makes it anew"
        ) from error
    return Run(folder, recipe, metrics, folder.history())


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The flat configuration without what runs of one group may differ in."""
    return {k: v for k, v in leaves(dump(recipe)).items() if not k.startswith(_FREE)}


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """The method's name; where two groups share it, with the settings that tell them apart, or else
    with the folder's name.
    """
    labels = []
    for group in groups:
        recipe, folder = group[0].recipe, group[0].folder.path
        name = recipe.method.name.replace("_", "-")
        own = _settings(recipe)
        others = [
            _settings(g[0].recipe)
            for g in groups
            if g is not group and g[0].recipe.method.name == recipe.method.name
        ]
        told = {k: v for k, v in own.items() if any(other.get(k) != v for other in others)}
        settings = ", ".join(f"{k.split('.')[-1]} {v}" for k, v in told.items())
        labels.append(f"{name}, {settings if len(told) <= 2 else folder}" if told else name)
    return labels


def table(groups: Sequence[Group], known: Sequence[Metric]) -> str:
    """The groups as aligned text, one a row, with ``*`` at the best of each column; ``known`` says
    how numbers are written.
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
    """Labels of the groups with the best mean; nobody's when all are equal or nothing is better."""
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
                k: {"mean": f.mean, "sd": f.sd, "values": list(f.values)}
                for k, f in group.metrics.items()
            },
        }
        for group in groups
    ]


def logged(groups: Sequence[Group], name: str) -> bool:
    """Whether every run's log has a scalar of that name."""
    return all(any(name in line for line in run.history) for group in groups for run in group.runs)


def require_logged(groups: Sequence[Group], flag: str, name: str) -> None:
    """Raise `MongeError` for the first run whose log lacks ``name``, with what it has instead."""
    for run in (run for group in groups for run in group.runs):
        known = {k for line in run.history for k, v in line.items() if _number(v)}
        if name not in known:
            advice = nearest(name, known) if known else "; its log is empty"
            raise MongeError(f"{flag} {name}: {run.folder.log} has no '{name}'{advice}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
