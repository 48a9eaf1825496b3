"""The tables of textures, and of what ε does to a semi-discrete generator; a result that is not
there yet is None.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from code_tables import row

MAKERS = {
    "ours": "**monge**",
    "nearest": "nearest patches",
    "gram": "Gram matrices",
    "quilting": "quilting",
}
NEAR = 1.3  # times the floor
COPIERS = ("nearest", "quilting")
TASKS = ("seeds", "large", "holes", "mix")
MISSING = "Not measured yet."

Result = dict[str, Any]


def makers(result: Result | None) -> str:
    """A row for each maker of pictures, over the exemplars."""
    if result is None:
        return MISSING
    near = f"at most {NEAR} × floor at scales 0 and 1"
    head = [
        "made by",
        near,
        "patch-W2² / floor at scales 0, 1, 2",
        "copied",
        "Gram distance",
        "CPU",
    ]
    table = header(head)
    for maker, title in MAKERS.items():
        found = [
            about["makers"][maker]
            for about in result["exemplars"].values()
            if maker in about["makers"]
        ]
        if found:
            good = sum(max(r["ratio"][:2]) <= NEAR for r in found)
            ratios = ", ".join(
                f"{median(r['ratio'][scale] for r in found):.2f}" for scale in range(3)
            )
            copied, gram, cpu = (
                median(r[key] for r in found) for key in ("copying", "gram", "cpu_seconds")
            )
            cells = [
                f"{good} of {len(found)}",
                ratios,
                f"{copied:.0%}",
                f"{gram:.3f}",
                f"{cpu:.0f} s",
            ]
            table.append(row([title, *cells]))
    return "\n".join(table)


def exemplars(result: Result | None) -> str:
    """A row for each exemplar, and on how many of them less is copied than by others."""
    every = {} if result is None else result["exemplars"]
    found = {name: about["makers"] for name, about in every.items() if "ours" in about["makers"]}
    if result is None or not found:
        return MISSING
    table = header(
        [
            "exemplar",
            *(f"scale {k}" for k in range(3)),
            "copied",
            "nearest patches",
            "quilting",
            "CPU",
            "memory",
        ]
    )
    for name, by in found.items():
        r = by["ours"]
        others = [f"{by[maker]['copying']:.0%}" if maker in by else "" for maker in COPIERS]
        cost = [f"{r['cpu_seconds']:.0f} s", f"{r['peak_mib']:,} MiB"]
        table.append(
            row([name, *(f"{x:.2f}" for x in r["ratio"]), f"{r['copying']:.0%}", *others, *cost])
        )
    said = [fewer(found.values(), maker) for maker in COPIERS]
    return "\n".join([*table, "", f"Less is copied {' and '.join(said)}. {machine(result)}"])


def fewer(found: Collection[Result], maker: str) -> str:
    both = [(by["ours"]["copying"], by[maker]["copying"]) for by in found if maker in by]
    same = sum(a == b for a, b in both)
    others = f" (on {same} equally much)" if same else ""
    return f"than by {MAKERS[maker]} on {sum(a < b for a, b in both)} of {len(both)}{others}"


def tasks(result: Result | None) -> str:
    """Seeds, large tiles, holes and mixtures, as far as they are there."""
    parts: dict[str, Callable[[Result], list[str]]] = {
        "seeds": seeds,
        "large": large,
        "holes": holes,
        "mix": mix,
    }
    found = [parts[part](result[part]) for part in TASKS if result and result.get(part)]
    return (
        "\n\n".join(["\n".join(lines) for lines in found] + [machine(result)])
        if result and found
        else MISSING
    )


def seeds(found: Result) -> list[str]:
    table = header(
        ["`demo_texture_1`, 256²", "patch-W2² / floor at scales 0, 1, 2", "copied", *COST]
    )
    return table + [
        row([f"seed {name}", ratios(r), f"{r['copying']:.0%}", *cost(r)])
        for name, r in found.items()
    ]


def large(found: Result) -> list[str]:
    seam = "across the seam / across other lines"
    table = header(
        [
            "1024², `--tile`",
            "patch-W2² / floor at scales 0, 1, 2",
            seam,
            "other lines as rough",
            *COST,
        ]
    )
    for name, r in found.items():
        table.append(
            row(
                [
                    name,
                    ratios(r),
                    f"{r['seam'] / r['interior']:.2f}",
                    f"{r['seam_rank']:.0%}",
                    *cost(r),
                ]
            )
        )
    return table


def holes(found: Result) -> list[str]:
    table = header(
        [
            "hole in",
            "size",
            "made",
            "patch-W2² / floor at scales 0, 1",
            "elsewhere to the bit",
            *COST,
        ]
    )
    for name, r in found.items():
        size = f"{r['size'][1]} × {r['size'][0]}"
        same = "yes" if r["outside_identical"] else "**no**"
        table.append(row([name, size, f"{r['hole']:.1%}", ratios(r), same, *cost(r)]))
    return table


def mix(found: Result) -> list[str]:
    """Mixtures, and whether distances go one way with the weight."""
    way = "patch-W2² / floor at scales 0, 1, 2"
    table = header(
        ["mixture", "weight of the second", f"{way}, to the first", "to the second", *COST]
    )
    said = []
    pairs: dict[str, dict[float, Result]] = {}
    for what, r in found.items():
        pair, share = what.split("@")
        pairs.setdefault(pair, {})[float(share)] = r
    for pair, by in pairs.items():
        name, weights = pair.replace("+", " and "), sorted(by)
        for weight in weights:
            r = by[weight]
            cells = [f"{weight:g}", ratios(r["to_first"]), ratios(r["to_second"]), *cost(r)]
            table.append(row([name if weight == weights[0] else "", *cells]))
        away, near = (
            [by[weight][f"sliced_{side}"] for weight in weights] for side in ("first", "second")
        )
        rise, fall = rising(away), rising(near[::-1])
        said.append(
            f"{name}: with the weight sliced patch-W2² to the first rises at {rise}, to the second "
            f"falls at {fall} of 3 scales."
        )
    return [*table, "", *said]


def rising(rows: list[list[float]]) -> int:
    """At how many scales each row is above the one before."""
    return sum(all(a < b for a, b in pairwise(column)) for column in zip(*rows, strict=True))


def generators(result: Result | None) -> str:
    """Feed-forward generators, a row for each exemplar."""
    if result is None:
        return MISSING
    head = [
        "exemplar",
        "patch-W2² / floor at scales 0, 1, 2",
        "copied",
        "Gram distance",
        "diversity",
        "training",
    ]
    table = header([*head, "a picture of 1024², 1 thread", "2 threads"])
    for name, r in result["exemplars"].items():
        cells = [
            f"{r['copying']:.0%}",
            f"{r['gram']:.3f}",
            f"{r['diversity']:.2f}",
            f"{r['cpu_seconds'] / 60:.1f} CPU-min",
        ]
        spent = [f"{r['sample_seconds'][threads]:.2f} s" for threads in ("1", "2")]
        table.append(row([name, ratios(r), *cells, *spent]))
    return "\n".join([*table, "", f"{result['steps']:,} steps. {machine(result)}"])


def epsilons(result: Result | None) -> str:
    """The study of ε, a row for each setting."""
    if result is None:
        return MISSING
    head = [
        "Fréchet-LeNet",
        "masses of cells off by",
        "smallest class",
        "confidence",
        "recall",
        "nearest train",
        "training",
    ]
    table = header(["MNIST", *head])
    for r in result["runs"]:
        shares = [f"{r['cell_mass_error']:.1%}", f"{r['smallest_class']:.1%}"]
        rest = [
            f"{r['confidence']:.3f}",
            f"{r['recall_lenet']:.2f}",
            f"{r['nearest_train_ratio']:.2f}",
        ]
        table.append(
            row(
                [
                    r["name"],
                    f"{r['frechet_lenet']:.1f}",
                    *shares,
                    *rest,
                    f"{r['cpu_seconds'] / 60:.1f} CPU-min",
                ]
            )
        )
    return "\n".join(
        [*table, "", f"Seed {result['seed']}, {result['steps']:,} steps. {machine(result)}"]
    )


COST = ("CPU", "by the clock", "memory")


def cost(r: Result) -> list[str]:
    return [f"{r['cpu_seconds']:.0f} s", f"{r['wall_seconds']:.0f} s", f"{r['peak_mib']:,.0f} MiB"]


def ratios(r: Result) -> str:
    return ", ".join(f"{x:.2f}" for x in r["ratio"])


def header(cells: Sequence[str]) -> list[str]:
    return [row(cells), "|---" * len(cells) + "|"]


def machine(result: Result) -> str:
    about = result["machine"]
    return f"{about['processor']}, {about['threads']} thread{'s' if about['threads'] > 1 else ''}."
