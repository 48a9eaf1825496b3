"""What a metric is: one number with a name, a title and decimals, written the same way wherever it
is shown.

A `Metric` says how a number is called in ``metrics.json`` and how it is written everywhere else: on
the terminal, in a report, in the table of a comparison, in the README. `Measured` holds the number
itself beside its floor, which is what the same number of real samples reaches. An `Evaluator`
measures some metrics of a method on a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from statistics import mean as average
from typing import Any, Literal

from pydantic import Field

from monge.config import Frozen


class EvalConfig(Frozen):
    """How the result is measured."""

    samples: int = Field(2048, ge=16)
    """Samples for exact W2."""
    draws: int = Field(1, ge=1, le=32)
    """Independent draws over which exact W2 and its floor are averaged; for endless sources."""
    lenet_samples: int = Field(10_000, ge=100)
    """Samples for the LeNet's figures."""
    seed: int = Field(0, ge=0)
    """Seed of the samples."""


@dataclass(frozen=True)
class Metric:
    """The name of a number and the way it is written.

    ``key`` is its name in ``metrics.json``, ``title`` its name for people, and ``better`` the end
    that is better, if either. The number is shown times ``scale``, with ``decimals`` (four
    significant digits when None), and followed by its ``unit``; with ``"%"`` a share is shown as
    100 times itself. ``ratio`` is the key of the number over its floor, which tables then show in
    place of the number; ``stem`` is what the keys of floor and references begin with, where it is
    not ``key``.

    ``table`` is the head of its column in the table of a comparison; no column when None.
    ``beside`` are further columns: the reference of `Measured.beside` (or ``"floor"``), the head of
    its column, and its decimals. ``headline`` says whether it is the one number to write below a
    picture of samples, ``brief`` whether it is printed at the end of a run; reports show all.

    >>> share = Metric("share_within_3_sigma", "within 3σ", 1, "high", unit="%", scale=100)
    >>> share.text(0.987)
    '98.7 %'
    """

    key: str
    title: str
    decimals: int | None = None
    better: Literal["low", "high"] | None = None
    unit: str = ""
    scale: float = 1.0
    ratio: str | None = None
    stem: str | None = None
    table: str | None = None
    beside: tuple[tuple[str, str, int], ...] = ()
    headline: bool = False
    brief: bool = True

    def number(self, value: float) -> str:
        """The number as it is written in a table, without its unit."""
        shown = value * self.scale
        return f"{shown:.4g}" if self.decimals is None else f"{shown:.{self.decimals}f}"

    def text(self, value: Any) -> str:
        """The number with its unit; what is no number as it is."""
        if not isinstance(value, int | float):
            return str(value)
        plain = f"{value:.4g}" if self.ratio or isinstance(value, int) else self.number(value)
        return f"{plain} {self.unit}".rstrip()

    def suffixed(self, suffix: str) -> str:
        """Key of a number that stands beside this one."""
        return f"{self.stem or self.key}_{suffix}"


@dataclass(frozen=True)
class Measured:
    """A number, what real data reach, and what else it is to be compared with.

    >>> Measured(3.0, 2.0).ratio
    1.5
    """

    value: Any
    floor: float | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """``value`` over ``floor``; infinite without one: data that are all equal have none."""
        return self.value / self.floor if self.floor else inf


Measures = dict[Metric, Measured]


def mean(measured: Iterable[Measured]) -> Measured:
    """Values, floors and references averaged over draws.

    >>> mean([Measured(1.0, 2.0), Measured(3.0, 2.0)])
    Measured(value=2.0, floor=2.0, beside={})
    """
    draws = list(measured)
    floor = (
        None if draws[0].floor is None else average(m.floor for m in draws if m.floor is not None)
    )
    return Measured(
        average(m.value for m in draws),
        floor,
        {k: average(m.beside[k] for m in draws) for k in draws[0].beside},
    )


def flat(measures: Mapping[Metric, Measured]) -> dict[str, Any]:
    """What ``metrics.json`` holds: every number under its key.

    Those that are not finite are left out: JSON has no word for them.

    >>> flat({Metric("w2_squared", "W₂²", ratio="w2_ratio"): Measured(3.0, 2.0), Metric("m", "m"): Measured(float("nan"))})
    {'w2_squared': 3.0, 'w2_squared_floor': 2.0, 'w2_ratio': 1.5}
    """
    found = dict[str, Any]()
    for metric, measured in measures.items():
        found[metric.key] = measured.value
        if measured.floor is not None:
            found[metric.suffixed("floor")] = measured.floor
            if metric.ratio:
                found[metric.ratio] = measured.ratio
        found |= {metric.suffixed(name): value for name, value in measured.beside.items()}
    return finite(found)


def measures_of(stored: Mapping[str, Any], metrics: Iterable[Metric]) -> Measures:
    """Read numbers back from the content of ``metrics.json``, the inverse of `flat`.

    >>> metric = Metric("fid", "Fréchet")
    >>> measures_of({"fid": 20.0, "fid_floor": 2.5, "fid_gaussian": 150.0}, [metric])[metric]
    Measured(value=20.0, floor=2.5, beside={'gaussian': 150.0})
    """
    metrics = list(metrics)
    keys = {key for m in metrics for key in (m.key, m.ratio, m.suffixed("floor"))}
    measures: Measures = {}
    for metric in metrics:
        if metric.key in stored:
            stem = metric.suffixed("")
            beside = {
                key.removeprefix(stem): value
                for key, value in stored.items()
                if key.startswith(stem) and key not in keys
            }
            floor = stored.get(metric.suffixed("floor"))
            measures[metric] = Measured(stored[metric.key], floor, beside)
    return measures


def finite(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out NaN and infinity.

    >>> finite({"ratio": float("inf"), "value": 0.0, "name": "x"})
    {'value': 0.0, 'name': 'x'}
    """
    return {
        name: value
        for name, value in numbers.items()
        if not isinstance(value, float) or isfinite(value)
    }


def sentence(metric: Metric, measured: Measured) -> str:
    """One line for people: title, number, floor and references.

    >>> sentence(Metric("fid", "Fréchet", 1), Measured(20.0, 2.5, {"pixel_gaussian": 150.0}))
    'Fréchet: 20.0 (floor 2.5, pixel gaussian 150.0)'
    >>> sentence(Metric("w2", "W₂²", 2, ratio="w2_ratio"), Measured(0.03, 0.02))
    'W₂²: 0.03 = 1.50 × the floor of real data'
    """
    number, around = metric.text(measured.value), references(metric, measured)
    if metric.ratio and measured.floor:
        number += f" = {metric.number(measured.ratio)} × the floor of real data"
    elif metric.ratio and measured.floor == 0:
        number += ", where real data, all equal, reach 0"
    elif measured.floor is not None:
        around.insert(0, f"floor {metric.text(measured.floor)}")
    return f"{metric.title}: {number}" + (f" ({', '.join(around)})" if around else "")


def references(metric: Metric, measured: Measured) -> list[str]:
    """What stands beside the number, each with its name."""
    return [
        f"{name.replace('_', ' ')} {metric.text(value)}" for name, value in measured.beside.items()
    ]


When = Literal["end", "log"]


@dataclass(frozen=True)
class Evaluator:
    """Measures some metrics of a subject, a method on a data set; see `monge.data.Subject`.

    ``metrics`` are all that it may measure, in the order in which tables show them. ``measure``
    maps a subject to `Measures`, empty where the subject has nothing of the kind, ``when`` the run
    ends, or with every line of the log, which must be cheap.
    """

    metrics: tuple[Metric, ...]
    measure: Callable[[Any], Measures]
    when: tuple[When, ...] = ("end",)

    def __call__(self, subject: Any) -> Measures:
        return self.measure(subject)


def evaluator(
    *metrics: Metric, when: tuple[When, ...] = ("end",)
) -> Callable[[Callable[[Any], Measures]], Evaluator]:
    """Make an `Evaluator` of a function."""
    return lambda measure: Evaluator(metrics, measure, when)
