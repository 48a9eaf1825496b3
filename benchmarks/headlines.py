"""The README's table: one line for each system, beside what a user would compare it with."""

from __future__ import annotations

from benchmarks.common.markdown import NOT_MEASURED, header, row, with_deviation
from benchmarks.common.results import Result
from benchmarks.maps.tables import PUBLISHED
from benchmarks.solvers.tables import milliseconds

_GRID = "grid n=10000 d=64 ε=0.1"


def headlines(results: Result, solvers: Result | None, dance: Result | None) -> str:
    """Return the table, without the rows whose results are not there."""
    table = header(["measure", "monge", "compared with"])
    if solvers:
        ours, peer = milliseconds(solvers["threads"]["1"][_GRID]).replace("*", "").split(" / ")
        title = "Sinkhorn, n = 10,000, d = 64, ε = 0.1, one thread"
        table.append(row([title, f"{float(ours):.0f} ms", f"{float(peer):.0f} ms, fastest peer"]))
    sinkhorn, gan = (results.get(f"{name}-mnist") for name in ("sinkhorn-gan", "gan"))
    if sinkhorn and gan:
        key = "frechet_lenet"
        floor = sinkhorn["summary"][f"{key}_floor"]["mean"]
        cells = [with_deviation(r["summary"][key], 1) for r in (sinkhorn, gan)]
        title = "Sinkhorn GAN on MNIST, Fréchet-LeNet"
        table.append(row([title, cells[0], f"GAN {cells[1]}; training pictures {floor:.1f}"]))
    pair = results.get("amortised-w2-w2benchmark-16")
    if pair:
        summary = pair["summary"]
        linear = with_deviation(summary["l2_uvp_linear"], 1)
        best = min(values[3] for values in PUBLISHED.values())
        title = "optimal map in 16 dimensions, L2-UVP in per cent"
        beside = f"best published {best} (on a GPU), best linear map {linear}"
        table.append(row([title, with_deviation(summary["l2_uvp"], 2), beside]))
    both, plain = results.get("acai-wwae-mnist"), results.get("ae-mnist")
    if both and plain:
        key = "frechet_lenet_midpoint"
        cells = [with_deviation(r["summary"][key], 1) for r in (both, plain)]
        title = "ACAI + WWAE on MNIST, Fréchet-LeNet of midpoints"
        table.append(row([title, cells[0], f"plain autoencoder {cells[1]}"]))
    if dance:
        s = {name: maker["summary"]["frechet_kinetic"] for name, maker in dance["makers"].items()}
        others = ("retrieval-shuffled", "nearest dance of a random song"), ("gan", "GAN")
        cells = [f"{title} {with_deviation(s[name], 1)}" for name, title in others if name in s]
        floor = dance["makers"]["real"]["summary"]["frechet_kinetic_floor"]["mean"]
        title = "MDOT-Net, Fréchet distance of kinetic features"
        beside = ", ".join([*cells, f"floor {floor:.1f}"])
        table.append(row([title, with_deviation(s["ot-gw"], 1), beside]))
    return "\n".join(table) if len(table) > 2 else NOT_MEASURED
