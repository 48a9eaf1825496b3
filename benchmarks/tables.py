"""Write the tables of README.md and docs/methods/ from benchmarks/results/*.json; --check only says
whether they are current.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import code_tables
import dance_tables
import texture_tables
import yaml

from monge.metrics import Metric, transport
from monge.metrics.filters import FORWARD
from monge.metrics.filters import INVERSE as BACK
from monge.metrics.lenet import (
    CONFIDENCE,
    FRECHET,
    KID,
    LARGEST_CLASS,
    OF_FITTED,
    OF_RECONSTRUCTIONS,
    QUALITY,
    SMALLEST_CLASS,
)
from monge.metrics.memorization import NEAREST
from monge.metrics.samples import MODES, ON_MODES, W2
from monge.metrics.transport import CYCLE, L2_UVP
from monge.training.evaluate import CELL_MASS, PERPLEXITY
from monge.training.recipe import shipped

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "docs" / "methods"
ROLES = ("generator", "map", "autoencoder")
COMPARED = ("25gaussians", "mnist")  # data on which all generators stand in one table
BENCHMARK = (2, 4, 8, 16, 32, 64)
PUBLISHED = {  # L2-UVP in per cent, as the papers print it
    "best linear map, published": (14.1, 14.9, 27.3, 41.6, 55.3, 63.9),
    "W2GN, published, 250,000 steps on a GPU": (0.1, 0.7, 2.6, 3.3, 6.0, 7.2),
    "MM:R, published": (0.1, 0.3, 0.7, 1.9, 2.8, 4.5),
}
OF_PICTURES = (
    KID,
    CONFIDENCE,
    SMALLEST_CLASS,
    LARGEST_CLASS,
    OF_FITTED,
    OF_RECONSTRUCTIONS,
    CELL_MASS,
    PERPLEXITY,
)
OF_POINTS = (MODES, ON_MODES, transport.INVERSE, CYCLE, FORWARD, BACK, L2_UVP, PERPLEXITY)
REFERENCES = {
    FRECHET: (("floor", "frechet_lenet_floor"), ("pixel Gaussian", "frechet_lenet_pixel_gaussian")),
    W2: (("floor", "w2_squared_floor"),),
}
OTHERS = {
    "sliced n=100000 d=64": "`sliced_wasserstein`, n = 100,000, d = 64, 128 projections",
    "mmd n=10000 d=64": "`mmd`, Gaussian kernel, n = 10,000, d = 64",
    "energy n=10000 d=64": "`energy_distance`, n = 10,000, d = 64",
    "gromov n=1000 d=8 ε=0.05": "`gromov_wasserstein`, n = 1,000, ε = 0.05",
    "large n=100000 d=64 ε=0.1": '`sinkhorn(memory="linear")`, n = 100,000, d = 64, ε = 0.1',
    "semidiscrete n=10000 d=784": "`SemiDiscrete`, 10,000 targets, d = 784, ε = 0.006; cells off by {mass_error:.1%}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    results = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    results = {name: result for name, result in results.items() if "recipe" in result}
    of_role = {
        role: {n: r for n, r in results.items() if role_of(r["summary"]) == role} for role in ROLES
    }
    compared_above = tuple(f"-{data}" for data in COMPARED)
    critic, paths = study("interpolation-critic"), study("interpolation-paths")
    textures, dances = study("textures"), study("dance")
    stale = written(
        README,
        {
            "25gaussians": mixtures(of_role["generator"], COMPARED[0]),
            "mnist": pictures(of_role["generator"], COMPARED[1]),
            "maps": recipes(
                {name: r for name, r in of_role["map"].items() if "w2benchmark" not in name}
            ),
            "w2benchmark": benchmark(results),
            "autoencoders": code_tables.digits(results, "docs/methods/"),
            "results": recipes(
                {n: r for n, r in of_role["generator"].items() if not n.endswith(compared_above)}
            ),
            "textures": texture_tables.makers(textures),
            "dances": dance_tables.short(dances),
            "solvers": solvers(),
        },
        args.check,
    )
    stale += written(
        ROOT / "docs" / "autoencoders.md",
        {
            "autoencoders": code_tables.digits(results, "methods/"),
            "critic": code_tables.critic(critic),
            "lines": code_tables.lines32(results),
            "scores": code_tables.scores(results),
        },
        args.check,
    )
    stale += written(
        ROOT / "docs" / "interpolate.md", {"paths": code_tables.paths(paths)}, args.check
    )
    figures = {
        "exemplars": texture_tables.exemplars(textures),
        "tasks": texture_tables.tasks(study("texture-tasks")),
    }
    stale += written(ROOT / "docs" / "texture.md", figures, args.check)
    danced = {
        "dances": dance_tables.makers(dances),
        "beats": dance_tables.beats(dances),
        "speed": dance_tables.speed(dances),
    }
    danced["extraction"] = dance_tables.extraction(study("dance-metrics"))
    stale += written(ROOT / "docs" / "dance.md", danced, args.check)
    stale += written(PAGES / "mdot.md", {"ablation": dance_tables.ablation(dances)}, args.check)
    stale += written(
        PAGES / "texture.md", {"textures": texture_tables.makers(textures)}, args.check
    )
    generators = texture_tables.generators(study("texture-generator"))
    stale += written(PAGES / "texture-generator.md", {"texture_generator": generators}, args.check)
    epsilons = texture_tables.epsilons(study("semi-discrete-epsilon"))
    stale += written(PAGES / "semi-discrete.md", {"epsilon": epsilons}, args.check)
    for method in sorted({recipe_of(name)["method"]["name"] for name, _ in shipped()}):
        page = PAGES / f"{dashed(method)}.md"
        if f"<!-- {method}: written by" not in page.read_text():
            continue
        own = recipes(
            {name: r for name, r in results.items() if recipe_of(name)["method"]["name"] == method}
        )
        stale += written(
            page,
            {method: f"{benchmark(results)}\n\n{own}" if method == "amortised_w2" else own},
            args.check,
        )
    if stale:
        sys.exit(f"{', '.join(stale)} not as benchmarks/results has it: run 'make tables'")


def study(name: str) -> Any:
    """What a benchmark that is no recipe found, or None."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def written(page: Path, tables: dict[str, str], check: bool) -> list[str]:
    """Put the tables between their marks; with ``check`` only return the page's name if that would
    change it.
    """
    text = made = page.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by `make tables` -->", f"<!-- end of {name} -->"
        before, rest = made.split(begin)
        made = f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"
    if check:
        return [page.name] if made != text else []
    page.write_text(made)
    return []


def dashed(method: str) -> str:
    """A method as recipes and pages spell it."""
    return "semi-discrete" if method == "semidiscrete" else method.replace("_", "-")


def role_of(summary: dict[str, Any]) -> str:
    """Which table a method belongs to, by what was measured of it."""
    if "reconstruction_error" in summary:
        return "autoencoder"
    if summary.keys() & {"w2_inverse", "l2_uvp", "frechet_lenet_baseline"}:
        return "map"
    return "generator"


def heading(page: Path) -> tuple[str, int]:
    """Title of a method's page, and the year of its paper."""
    title, about = page.read_text().split("\n\n")[:2]
    year = re.search(r"\d{4}", about)
    return title.removeprefix("# "), int(year[0]) if year else 0


def recipe_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "src/monge/recipes" / f"{name}.yaml").read_text())


def compared(
    results: dict[str, Any],
    data: str,
    head: list[str],
    cells: Callable[[dict[str, Any]], list[str]],
) -> str:
    """One row for each method that was measured on the data, in the order of the papers."""
    lines = [
        "| " + " | ".join(["method", *head, "seeds", "training"]) + " |",
        "|---" * (len(head) + 3) + "|",
    ]
    own = [result for name, result in results.items() if name.endswith(f"-{data}")]
    pages = {
        result["recipe"]: PAGES / f"{result['recipe'].removesuffix(f'-{data}')}.md"
        for result in own
    }
    for result in sorted(own, key=lambda result: heading(pages[result["recipe"]])[1]):
        page = pages[result["recipe"]]
        cost = f"{result['summary']['cpu_seconds']['mean'] / 60:.1f} CPU-min"
        name = f"[{heading(page)[0]}]({page.relative_to(ROOT)})"
        lines.append(
            "| " + " | ".join([name, *cells(result), str(len(result["runs"])), cost]) + " |"
        )
    return "\n".join(lines)


def mixtures(results: dict[str, Any], data: str) -> str:
    def cells(result: dict[str, Any]) -> list[str]:
        s, modes = result["summary"], [run["metrics"]["modes"] for run in result["runs"]]
        found = f"{min(modes)}" if min(modes) == max(modes) else f"{min(modes)} to {max(modes)}"
        return [f"{found} of {s['modes_total']['mean']:.0f}", cell(s, ON_MODES), cell(s, W2)]

    return compared(results, data, [str(metric.table) for metric in (MODES, ON_MODES, W2)], cells)


def pictures(results: dict[str, Any], data: str) -> str:
    def cells(result: dict[str, Any]) -> list[str]:
        shares = [run["metrics"] for run in result["runs"]]
        classes = (
            f"{min(m['smallest_class'] for m in shares):.1%} to "
            f"{max(m['largest_class'] for m in shares):.1%}"
        )
        return [*(cell(result["summary"], metric) for metric in (*judged, NEAREST)), classes]

    judged = [metric for metric in QUALITY if metric.table and metric is not SMALLEST_CLASS]
    return compared(
        results,
        data,
        [*(str(metric.table) for metric in (*judged, NEAREST)), "classes, all seeds"],
        cells,
    )


def benchmark(results: dict[str, Any]) -> str:
    """L2-UVP on the benchmark's pairs: ours beside what was published."""
    lines = [
        "| L2-UVP, % | " + " | ".join(f"D = {d}" for d in BENCHMARK) + " |",
        "|---" * (len(BENCHMARK) + 1) + "|",
    ]
    found = [results.get(f"amortised-w2-w2benchmark-{d}") for d in BENCHMARK]
    ours = {
        "**amortized conjugates**": "l2_uvp",
        "its inverse": "l2_uvp_inverse",
        "best linear map, measured here": "l2_uvp_linear",
    }
    for title, figure in ours.items():
        cells = [shown(r["summary"], figure, 2) if r else "not measured" for r in found]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        f"| {title} | {' | '.join(f'{v:.1f}' for v in row)} |" for title, row in PUBLISHED.items()
    ]
    cost = [
        f"{r['summary']['cpu_seconds']['mean'] / 60:.1f} min, {len(r['runs'])}" if r else "-"
        for r in found
    ]
    return "\n".join([*lines, f"| ours: CPU time, seeds | {' | '.join(cost)} |"])


def recipes(results: dict[str, Any]) -> str:
    rows = ["| recipe | figures | floor or reference | seeds | training |", "|---|---|---|---|---|"]
    return "\n".join(rows + [row(result) for result in results.values()])


def row(result: dict[str, Any]) -> str:
    s, name, seeds = result["summary"], result["recipe"], len(result["runs"])
    cost = f"{s['cpu_seconds']['mean'] / 60:.1f} CPU-min, {s['peak_memory_mib']['mean']:.0f} MiB"
    leading = FRECHET if FRECHET.key in s else W2
    others = [
        metric for metric in (OF_PICTURES if leading is FRECHET else OF_POINTS) if metric.key in s
    ]
    figures = ", ".join(f"{metric.title} {figure(s, metric)}" for metric in (leading, *others))
    beside = [f"{word} {s[key]['mean']:.3g}" for word, key in REFERENCES[leading] if key in s]
    return (
        f"| `{name}`<br>{recipe_of(name)['about']['paper']} | {figures} | {', '.join(beside)} | "
        f"{seeds} | {cost} |"
    )


def figure(summary: dict[str, Any], metric: Metric) -> str:
    """A number with its deviation and unit; one with a ratio as so many times its floor."""
    if metric.ratio:
        return f"{summary[metric.key]['mean']:.4g} = {cell(summary, metric)} × floor"
    names = [name for name in ("ratio", "total", "unmoved") if metric.suffixed(name) in summary]
    beside = [f"{name} {summary[metric.suffixed(name)]['mean']:.3g}" for name in names]
    if "unmoved" in names:
        beside.append(f"floor {summary[metric.suffixed('floor')]['mean']:.2f}")
    return f"{cell(summary, metric)} {metric.unit}".rstrip() + (
        f" ({', '.join(beside)})" if beside else ""
    )


def cell(summary: dict[str, Any], metric: Metric) -> str:
    """A number with its deviation over the seeds, as the metric is written."""
    mean, sd = (metric.scale * summary[metric.ratio or metric.key][of] for of in ("mean", "sd"))
    digits = f".{metric.decimals}f" if metric.decimals is not None else ".4g"
    return f"{mean:{digits}} ± {sd:{digits}}" if sd else f"{mean:{digits}}"


def solvers() -> str:
    """Milliseconds of ours, and of the fastest setting of any peer, over the grid and the
    mini-batches.
    """
    found = json.loads((RESULTS / "solvers.json").read_text())["threads"]["1"]
    lines = []
    for task, sizes, epsilons in (
        ("grid", (256, 1000, 4000, 10_000), (0.1, 0.01)),
        ("minibatch", (64, 128, 256, 512), (0.05,)),
    ):
        lines += [
            f"| {'grid' if task == 'grid' else 'mini-batches'} | "
            + " | ".join(f"n = {n:,}" for n in sizes)
            + " |"
        ]
        lines += ["|---|" + "---|" * len(sizes)]
        for d in (2, 64, 512) if task == "grid" else (64, 512, 4096):
            for epsilon in epsilons:
                cells = [
                    milliseconds(found.get(f"{task} n={n} d={d} ε={epsilon:g}", {})) for n in sizes
                ]
                lines.append(f"| d = {d}, ε = {epsilon:g} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["| other solvers | CPU seconds, memory | peers |", "|---|---|---|"]
    for case, what in OTHERS.items():
        rows = {
            name: row for name, row in found.get(case, {}).items() if row.get("status") == "reached"
        }
        ours = rows.pop("monge", None)
        if ours:
            peers = ", ".join(
                f"{name} {row['cpu_seconds']:.3g} s{objective(row, case)}"
                for name, row in rows.items()
            )
            cells = (
                f"{ours['cpu_seconds']:.3g} s, {ours['peak_mib']:.0f} MiB{objective(ours, case)}"
            )
            lines.append(f"| {what.format(**ours)} | {cells} | {peers} |")
    return "\n".join(lines)


def objective(row: dict[str, Any], case: str) -> str:
    return f" (objective {row['value']:.4g})" if case.startswith("gromov") else ""


def milliseconds(rows: dict[str, Any]) -> str:
    reached = {
        name: row["cpu_seconds"] * 1e3
        for name, row in rows.items()
        if row.get("status") == "reached"
    }
    ours = reached.get("monge")
    peers = [t for name, t in reached.items() if not name.startswith("monge")]
    if ours is None or not peers:
        return "not measured"
    best = min(peers)
    return f"{ours:.3g} / {best:.3g}" if ours > best else f"**{ours:.3g}** / {best:.3g}"


def shown(summary: dict[str, Any], name: str, digits: int) -> str:
    mean, sd = summary[name]["mean"], summary[name]["sd"]
    return f"{mean:.{digits}f} ± {sd:.{digits}f}" if sd else f"{mean:.{digits}f}"


if __name__ == "__main__":
    main()
