"""Measure one peer, in a process of its own.

``python -m benchmarks.solvers.peers.measure "OTT lse"`` reads jobs from stdin.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.cost import resident_mib
from benchmarks.solvers.cases import (
    FLOOR,
    LIMIT,
    MAX_GRADIENT_ERROR,
    SLACK,
    TARGET,
    VALUE_ERROR,
    Case,
)
from benchmarks.solvers.peers import PEERS, Answer, Peer

Points = np.ndarray[Any, np.dtype[Any]]


def points(n: int, d: int) -> tuple[Points, Points]:
    rng = np.random.default_rng([n, d])
    x = rng.standard_normal((n, d))
    centers = rng.standard_normal((5, d))
    y = centers[rng.integers(5, size=n)] + 0.5 * rng.standard_normal((n, d)) + 0.5
    return x.astype(np.float32), y.astype(np.float32)


def mean_cost(x: Points, y: Points) -> float:
    x, y = x.astype(float), y.astype(float)
    return float((x**2).sum(1).mean() + (y**2).sum(1).mean() - 2 * x.mean(0) @ y.mean(0))


def cost_rows(x: Points, y: Points, rows: int | None = None) -> Iterator[tuple[slice, Points]]:
    """Iterate over |x − y|² in float64, some rows at a time."""
    x, y = x.astype(float), y.astype(float)
    rows = rows or 10**7 // len(y)
    for i in range(0, len(x), rows):
        s = slice(i, i + rows)
        yield s, (x[s] ** 2).sum(1)[:, None] + (y**2).sum(1) - 2 * x[s] @ y.T


def marginal_error(coupling: Any, x: Points, y: Points, epsilon: float) -> float:
    n, m = len(x), len(y)
    if isinstance(coupling, tuple | list):
        f, g = (np.asarray(z, dtype=float) for z in coupling)
        row, column = np.empty(n), np.zeros(m)
        for s, C in cost_rows(x, y):
            P = np.exp((f[s, None] + g - C) / epsilon) / (n * m)
            row[s] = P.sum(1)
            column += P.sum(0)
    else:
        P = np.asarray(coupling)
        row, column = P.sum(1, dtype=float), P.sum(0, dtype=float)
    return float(max(abs(row - 1 / n).sum(), abs(column - 1 / m).sum()))


def newton(C: Points, epsilon: float) -> tuple[float, Points]:
    """Return value and plan in float64, by Newton's method on the semi-dual.

    ε is halved from the mean cost down to its value.
    """
    n, m = C.shape
    f, level = np.zeros(n), max(C.mean(), epsilon)

    def dual(f: Points, level: float) -> tuple[float, Points, Points]:
        shifted = (f[:, None] - C) / level
        top = shifted.max(0)
        P = np.exp(shifted - top)
        sums = P.sum(0)
        g = -level * (np.log(sums / n) + top)
        return float(f.mean() + g.mean()), P / (sums * m), g

    while True:
        value, P, _ = dual(f, level)
        for _ in range(100):
            r = P.sum(1)
            if abs(r - 1 / n).sum() < 1e-11:
                break
            H = np.diag(r + 1e-12 / n) - m * P @ P.T + 1 / n**2  # 1/n² takes out the constants
            step, size = level * np.linalg.solve(H, 1 / n - r), 1.0
            while size > 1e-10 and dual(f + size * step, level)[0] < value - 1e-13 * abs(value):
                size /= 2
            f = f + size * step
            value, P, _ = dual(f, level)
        if level == epsilon:
            return value, P
        level = max(level / 2, epsilon)


def reference(x: Points, y: Points, epsilon: float) -> tuple[float, Points]:
    (_, C), *_ = cost_rows(x, y, len(x))
    value, P = newton(C, epsilon)
    return value, 2 * (P.sum(1, keepdims=True) * x.astype(float) - P @ y.astype(float))


def timed(call: Callable[[], Answer], limit: float) -> tuple[float, Answer]:
    """Return the CPU seconds and the answer of one call.

    A limit on CPU time (setrlimit) would make Linux count CPU time in ticks of 4 ms. Therefore the
    alarm counts time by the clock.
    """
    signal.alarm(math.ceil(2 * limit))
    begin = time.process_time()
    answer = call()
    seconds = time.process_time() - begin
    signal.alarm(0)
    if seconds > limit:
        raise GaveUp("over limit", f"a call took {seconds:.0f} s")
    return seconds, answer


def with_memory(call: Callable[[], Answer], limit: float) -> tuple[float, float, Answer]:
    if not Path("/proc/self/clear_refs").exists():
        seconds, answer = timed(call, limit)
        return seconds, math.nan, answer
    ctypes.CDLL(None).malloc_trim(0)  # what an earlier call freed is not ours
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
    begin = resident_mib("VmRSS")
    seconds, answer = timed(call, limit)
    return seconds, resident_mib("VmHWM") - begin, answer


def cheapest(rungs: int, low: int, start: int, reaches: Callable[[int], bool]) -> int | None:
    """Return the lowest rung above ``low`` that reaches the target, if higher rungs are better.

    Gallops from ``start``, then bisects.
    """
    high, step = start, 1
    if reaches(start):
        while high - low > 1:
            probe = max(high - step, low + 1)
            if not reaches(probe):
                low = probe
                break
            high, step = probe, 2 * step
    else:
        while True:
            if high == rungs - 1:
                return None
            low, high, step = high, min(high + step, rungs - 1), 2 * step
            if reaches(high):
                break
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


class GaveUp(Exception):
    """A peer cannot reach the target; the arguments are status and reason."""


def measure(peer: Peer, case: Case, hint: Any, expected: float, truth: Path) -> dict[str, Any]:
    """Return the row of a peer: the cheapest setting that reaches the target, and its time."""
    x, y = points(case.n, case.d)
    # The scale of a task without ε is the length of a Gaussian kernel; Gromov-Wasserstein's costs
    # have mean one.
    scale = case.epsilon * (1.0 if case.task == "gromov" else mean_cost(x, y)) or case.d**0.5
    ladder = (hint,) if peer.name == FLOOR else peer.ladder
    seen: dict[int, dict[str, Any]] = {}
    calls: dict[int, Callable[[], Answer]] = {}

    def reaches(i: int) -> bool:
        if i not in seen:
            promising(ladder, seen, i)
            calls[i] = peer.make(x, y, scale, ladder[i])
            seconds, peak, answer = with_memory(calls[i], case.limit)
            seen[i] = {
                "cpu_seconds": seconds,
                "peak_mib": peak,
                "setting": ladder[i],
                "value": float(answer.value),
            }
            seen[i] |= errors(case, answer, x if answer.x is None else answer.x, y, scale, truth)
            seen[i] |= answer.note | answer.later()
        return good(case, seen[i])

    if hint in ladder:
        start = ladder.index(hint)
    else:
        start = 0 if peer.package == "monge" else min(10, len(ladder) // 3)
    # where a call is long, not below what a smaller case needed
    low = start - 1 if expected > 10 else -1
    try:
        best = cheapest(len(ladder), low, start, reaches)
    except GaveUp as why:
        return closest(seen) | dict(zip(("status", "why"), why.args, strict=True))
    if best is None:
        return closest(seen) | {"status": "missed", "why": "end of its ladder"}
    row = seen[best]
    if row["cpu_seconds"] < 3:
        times: list[float] = []
        while len(times) < 3 or (sum(times) < 1 and len(times) < 50):
            times.append(timed(calls[best], case.limit)[0])
        row["cpu_seconds"] = statistics.median(times)
    return row | {"status": "reached"}


def closest(seen: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the row with the least marginal error of those that were tried."""

    def order(row: dict[str, Any]) -> tuple[bool, float]:
        error = row.get("marginal_error", math.inf)
        return math.isnan(error), error

    return min(seen.values(), key=order, default={})


def errors(
    case: Case, answer: Answer, x: Points, y: Points, epsilon: float, truth: Path
) -> dict[str, float]:
    """Return the errors of an answer that can be computed."""
    result: dict[str, float] = {}
    if case.task == "large":
        # 10¹⁰ pairs in numpy would take hours: only here our own error is taken
        result["marginal_error"] = answer.note["claimed_error"]
    elif answer.coupling is not None:
        result["marginal_error"] = marginal_error(answer.coupling(), x, y, epsilon)
    if truth.is_file() and answer.gradient is not None:
        right, gradient = np.load(truth), np.asarray(answer.gradient, dtype=float)
        result["gradient_error"] = float(
            np.linalg.norm(gradient - right["gradient"]) / np.linalg.norm(right["gradient"])
        )
        if case.task.startswith("accuracy"):  # elsewhere the values differ by convention
            result["value_error"] = float(abs(answer.value / right["value"] - 1))
    return result


def good(case: Case, row: dict[str, Any]) -> bool:
    if case.task.startswith("accuracy"):
        bound = VALUE_ERROR[case.task.split()[1]]
        return math.isfinite(row["value"]) and (row["value_error"] <= bound or not row["converged"])
    error = row.get("marginal_error", 0.0)
    if not math.isfinite(error):
        raise GaveUp("missed", "not a number")
    if error <= TARGET * SLACK and row.get("gradient_error", 0) > MAX_GRADIENT_ERROR:
        raise GaveUp("missed", "the marginals are right, the gradient is not")
    return error <= TARGET * SLACK


def promising(ladder: tuple[Any, ...], seen: dict[int, dict[str, Any]], i: int) -> None:
    """Give up a rung that will take too long, or after two that have the same error.

    Time is taken to be proportional to the number of iterations.
    """
    if isinstance(ladder[i], int) and seen and i > max(seen):
        *before, last = (seen[j] for j in sorted(seen))
        expected = last["cpu_seconds"] * ladder[i] / last["setting"]
        if expected > LIMIT:
            raise GaveUp("over limit", f"{expected:.0f} s expected with {ladder[i]} iterations")
        shorter = [row for row in before if 1.3 * row["setting"] < last["setting"]]
        if (
            last["setting"] > 100
            and shorter
            and last["marginal_error"] > 0.9 * shorter[-1]["marginal_error"]
        ):
            raise GaveUp("missed", f"stalls at {last['setting']} iterations")


def work(name: str) -> None:
    """Read jobs from stdin and write rows to stdout, both as lines of JSON."""
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not a reply
    for line in sys.stdin:
        job = json.loads(line)
        case, truth = Case(**job["case"]), Path(job["truth"])
        row: dict[str, Any] = {}
        if name == "reference":
            x, y = points(case.n, case.d)
            value, gradient = reference(x, y, case.epsilon * mean_cost(x, y))
            np.savez(truth, value=value, gradient=gradient)
        else:
            try:
                row = measure(PEERS[case.peers, name], case, job["hint"], job["expected"], truth)
            except Exception as error:  # whatever a library raises is its result
                row = {
                    "status": "failed",
                    "why": f"{type(error).__name__}: {error}".splitlines()[0][:200],
                }
        print(json.dumps(row), file=replies, flush=True)


if __name__ == "__main__":
    work(sys.argv[1])
