"""Metrics of an evaluator, as in metrics.json."""

from __future__ import annotations

from typing import Any

from monge.data import Dataset, Subject
from monge.metrics import EvalConfig, Evaluator
from monge.metrics.spec import flat


def measured(
    evaluator: Evaluator, method: Any, data: Dataset, config: EvalConfig | None = None
) -> dict[str, Any]:
    """Return the numbers that an evaluator measures, by key."""
    return flat(evaluator(Subject(method, data, config or EvalConfig())))
