"""Metrics: their names, their format, and the evaluators that measure them.

A `Metric` holds the key of a number in ``metrics.json`` and its format on the terminal, in reports,
in the table of a comparison and in the README. `Measured` holds the number itself and its floor,
which is the value that the same number of real samples reaches. An `Evaluator` measures some
metrics of a method on a data set.
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
    """How a run is evaluated."""

    samples: int = Field(2048, ge=16)
    """Samples for the exact W2."""
    draws: int = Field(1, ge=1, le=32)
    """Independent draws over which the exact W2 and its floor are averaged; for infinite data."""
    lenet_samples: int = Field(10_000, ge=100)
    """Samples for the metrics of the LeNet."""
    seed: int = Field(0, ge=0)
    """Seed of the samples."""


@dataclass(frozen=True)
class Metric:
    """The name and the format of a number.

    ``key`` is its name in ``metrics.json``, ``title`` its name in texts, and ``better`` says
    whether low or high values are better, if either. The number is shown multiplied by ``scale``,
    with ``decimals`` (four significant digits if None), followed by its ``unit``. ``ratio`` is the
    key of the number divided by its floor, which tables then show in place of the number. ``stem``
    is the prefix of the keys of floor and references; by default it is ``key``.

    ``table`` is the title of its column in the table of a comparison; no column if None. ``beside``
    are further columns: the name of a reference in `Measured.beside` (or ``"floor"``), the title of
    its column, and its decimals. ``headline`` says whether the number is written below a picture of
    samples, ``brief`` whether it is printed at the end of a run; reports show all.

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
        """Format the number for a table, without its unit."""
        shown = value * self.scale
        return f"{shown:.4g}" if self.decimals is None else f"{shown:.{self.decimals}f}"

    def text(self, value: Any) -> str:
        """Format the number with its unit; other values are converted to a string."""
        if not isinstance(value, int | float):
            return str(value)
        plain = f"{value:.4g}" if self.ratio or isinstance(value, int) else self.number(value)
        return f"{plain} {self.unit}".rstrip()

    def suffixed(self, suffix: str) -> str:
        """Return the key of the floor or of a reference of this metric."""
        return f"{self.stem or self.key}_{suffix}"


@dataclass(frozen=True)
class Measured:
    """A number, the floor that real data reach, and named references to compare it with.

    >>> Measured(3.0, 2.0).ratio
    1.5
    """

    value: Any
    floor: float | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """``value`` divided by ``floor``; infinite if the floor is None or 0."""
        return self.value / self.floor if self.floor else inf


Measures = dict[Metric, Measured]


def mean(measured: Iterable[Measured]) -> Measured:
    """Average values, floors and references over draws.

    >>> mean([Measured(1.0, 2.0), Measured(3.0, 2.0)])
    Measured(value=2.0, floor=2.0, beside={})
    """
    draws = list(measured)
    floors = [m.floor for m in draws if m.floor is not None]
    return Measured(
        average(m.value for m in draws),
        average(floors) if floors else None,
        {name: average(m.beside[name] for m in draws) for name in draws[0].beside},
    )


def flat(measures: Mapping[Metric, Measured]) -> dict[str, Any]:
    """Return the content of ``metrics.json``: every number under its key.

    Numbers that are not finite are left out, because JSON cannot represent them.

    >>> w2 = Metric("w2_squared", "W₂²", ratio="w2_ratio")
    >>> flat({w2: Measured(3.0, 2.0), Metric("m", "m"): Measured(float("nan"))})
    {'w2_squared': 3.0, 'w2_squared_floor': 2.0, 'w2_ratio': 1.5}
    """
    numbers = dict[str, Any]()
    for metric, measured in measures.items():
        numbers[metric.key] = measured.value
        if measured.floor is not None:
            numbers[metric.suffixed("floor")] = measured.floor
            if metric.ratio:
                numbers[metric.ratio] = measured.ratio
        numbers |= {metric.suffixed(name): value for name, value in measured.beside.items()}
    return finite(numbers)


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
    """Return numbers without NaN and infinity.

    >>> finite({"ratio": float("inf"), "value": 0.0, "name": "x"})
    {'value': 0.0, 'name': 'x'}
    """
    return {
        name: value
        for name, value in numbers.items()
        if not isinstance(value, float) or isfinite(value)
    }


def sentence(metric: Metric, measured: Measured) -> str:
    """Return one line of text with title, number, floor and references.

    >>> sentence(Metric("fid", "Fréchet", 1), Measured(20.0, 2.5, {"pixel_gaussian": 150.0}))
    'Fréchet: 20.0 (floor 2.5, pixel gaussian 150.0)'
    >>> sentence(Metric("w2", "W₂²", 2, ratio="w2_ratio"), Measured(0.03, 0.02))
    'W₂²: 0.03 = 1.50 × the floor of real data'
    """
    number, parts = metric.text(measured.value), references(metric, measured)
    if metric.ratio and measured.floor:
        number += f" = {metric.number(measured.ratio)} × the floor of real data"
    elif metric.ratio and measured.floor == 0:
        number += ", where real data, all equal, reach 0"
    elif measured.floor is not None:
        parts.insert(0, f"floor {metric.text(measured.floor)}")
    return f"{metric.title}: {number}" + (f" ({', '.join(parts)})" if parts else "")


def references(metric: Metric, measured: Measured) -> list[str]:
    """Return the text of each reference, with its name."""
    return [
        f"{name.replace('_', ' ')} {metric.text(value)}" for name, value in measured.beside.items()
    ]


When = Literal["end", "log"]


@dataclass(frozen=True)
class Evaluator:
    """A function that measures some metrics of a method on a data set, see `monge.data.Subject`.

    ``metrics`` are all metrics that it can measure, in the order of the columns of tables.
    ``measure`` maps a subject to `Measures`, which are empty if no metric applies. ``when`` says
    whether it is called at the end of a run, or with every line of the log; the latter must be
    cheap.
    """

    metrics: tuple[Metric, ...]
    measure: Callable[[Any], Measures]
    when: tuple[When, ...] = ("end",)

    def __call__(self, subject: Any) -> Measures:
        return self.measure(subject)


def evaluator(
    *metrics: Metric, when: tuple[When, ...] = ("end",)
) -> Callable[[Callable[[Any], Measures]], Evaluator]:
    """Decorate a function of a subject to make it an `Evaluator`."""
    return lambda measure: Evaluator(metrics, measure, when)
