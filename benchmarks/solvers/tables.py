"""The tables of the solvers: ours beside the fastest peer."""

from __future__ import annotations

from typing import Any

from benchmarks.common.markdown import NOT_MEASURED, header, row
from benchmarks.common.results import Result

# title, task, n, d, ε
GRIDS = (
    ("grid", "grid", (256, 1000, 4000, 10_000), (2, 64, 512), (0.1, 0.01)),
    ("mini-batches", "minibatch", (64, 128, 256, 512), (64, 512, 4096), (0.05,)),
)
OTHERS = {
    "sliced n=100000 d=64": "`sliced_wasserstein`, n = 100,000, d = 64, 128 projections",
    "mmd n=10000 d=64": "`mmd`, Gaussian kernel, n = 10,000, d = 64",
    "energy n=10000 d=64": "`energy_distance`, n = 10,000, d = 64",
    "gromov n=1000 d=8 ε=0.05": "`gromov_wasserstein`, n = 1,000, ε = 0.05",
    "large n=100000 d=64 ε=0.1": '`sinkhorn(memory="linear")`, n = 100,000, d = 64, ε = 0.1',
    "semidiscrete n=10000 d=784": (
        "`SemiDiscrete`, 10,000 targets, d = 784, ε = 0.006; cells off by {mass_error:.1%}"
    ),
}


def solvers(result: Result | None) -> str:
    """Milliseconds over the grid and the mini-batches, and what other solvers take."""
    if result is None:
        return NOT_MEASURED
    measured = result["threads"]["1"]
    table = []
    for title, task, sizes, ds, epsilons in GRIDS:
        table += header([title, *(f"n = {n:,}" for n in sizes)])
        for d, epsilon in ((d, epsilon) for d in ds for epsilon in epsilons):
            line = [measured.get(f"{task} n={n} d={d} ε={epsilon:g}", {}) for n in sizes]
            table.append(row([f"d = {d}, ε = {epsilon:g}", *map(milliseconds, line)]))
        table.append("")
    table += header(["other solvers", "CPU seconds, memory", "peers"])
    for case, title in OTHERS.items():
        rows = reached(measured.get(case, {}))
        ours = rows.pop("monge", None)
        if ours:
            peers = [f"{name} {seconds(peer, case)}" for name, peer in rows.items()]
            memory = f"{ours['peak_mib']:.0f} MiB"
            cells = [title.format(**ours), seconds(ours, case, memory), ", ".join(peers)]
            table.append(row(cells))
    return "\n".join(table)


def milliseconds(rows: dict[str, Any]) -> str:
    """Return the time of ours and of the fastest peer, in bold where ours is faster."""
    times = {name: peer["cpu_seconds"] * 1e3 for name, peer in reached(rows).items()}
    ours = times.get("monge")
    peers = [time for name, time in times.items() if not name.startswith("monge")]
    if ours is None or not peers:
        return "not measured"
    best = min(peers)
    return f"{ours:.3g} / {best:.3g}" if ours > best else f"**{ours:.3g}** / {best:.3g}"


def seconds(measured: dict[str, Any], case: str, memory: str = "") -> str:
    objective = f" (objective {measured['value']:.4g})" if case.startswith("gromov") else ""
    return ", ".join(filter(None, [f"{measured['cpu_seconds']:.3g} s", memory])) + objective


def reached(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the peers that reached the accuracy."""
    return {name: peer for name, peer in rows.items() if peer.get("status") == "reached"}
