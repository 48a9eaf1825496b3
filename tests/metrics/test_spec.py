"""Keys and formats of metrics."""

from __future__ import annotations

from math import inf, nan

import pytest

from monge.metrics import Measured, Metric
from monge.metrics.spec import flat, mean, sentence

W2 = Metric("w2_squared", "W2²", 2, "low", ratio="w2_ratio", table="W2²/floor")
MODES = Metric("modes", "modes", 1, "high", table="modes", beside=(("total", "of", 0),))
SHARE = Metric("share", "on modes", 1, "high", "%", 100, table="on modes, %")
MUSIC = Metric("score_silence_sample", "silence", 3, "low", stem="score_silence")


def test_flat_has_the_keys_of_values_floors_and_references() -> None:
    numbers = flat(
        {
            W2: Measured(3.0, 2.0),
            MODES: Measured(7, beside={"total": 8}),
            MUSIC: Measured(0.5, 0.1, {"midpoint": 0.2}),
        }
    )
    assert numbers == {
        "w2_squared": 3.0,
        "w2_squared_floor": 2.0,
        "w2_ratio": 1.5,
        "modes": 7,
        "modes_total": 8,
        "score_silence_sample": 0.5,
        "score_silence_floor": 0.1,
        "score_silence_midpoint": 0.2,
    }


def test_flat_omits_numbers_that_are_not_finite() -> None:
    assert flat({W2: Measured(3.0, 0.0), SHARE: Measured(nan), MUSIC: Measured(inf, nan)}) == {
        "w2_squared": 3.0,
        "w2_squared_floor": 0.0,
    }


@pytest.mark.parametrize(
    ("metric", "measured", "text"),
    [
        (W2, Measured(0.03125, 0.025), "W2²: 0.03125 = 1.25 × the floor of real data"),
        (W2, Measured(0.03125, 0.0), "W2²: 0.03125, where real data, all equal, reach 0"),
        (MODES, Measured(7, beside={"total": 8}), "modes: 7 (total 8)"),
        (SHARE, Measured(0.9876), "on modes: 98.8 %"),
        (
            MUSIC,
            Measured(0.5, 0.1, {"cross_fade": 0.25}),
            "silence: 0.500 (floor 0.100, cross fade 0.250)",
        ),
        (Metric("digest", "sha256"), Measured("abc"), "sha256: abc"),
    ],
)
def test_sentence_shows_value_floor_and_references(
    metric: Metric, measured: Measured, text: str
) -> None:
    assert sentence(metric, measured) == text


def test_mean_averages_values_floors_and_references() -> None:
    average = mean([Measured(1.0, 2.0, {"a": 0.0}), Measured(2.0, 4.0, {"a": 1.0})])
    assert average == Measured(1.5, 3.0, {"a": 0.5})
    assert mean([Measured(1.0), Measured(2.0)]) == Measured(1.5)
