"""Our optimal-transport solvers beside their peers: CPU seconds at equal accuracy.

`make bench` runs this.

    python -m benchmarks solvers [--quick | --large] [--only "monge;OTT"] [--cases "grid;warm"]
                                 [--threads 1] [--report]

Points, float32, from numpy's default_rng([n, d]): x ~ N(0, I); y ~ five Gaussians of standard
deviation 1/2 around centers drawn from N(0, I), moved by 1/2 in every coordinate; n = m, uniform
weights, cost |x − y|², ε a multiple of its mean.

Target: the worse of the two L1 marginal errors at most 1e-3 (5 % allowed), computed here in float64
from the plan or the potentials that the call returned, the same way for everyone. Each peer gets
the cheapest rung of its ladder that reaches it (`peers`), found outside the timed region. Timed:
value and gradient in x, CPU seconds, median, after compiling. Memory: peak resident size above the
inputs. Gradient error: relative L2, against Newton's method in float64, up to n = 1000.

A process per peer, on as many cores as threads. A call over 60 CPU seconds is killed, or not begun
if a smaller case shows that it would take longer. Results are merged into
benchmarks/results/solvers.json after every case: `--only monge` keeps those of the peers.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import importlib.metadata
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common.command import make_parser
from benchmarks.common.paths import DOCS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import Result, read_result, results_file, write_result
from benchmarks.solvers.cases import CASES, FLOOR, LARGE, QUICK, TARGET, Case
from benchmarks.solvers.figure import draw
from benchmarks.solvers.peers import PEERS, Peer
from benchmarks.solvers.peers.child import Child
from benchmarks.solvers.report import describe, report

VERSIONS = {
    "monge": "torch",
    "torch": "torch",
    "ot": "POT",
    "geomloss": "geomloss",
    "ott": "ott-jax",
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("solvers", __doc__)
    parser.add_argument("--quick", action="store_true", help="three cases, two minutes")
    parser.add_argument(
        "--large", action="store_true", help="n = 100,000 in linear memory, ours only"
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, print and draw what is there"
    )
    parser.add_argument("--only", default="", help="semicolon-separated beginnings of peers' names")
    parser.add_argument("--skip", default="", help="semicolon-separated beginnings of peers' names")
    parser.add_argument(
        "--cases", default="", help="semicolon-separated beginnings of cases; all by default"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--results",
        type=Path,
        default=results_file("solvers"),
        help="another file of results; its figure is drawn beside it",
    )
    args = parser.parse_args(argv)
    if not args.report:
        run_cases(args)
    table = load(args.results)["threads"].get(str(args.threads), {})
    report(table)
    if args.threads == 1:
        own = args.results == results_file("solvers")
        draw(table, DOCS / "solvers.png" if own else args.results.with_suffix(".png"))


def run_cases(args: argparse.Namespace) -> None:
    """Measure the chosen cases with the chosen peers."""
    origin = provenance()
    tasks, only, skip = (
        tuple(filter(None, text.split(";"))) for text in (args.cases, args.only, args.skip)
    )
    cases = QUICK if args.quick else LARGE if args.large else CASES
    cases = [case for case in cases if str(case).startswith(tasks or "")]
    with tempfile.TemporaryDirectory() as folder:
        truths = {case: Path(folder) / f"{i}.npz" for i, case in enumerate(cases)}
        child = Child("reference", args.threads)
        for case, truth in truths.items():
            if case.n <= 1000 and case.task.split()[0] in ("grid", "minibatch", "accuracy"):
                child.ask({"case": asdict(case), "truth": str(truth)})
        child.close()
        for peer in PEERS.values():
            if not peer.name.startswith(only or "") or (skip and peer.name.startswith(skip)):
                continue
            if not peer.installed:
                print(f"{peer.name}: {peer.package} is not installed")
                continue
            child = Child(peer.name, args.threads)
            for case in (case for case in cases if case.peers == peer.task):
                measured = load(args.results)["threads"].get(str(args.threads), {})
                row = run_case(child, case, truths[case], measured)
                store(args.results, peer, case, row, origin, args.threads)
                print(f"{case!s:38} {peer.name:38} {describe(row)}", flush=True)
            child.close()


def run_case(child: Child, case: Case, truth: Path, measured: Result) -> dict[str, Any]:
    """Measure one case, unless a smaller one shows that it would take too long.

    The smaller case also tells on which rung of the ladder to begin.
    """
    n, before = find_smaller(measured, case, child.name) or (case.n, {})
    expected = before.get("cpu_seconds", 0) * (case.n / n) ** 2
    if before.get("status") in ("over limit", "projected") or (
        before.get("status") == "reached" and expected > case.limit
    ):
        expected = max(expected, case.limit)
        return {
            "status": "projected",
            "cpu_seconds": expected,
            "why": f"from n={n}: at least {expected:.0f} s",
        }
    hint = before.get("setting")
    if child.name == FLOOR:
        hint = measured.get(str(case), {}).get("monge", {}).get("n_iter")
        if hint is None:
            return {"status": "missed", "why": "ours has not been measured"}
    return child.ask(
        {"case": asdict(case), "hint": hint, "expected": expected, "truth": str(truth)}
    )


def find_smaller(measured: Result, case: Case, name: str) -> tuple[int, dict[str, Any]] | None:
    """Return the largest smaller case of this kind that a peer has an answer for."""
    alike = [c for c in CASES if (c.task, c.d, c.epsilon) == (case.task, case.d, case.epsilon)]
    for other in sorted(alike, key=lambda c: -c.n):
        row = measured.get(str(other), {}).get(name)
        if other.n < case.n and row:
            return other.n, row
    return None


def load(path: Path) -> Result:
    result: Result = read_result(path, {"target": TARGET, "peers": {}, "threads": {}})
    return result


def store(
    path: Path, peer: Peer, case: Case, row: dict[str, Any], origin: dict[str, Any], threads: int
) -> None:
    """Merge one row into the file; two benchmarks may run at once."""
    library = VERSIONS[peer.package]
    packages = (library, "jax") if library == "ott-jax" else (library,)
    versions = {name: importlib.metadata.version(name) for name in packages}
    stamp = {
        "date": datetime.date.today().isoformat(),
        "commit": origin["commit"],
        "load": round(os.getloadavg()[0], 1),
    }
    with (Path(tempfile.gettempdir()) / "monge-solvers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = load(path)
        rows = result["threads"].setdefault(str(threads), {}).setdefault(str(case), {})
        rows[peer.name] = shorten(row) | stamp
        result["peers"][peer.name] = {
            "versions": origin["versions"] | versions,
            "machine": origin["machine"],
        }
        write_result(path, result, indent=1)


def shorten(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with four digits of each number, and None for what is not finite."""

    def short(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return float(f"{value:.4g}") if math.isfinite(value) else None

    return {key: short(value) for key, value in row.items()}
