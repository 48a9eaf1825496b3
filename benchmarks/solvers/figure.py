"""The figure of the solvers: CPU seconds against the number of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.solvers.cases import CASES, FLOOR, Case
from benchmarks.solvers.report import LIBRARIES, Table, compared_peers, seconds_of

COLORS = {"ot": "tab:orange", "geomloss": "tab:green", "ott": "tab:blue"}
GRID = [case for case in CASES if case.task == "grid"]
OURS = {"color": "black", "marker": "o", "ms": 4, "lw": 2}
OUR_FLOOR = {"color": "black", "ls": ":", "lw": 1}


def draw(table: Table, path: Path) -> None:
    """Draw a panel for each d and ε."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ds = sorted({case.d for case in GRID})
    epsilons = sorted({case.epsilon for case in GRID}, reverse=True)
    figure, axes = plt.subplots(
        len(epsilons), len(ds), figsize=(10, 6), sharex=True, sharey=True, layout="constrained"
    )
    for i, epsilon in enumerate(epsilons):
        for j, d in enumerate(ds):
            cases = [case for case in GRID if (case.d, case.epsilon) == (d, epsilon)]
            draw_panel(axes[i, j], cases, table)
            axes[i, j].set_title(f"d = {d}, ε = {epsilon:g} × mean cost")
        axes[i, 0].set_ylabel("CPU seconds, one thread")
    for ax in axes[-1]:
        ax.set_xlabel("points on each side")
    add_legend(figure, table)
    figure.suptitle(
        "Entropic transport: value and gradient to a marginal error of 0.001 (no line: not "
        "reached, or over a minute)"
    )
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_panel(ax: Any, cases: list[Case], table: Table) -> None:
    def line(name: str, **style: Any) -> None:
        times = [(case.n, seconds_of(table.get(str(case), {}), name)) for case in cases]
        reached = [(n, seconds) for n, seconds in times if seconds]
        if reached:
            ax.plot(*zip(*reached, strict=True), **style)

    for peer in compared_peers():
        style = "-" if peer.stops_itself else "--"
        line(peer.name, color=COLORS[peer.package], marker=".", lw=1, ls=style, alpha=0.6)
    line(FLOOR, **OUR_FLOOR)
    line("monge", **OURS)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks([case.n for case in cases], [f"{case.n:,}" for case in cases], fontsize=8)
    ax.minorticks_off()
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def add_legend(figure: Any, table: Table) -> None:
    from matplotlib.lines import Line2D

    shown = {
        peer.package
        for peer in compared_peers()
        if any(seconds_of(table.get(str(case), {}), peer.name) for case in GRID)
    }
    styles: dict[str, dict[str, Any]] = {"monge": OURS}
    for package, color in COLORS.items():
        if package in shown:
            styles[LIBRARIES[package]] = {"color": color, "marker": ".", "lw": 1}
    dashed = {"color": "gray", "marker": ".", "lw": 1, "ls": "--"}
    styles |= {"number of iterations given": dashed, "floor of monge": OUR_FLOOR}
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
