"""Our optimal-transport solvers beside their peers: CPU seconds at equal accuracy.

`make bench` runs this.

    python benchmarks/solvers.py [--quick | --large] [--only "monge;OTT"] [--cases "grid;warm"]
    [--threads 1] [--report]

Points, float32, from numpy's default_rng([n, d]): x ~ N(0, I); y ~ five Gaussians of standard
deviation 1/2 around centers drawn from N(0, I), moved by 1/2 in every coordinate; n = m, uniform
weights, cost |x − y|², ε a multiple of its mean.

Target: the worse of the two L1 marginal errors at most 1e-3 (5 % allowed), computed here in float64
from the plan or the potentials that the call returned, the same way for everyone. Each peer gets
the cheapest rung of its ladder that reaches it (`peers`), found outside the timed region. Timed:
value and gradient in x, CPU seconds, median, after compiling. Memory: peak resident size above the
inputs. Gradient error: relative L2, against Newton's method in float64, up to n = 1000.

A process per peer, on as many cores as threads; a call over 60 CPU seconds is killed, or not begun
when a smaller case says so. Results are merged into benchmarks/results/solvers.json after every
case: `--only monge` keeps the peers' figures.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import importlib.metadata
import json
import math
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers import PEERS, Peer
from peers.child import Child
from peers.measure import FLOOR, LIMIT, TARGET, VALUE_ERROR, Case
from reproduce import RESULTS, surroundings

OUT = RESULTS / "solvers.json"
FIGURE = RESULTS.parent.parent / "docs" / "solvers.png"
ERRORS = ("marginal_error", "gradient_error", "value_error")
VERSIONS = {
    "monge": "torch",
    "torch": "torch",
    "ot": "POT",
    "geomloss": "geomloss",
    "ott": "ott-jax",
}
CASES = [
    *(
        Case("grid", n, d, e)
        for n in (256, 1000, 4000, 10_000)
        for d in (2, 64, 512)
        for e in (0.1, 0.01)
    ),
    *(Case("minibatch", n, d, 0.05) for n in (64, 128, 256, 512) for d in (64, 512, 4096)),
    *(Case("warm", n, d, 0.05, "warm") for n in (64, 128, 256, 512) for d in (64, 512, 4096)),
    *(
        Case(f"accuracy {t}", 256, d, e, f"accuracy {t}")
        for t in VALUE_ERROR
        for d in (2, 64)
        for e in (1e-3, 1e-4, 1e-5)
    ),
    Case("gromov", 1000, 8, 0.05, "gromov"),
    Case("sliced", 100_000, 64, 0.0, "sliced"),
    Case("mmd", 10_000, 64, 0.0, "mmd"),
    Case("energy", 10_000, 64, 0.0, "energy"),
    Case("semidiscrete", 10_000, 784, 0.0, "semidiscrete"),
]
QUICK = [
    case
    for case in CASES
    if case.task in ("grid", "minibatch") and case.n in (128, 256) and case.d == 64
]
LARGE = [Case("large", 100_000, 64, 0.1, "large", 3600.0)]


def smaller(found: dict[str, Any], case: Case, name: str) -> tuple[int, dict[str, Any]] | None:
    """The largest smaller case of this kind that this peer has an answer for."""
    for other in sorted(
        (c for c in CASES if (c.task, c.d, c.epsilon) == (case.task, case.d, case.epsilon)),
        key=lambda c: -c.n,
    ):
        row = found.get(str(other), {}).get(name)
        if other.n < case.n and row:
            return other.n, row
    return None


def one(child: Child, case: Case, truth: Path) -> dict[str, Any]:
    """Measure, unless a smaller case says that it would take too long; that case also says on which
    rung to begin.
    """
    found = load()["threads"].get(str(child.threads), {})
    n, before = smaller(found, case, child.name) or (case.n, {})
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
        hint = found.get(str(case), {}).get("monge", {}).get("n_iter")
        if hint is None:
            return {"status": "missed", "why": "ours has not been measured"}
    return child.ask(
        {"case": asdict(case), "hint": hint, "expected": expected, "truth": str(truth)}
    )


def load() -> dict[str, Any]:
    return (
        json.loads(OUT.read_text())
        if OUT.is_file()
        else {"target": TARGET, "peers": {}, "threads": {}}
    )


def store(
    peer: Peer, case: Case, row: dict[str, Any], around: dict[str, Any], threads: int
) -> None:
    """Merge one row; two benches may run at once."""
    with (Path(tempfile.gettempdir()) / "monge-solvers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = load()
        stamp = {
            "date": datetime.date.today().isoformat(),
            "commit": around["commit"],
            "load": round(os.getloadavg()[0], 1),
        }
        found["threads"].setdefault(str(threads), {}).setdefault(str(case), {})[peer.name] = (
            tidy(row) | stamp
        )
        library = VERSIONS[peer.package]
        versions = {
            name: importlib.metadata.version(name)
            for name in (library, *(("jax",) if library == "ott-jax" else ()))
        }
        found["peers"][peer.name] = {
            "versions": around["versions"] | versions,
            "machine": around["machine"],
        }
        new = OUT.with_suffix(".tmp")
        new.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        new.replace(OUT)


def tidy(row: dict[str, Any]) -> dict[str, Any]:
    short = {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in row.items()
    }
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in short.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    args = parser.parse_args()
    if not args.report:
        bench(args)
    found = load()["threads"].get(str(args.threads), {})
    report(found)
    if args.threads == 1:
        draw(found)


def bench(args: argparse.Namespace) -> None:
    around = surroundings()
    tasks, only, skip = (
        tuple(filter(None, text.split(";"))) for text in (args.cases, args.only, args.skip)
    )
    chosen = [
        case
        for case in (QUICK if args.quick else LARGE if args.large else CASES)
        if str(case).startswith(tasks or "")
    ]
    with tempfile.TemporaryDirectory() as folder:
        truths = {case: Path(folder) / f"{i}.npz" for i, case in enumerate(chosen)}
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
            for case in (case for case in chosen if case.peers == peer.task):
                row = one(child, case, truths[case])
                store(peer, case, row, around, args.threads)
                print(f"{case!s:38} {peer.name:38} {shown(row)}", flush=True)
            child.close()


def shown(row: dict[str, Any]) -> str:
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


# --- the report

Table = dict[str, dict[str, dict[str, Any]]]  # case, peer, figures
COLORS = {"ot": "tab:orange", "geomloss": "tab:green", "ott": "tab:blue"}
LIBRARIES = {"ot": "POT", "geomloss": "GeomLoss", "ott": "OTT-JAX"}


def report(found: Table) -> None:
    for task in ("grid", "minibatch"):
        speed(task, found)
    warm(found)
    for case in [*CASES, *LARGE]:
        if case.peers not in ("sinkhorn", "warm"):
            for name, row in found.get(str(case), {}).items():
                print(f"{case!s:38} {name:28} {shown(row)}{limit(case, row)}")


def speed(task: str, found: Table) -> None:
    """Ours beside the fastest peer of each case, and beside each peer on all of them."""
    print(f"\n{'case':30} {'monge':>9} {'fastest peer':>12}  {'':45} {'ratio':>6} {'× floor':>8}")
    # over any setting, over those that stop by themselves
    ratios: dict[bool, list[float]] = {
        False: [],
        True: [],
    }
    for case in (case for case in CASES if case.task == task):
        rows = found.get(str(case), {})
        ours = reached(rows, "monge")
        for alone in ratios:
            others = [
                (s, p.name)
                for p in peers()
                if (p.stops_itself or not alone) and (s := reached(rows, p.name))
            ]
            best, name = min(others, default=(math.nan, "none"))
            if ours and others:
                ratios[alone].append(best / ours)
            if not alone:
                time = f"{1e3 * ours:6.3g} ms" if ours else "missed" if "monge" in rows else ""
                end = (
                    f"{best / ours:6.2f} {ours / (reached(rows, FLOOR) or math.nan):8.1f}"
                    if ours
                    else ""
                )
                print(f"{case!s:30} {time:>9} {1e3 * best:9.3g} ms  {name:45} {end}")
    if not ratios[False]:
        return
    for alone, found_ratios in ratios.items():
        slower = sum(ratio < 1 for ratio in found_ratios)
        print(
            f"fastest peer {'that stops by itself' if alone else 'of any setting'}: ours is slower "
            f"in {slower} of "
            f"{len(found_ratios)} cases; target 0: {verdict(not slower)}; geometric mean of the "
            "ratios "
            f"{mean(found_ratios):.2f}; target 4: {verdict(mean(found_ratios) >= 4)}"
        )
    for p in peers():
        pairs = [
            (rows["monge"], rows[p.name])
            for rows in of(task, found)
            if reached(rows, "monge") and p.name in rows
        ]
        timed = [b["cpu_seconds"] / a["cpu_seconds"] for a, b in pairs if b["status"] == "reached"]
        bounds = [
            max(b.get("cpu_seconds", 0), LIMIT) / a["cpu_seconds"]
            for a, b in pairs
            if b["status"] in ("over limit", "projected")
        ]
        if timed:
            all_of_them = mean(timed + bounds)
            missed = len(pairs) - len(timed) - len(bounds)
            print(
                f"  over {p.name:47} {all_of_them:6.2f} (measured {len(timed)}, bounded "
                f"{len(bounds)}, "
                f"missed the accuracy {missed}); target 8: {verdict(all_of_them >= 8)}"
            )


def warm(found: Table) -> None:
    print()
    ratios = []
    for case in (case for case in CASES if case.task == "warm"):
        hot = reached(found.get(str(case), {}), "monge, warm start")
        cold = reached(found.get(str(case).replace("warm", "minibatch"), {}), "monge")
        if hot and cold:
            ratios.append(cold / hot)
            print(
                f"{case!s:30} {1e3 * hot:6.3g} ms, cold {1e3 * cold:6.3g} ms, ratio "
                f"{cold / hot:5.2f}: {verdict(cold >= 3 * hot)}"
            )
    if ratios:
        print(
            f"warm over cold, geometric mean {mean(ratios):.2f}, least {min(ratios):.2f}; target "
            f"3: {verdict(min(ratios) >= 3)}\n"
        )


def limit(case: Case, row: dict[str, Any]) -> str:
    if case.task == "large":
        return (
            f"; target 1024 MiB: {verdict(row['status'] == 'reached' and row['peak_mib'] <= 1024)}"
        )
    if case.task.startswith("accuracy"):
        bound = VALUE_ERROR[case.task.split()[1]]
        return (
            f"; converged {row.get('converged')}; target {bound:g}: "
            f"{verdict(row['status'] == 'reached')}"
        )
    return f", value {row['value']:.5g}" if row.get("value") is not None else ""


def peers() -> list[Peer]:
    return [p for p in PEERS.values() if p.task == "sinkhorn" and p.package in LIBRARIES]


def of(task: str, found: Table) -> list[dict[str, dict[str, Any]]]:
    return [found[str(case)] for case in CASES if case.task == task and str(case) in found]


def reached(rows: dict[str, dict[str, Any]], name: str) -> float | None:
    row = rows.get(name, {})
    return row["cpu_seconds"] if row.get("status") == "reached" else None


def mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def verdict(good: bool) -> str:
    return "reached" if good else "MISSED"


def draw(found: Table) -> None:
    """CPU seconds against n: a panel for each d and ε."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grid = [case for case in CASES if case.task == "grid"]
    ds = sorted({case.d for case in grid})
    epsilons = sorted({case.epsilon for case in grid}, reverse=True)
    figure, axes = plt.subplots(
        len(epsilons), len(ds), figsize=(10, 6), sharex=True, sharey=True, layout="constrained"
    )
    for i, epsilon in enumerate(epsilons):
        for j, d in enumerate(ds):
            cases = [case for case in grid if (case.d, case.epsilon) == (d, epsilon)]
            ax = axes[i, j]

            def line(name: str, cases: list[Case] = cases, ax: Any = ax, **style: Any) -> None:
                pairs = [(case.n, reached(found.get(str(case), {}), name)) for case in cases]
                pairs = [pair for pair in pairs if pair[1]]
                if pairs:
                    ax.plot(*zip(*pairs, strict=True), **style)

            for p in peers():
                line(
                    p.name,
                    color=COLORS[p.package],
                    marker=".",
                    lw=1,
                    ls="-" if p.stops_itself else "--",
                    alpha=0.6,
                )
            line(FLOOR, color="black", ls=":", lw=1)
            line("monge", color="black", marker="o", ms=4, lw=2)
            ax.set(xscale="log", yscale="log", title=f"d = {d}, ε = {epsilon:g} × mean cost")
            ax.set_xticks([case.n for case in cases], [f"{case.n:,}" for case in cases], fontsize=8)
            ax.minorticks_off()
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
            if not j:
                ax.set_ylabel("CPU seconds, one thread")
            if i:
                ax.set_xlabel("points on each side")
    handles = [plt.Line2D([], [], color="black", marker="o", ms=4, lw=2, label="monge")]
    shown_libraries = {
        p.package
        for p in peers()
        if any(reached(found.get(str(case), {}), p.name) for case in grid)
    }
    handles += [
        plt.Line2D([], [], color=COLORS[key], marker=".", lw=1, label=LIBRARIES[key])
        for key in COLORS
        if key in shown_libraries
    ]
    handles += [
        plt.Line2D(
            [], [], color="gray", marker=".", lw=1, ls="--", label="told the number of iterations"
        )
    ]
    handles += [plt.Line2D([], [], color="black", ls=":", lw=1, label="floor of monge")]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle(
        "Entropic transport: value and gradient to a marginal error of 0.001 (no line: not "
        "reached, or over a minute)"
    )
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main()
