"""How a metric is written: the same number, title and decimals wherever it is shown."""

from __future__ import annotations

from math import inf, nan

import pytest

from monge.metrics import Measured, Metric
from monge.metrics.spec import flat, mean, sentence
from monge.training.compare import columns

W2 = Metric("w2_squared", "W2²", 2, "low", ratio="w2_ratio", table="W2²/floor")
MODES = Metric("modes", "modes", 1, "high", table="modes", beside=(("total", "of", 0),))
SHARE = Metric("share", "on modes", 1, "high", "%", 100, table="on modes, %")
MUSIC = Metric("score_silence_sample", "silence", 3, "low", stem="score_silence")


def test_keys_of_metrics_json() -> None:
    found = flat(
        {
            W2: Measured(3.0, 2.0),
            MODES: Measured(7, beside={"total": 8}),
            MUSIC: Measured(0.5, 0.1, {"midpoint": 0.2}),
        }
    )
    assert found == {
        "w2_squared": 3.0,
        "w2_squared_floor": 2.0,
        "w2_ratio": 1.5,
        "modes": 7,
        "modes_total": 8,
        "score_silence_sample": 0.5,
        "score_silence_floor": 0.1,
        "score_silence_midpoint": 0.2,
    }


def test_numbers_that_are_not_finite_are_left_out() -> None:
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
def test_sentences(metric: Metric, measured: Measured, text: str) -> None:
    assert sentence(metric, measured) == text


def test_means_over_draws() -> None:
    found = mean([Measured(1.0, 2.0, {"a": 0.0}), Measured(2.0, 4.0, {"a": 1.0})])
    assert found == Measured(1.5, 3.0, {"a": 0.5})
    assert mean([Measured(1.0), Measured(2.0)]) == Measured(1.5)


def test_columns_of_a_table() -> None:
    found = columns([W2, MODES, SHARE, MUSIC])
    assert [(c.key, c.title, c.better) for c in found] == [
        ("w2_ratio", "W2²/floor", "low"),
        ("modes", "modes", "high"),
        ("modes_total", "of", None),
        ("share", "on modes, %", "high"),
        ("cpu_minutes", "CPU-min", "low"),
    ]
