"""Tables of textures; a result that is not there yet is None."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from statistics import median

from benchmarks.common.markdown import NOT_MEASURED, cpu_minutes, header, machine_line, row
from benchmarks.common.results import Result

MAKERS = {
    "ours": "**monge**",
    "nearest": "nearest patches",
    "gram": "Gram matrices",
    "quilting": "quilting",
}
NEAR = 1.3  # times the floor
COPIERS = ("nearest", "quilting")
RATIOS = "patch-W2² / floor at scales 0, 1, 2"
COST = ("CPU", "by the clock", "memory")


def makers(result: Result | None) -> str:
    """A row for each method, with medians over the exemplars."""
    if result is None:
        return NOT_MEASURED
    near = f"at most {NEAR} × floor at scales 0 and 1"
    table = header(["made by", near, RATIOS, "copied", "Gram distance", "CPU"])
    every = [about["makers"] for about in result["exemplars"].values()]
    for maker, title in MAKERS.items():
        measured = [made[maker] for made in every if maker in made]
        if not measured:
            continue
        good = sum(max(metrics["ratio"][:2]) <= NEAR for metrics in measured)
        ratios = [median(metrics["ratio"][scale] for metrics in measured) for scale in range(3)]
        copied, gram, cpu = (
            median(metrics[key] for metrics in measured)
            for key in ("copying", "gram", "cpu_seconds")
        )
        cells = [
            title,
            f"{good} of {len(measured)}",
            ratio_cell(ratios),
            f"{copied:.0%}",
            f"{gram:.3f}",
            f"{cpu:.0f} s",
        ]
        table.append(row(cells))
    return "\n".join(table)


def exemplars(result: Result | None) -> str:
    """A row for each exemplar, and on how many of them less is copied than by other methods."""
    every = {} if result is None else result["exemplars"]
    measured = {name: about["makers"] for name, about in every.items() if "ours" in about["makers"]}
    if result is None or not measured:
        return NOT_MEASURED
    head = ["exemplar", "scale 0", "scale 1", "scale 2", "copied", "nearest patches", "quilting"]
    table = header([*head, "CPU", "memory"])
    for name, made in measured.items():
        metrics = made["ours"]
        others = [f"{made[maker]['copying']:.0%}" if maker in made else "" for maker in COPIERS]
        cells = [
            name,
            *(f"{ratio:.2f}" for ratio in metrics["ratio"]),
            f"{metrics['copying']:.0%}",
            *others,
            f"{metrics['cpu_seconds']:.0f} s",
            f"{metrics['peak_mib']:,} MiB",
        ]
        table.append(row(cells))
    comparisons = " and ".join(compare_copying(measured.values(), maker) for maker in COPIERS)
    return "\n".join([*table, "", f"Less is copied {comparisons}. {machine_line(result)}"])


def compare_copying(measured: Collection[Result], maker: str) -> str:
    """Return on how many exemplars less is copied than by another method."""
    both = [(made["ours"]["copying"], made[maker]["copying"]) for made in measured if maker in made]
    same = sum(a == b for a, b in both)
    others = f" (on {same} equally much)" if same else ""
    return f"than by {MAKERS[maker]} on {sum(a < b for a, b in both)} of {len(both)}{others}"


def tasks(result: Result | None) -> str:
    """Seeds, large tiles, holes and mixtures, as far as they are there."""
    parts: dict[str, Callable[[Result], list[str]]] = {
        "seeds": seeds,
        "large": large,
        "holes": holes,
        "mix": mixtures,
    }
    tables = [table(result[part]) for part, table in parts.items() if result and result.get(part)]
    if result is None or not tables:
        return NOT_MEASURED
    return "\n\n".join([*("\n".join(lines) for lines in tables), machine_line(result)])


def seeds(rows: Result) -> list[str]:
    table = header(["`demo_texture_1`, 256²", RATIOS, "copied", *COST])
    for seed, metrics in rows.items():
        copied = f"{metrics['copying']:.0%}"
        table.append(row([f"seed {seed}", ratio_cell(metrics["ratio"]), copied, *cost(metrics)]))
    return table


def large(rows: Result) -> list[str]:
    seam = "across the seam / across other lines"
    table = header(["1024², `--tile`", RATIOS, seam, "other lines as rough", *COST])
    for name, metrics in rows.items():
        cells = [
            name,
            ratio_cell(metrics["ratio"]),
            f"{metrics['seam'] / metrics['interior']:.2f}",
            f"{metrics['seam_rank']:.0%}",
            *cost(metrics),
        ]
        table.append(row(cells))
    return table


def holes(rows: Result) -> list[str]:
    ratios = "patch-W2² / floor at scales 0, 1"
    table = header(["hole in", "size", "made", ratios, "elsewhere to the bit", *COST])
    for name, metrics in rows.items():
        cells = [
            name,
            f"{metrics['size'][1]} × {metrics['size'][0]}",
            f"{metrics['hole']:.1%}",
            ratio_cell(metrics["ratio"]),
            "yes" if metrics["outside_identical"] else "**no**",
            *cost(metrics),
        ]
        table.append(row(cells))
    return table


def mixtures(rows: Result) -> list[str]:
    """Mixtures, and at how many scales the distances are monotone in the weight."""
    head = ["mixture", "weight of the second", f"{RATIOS}, to the first", "to the second"]
    table = header([*head, *COST])
    pairs: dict[str, dict[float, Result]] = {}
    for key, metrics in rows.items():
        pair, weight = key.split("@")
        pairs.setdefault(pair, {})[float(weight)] = metrics
    sentences = []
    for pair, by_weight in pairs.items():
        name = title = pair.replace("+", " and ")
        ordered = sorted(by_weight.items())
        for share, metrics in ordered:
            ratios = [ratio_cell(metrics[side]["ratio"]) for side in ("to_first", "to_second")]
            table.append(row([title, f"{share:g}", *ratios, *cost(metrics)]))
            title = ""
        rise = count_rising([metrics["sliced_first"] for _, metrics in ordered])
        fall = count_rising([metrics["sliced_second"] for _, metrics in reversed(ordered)])
        sentences.append(
            f"{name}: with the weight sliced patch-W2² to the first rises at {rise}, to the second "
            f"falls at {fall} of 3 scales."
        )
    return [*table, "", *sentences]


def count_rising(rows: Sequence[Sequence[float]]) -> int:
    """Return at how many scales each row is above the one before."""
    return sum(all(a < b for a, b in pairwise(column)) for column in zip(*rows, strict=True))


def generators(result: Result | None) -> str:
    """Feed-forward generators, a row for each exemplar."""
    if result is None:
        return NOT_MEASURED
    head = ["exemplar", RATIOS, "copied", "Gram distance", "diversity", "training"]
    table = header([*head, "a picture of 1024², 1 thread", "2 threads"])
    for name, metrics in result["exemplars"].items():
        cells = [
            name,
            ratio_cell(metrics["ratio"]),
            f"{metrics['copying']:.0%}",
            f"{metrics['gram']:.3f}",
            f"{metrics['diversity']:.2f}",
            cpu_minutes(metrics["cpu_seconds"]),
            *(f"{metrics['sample_seconds'][threads]:.2f} s" for threads in ("1", "2")),
        ]
        table.append(row(cells))
    return "\n".join([*table, "", f"{result['steps']:,} steps. {machine_line(result)}"])


def cost(metrics: Result) -> list[str]:
    """Return CPU time, time by the clock and memory."""
    seconds = [f"{metrics[key]:.0f} s" for key in ("cpu_seconds", "wall_seconds")]
    return [*seconds, f"{metrics['peak_mib']:,.0f} MiB"]


def ratio_cell(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)
