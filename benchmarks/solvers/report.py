"""The report of the solvers in the terminal: ours beside each peer, and beside the targets."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.solvers.cases import CASES, FLOOR, LARGE, LIMIT, VALUE_ERROR, Case
from benchmarks.solvers.peers import PEERS, Peer

Table = dict[str, dict[str, dict[str, Any]]]  # case, peer, metrics
LIBRARIES = {"ot": "POT", "geomloss": "GeomLoss", "ott": "OTT-JAX"}
ERRORS = ("marginal_error", "gradient_error", "value_error")


def report(table: Table) -> None:
    """Print everything that was measured."""
    for task in ("grid", "minibatch"):
        report_speed(task, table)
    report_warm(table)
    for case in [*CASES, *LARGE]:
        if case.peers not in ("sinkhorn", "warm"):
            for name, row in table.get(str(case), {}).items():
                print(f"{case!s:38} {name:28} {describe(row)}{compare_with_target(case, row)}")


def describe(row: dict[str, Any]) -> str:
    """Return a measurement in one line."""
    accuracy = "".join(
        f", {key.replace('_', ' ')} {row[key]:.1e}" for key in ERRORS if row.get(key) is not None
    )
    if row["status"] != "reached":
        return f"{row['status']}: {row['why']}{accuracy}"
    extra = "".join(f", {key} {row[key]:.4g}" for key in ("n_iter", "chi2") if key in row)
    return (
        f"{1e3 * row['cpu_seconds']:.4g} ms, {row['peak_mib'] or 0:.0f} MiB{accuracy}{extra}, "
        f"setting {row['setting']}"
    )


def report_speed(task: str, table: Table) -> None:
    """Print ours beside the fastest peer of each case, and beside each peer on all of them."""
    print(f"\n{'case':30} {'monge':>9} {'fastest peer':>12}  {'':45} {'ratio':>6} {'× floor':>8}")
    every: list[float] = []
    alone: list[float] = []  # over peers that stop by themselves
    for case in (case for case in CASES if case.task == task):
        rows = table.get(str(case), {})
        ours = seconds_of(rows, "monge")
        timed = [(s, p) for p in compared_peers() if (s := seconds_of(rows, p.name))]
        best, name = min(((s, p.name) for s, p in timed), default=(math.nan, "none"))
        best_alone = min((s for s, p in timed if p.stops_itself), default=None)
        if ours and timed:
            every.append(best / ours)
        if ours and best_alone:
            alone.append(best_alone / ours)
        time = f"{1e3 * ours:6.3g} ms" if ours else "missed" if "monge" in rows else ""
        end = ""
        if ours:
            end = f"{best / ours:6.2f} {ours / (seconds_of(rows, FLOOR) or math.nan):8.1f}"
        print(f"{case!s:30} {time:>9} {1e3 * best:9.3g} ms  {name:45} {end}")
    if not every:
        return
    report_ratios("of any setting", every)
    if alone:
        report_ratios("that stops by itself", alone)
    for peer in compared_peers():
        report_peer(peer, [table[str(c)] for c in CASES if c.task == task and str(c) in table])


def report_ratios(which: str, ratios: list[float]) -> None:
    slower = sum(ratio < 1 for ratio in ratios)
    mean = geometric_mean(ratios)
    print(
        f"fastest peer {which}: ours is slower in {slower} of {len(ratios)} cases; target 0: "
        f"{verdict(not slower)}; geometric mean of the ratios {mean:.2f}; target 4: "
        f"{verdict(mean >= 4)}"
    )


def report_peer(peer: Peer, cases: list[dict[str, dict[str, Any]]]) -> None:
    """Print the mean ratio of one peer; a call that was killed counts with its limit."""
    pairs = [
        (rows["monge"], rows[peer.name])
        for rows in cases
        if seconds_of(rows, "monge") and peer.name in rows
    ]
    timed = [b["cpu_seconds"] / a["cpu_seconds"] for a, b in pairs if b["status"] == "reached"]
    bounds = [
        max(b.get("cpu_seconds", 0), LIMIT) / a["cpu_seconds"]
        for a, b in pairs
        if b["status"] in ("over limit", "projected")
    ]
    if timed:
        mean = geometric_mean(timed + bounds)
        missed = len(pairs) - len(timed) - len(bounds)
        print(
            f"  over {peer.name:47} {mean:6.2f} (measured {len(timed)}, bounded {len(bounds)}, "
            f"missed the accuracy {missed}); target 8: {verdict(mean >= 8)}"
        )


def report_warm(table: Table) -> None:
    """Print what a warm start saves."""
    print()
    ratios = []
    for case in (case for case in CASES if case.task == "warm"):
        hot = seconds_of(table.get(str(case), {}), "monge, warm start")
        cold = seconds_of(table.get(str(case).replace("warm", "minibatch"), {}), "monge")
        if hot and cold:
            ratios.append(cold / hot)
            print(
                f"{case!s:30} {1e3 * hot:6.3g} ms, cold {1e3 * cold:6.3g} ms, ratio "
                f"{cold / hot:5.2f}: {verdict(cold >= 3 * hot)}"
            )
    if ratios:
        print(
            f"warm over cold, geometric mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f};"
            f" target 3: {verdict(min(ratios) >= 3)}\n"
        )


def compare_with_target(case: Case, row: dict[str, Any]) -> str:
    reached = row["status"] == "reached"
    if case.task == "large":
        return f"; target 1024 MiB: {verdict(reached and row['peak_mib'] <= 1024)}"
    if case.task.startswith("accuracy"):
        bound = VALUE_ERROR[case.task.split()[1]]
        return f"; converged {row.get('converged')}; target {bound:g}: {verdict(reached)}"
    return f", value {row['value']:.5g}" if row.get("value") is not None else ""


def compared_peers() -> list[Peer]:
    return [p for p in PEERS.values() if p.task == "sinkhorn" and p.package in LIBRARIES]


def seconds_of(rows: dict[str, dict[str, Any]], name: str) -> float | None:
    """Return the CPU seconds of a peer, or None if it has not reached the accuracy."""
    row = rows.get(name, {})
    return row["cpu_seconds"] if row.get("status") == "reached" else None


def geometric_mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def verdict(good: bool) -> str:
    return "reached" if good else "MISSED"
