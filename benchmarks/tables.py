"""Write the tables of the documentation from benchmarks/results/*.json.

python -m benchmarks tables           # write
python -m benchmarks tables --check   # only report whether they are current
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.autoencoders import tables as autoencoders
from benchmarks.common.command import make_parser
from benchmarks.common.markdown import with_provenance
from benchmarks.common.pages import opening, write_sections
from benchmarks.common.paths import DOCS, RESULTS, ROOT, shown_path
from benchmarks.common.results import Result, load_result, read_result
from benchmarks.dance import tables as dance
from benchmarks.generators import tables as generators
from benchmarks.headlines import headlines
from benchmarks.maps import tables as maps
from benchmarks.recipes.tables import METHOD_PAGES, read_recipe, recipes, role_of
from benchmarks.solvers import tables as solvers
from benchmarks.textures import tables as textures
from monge.training.recipe import shipped

COMPARED = ("25gaussians", "mnist")  # data on which all generators are in one table

Sections = dict[Path, dict[str, str]]  # page, name of the section, text


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("tables", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(argv).check
    stale = [
        shown_path(page)
        for page, texts in all_sections().items()
        if write_sections(page, texts, check)
    ]
    if check and stale:
        sys.exit(f"{', '.join(stale)} differ from benchmarks/results: run 'make tables'")


def all_sections() -> Sections:
    """Return every generated section of every page."""
    results = recipe_results()
    sections = {page: dict(texts) for page, texts in subject_sections(results).items()}
    for page, texts in method_sections(results).items():
        sections.setdefault(page, {}).update(texts)
    return sections


def recipe_results() -> Result:
    """Return the results of all recipes that were reproduced, by name."""
    results = {path.stem: read_result(path, None) for path in sorted(RESULTS.glob("*.json"))}
    return {name: result for name, result in results.items() if "recipe" in result}


def subject_sections(results: Result) -> Sections:
    """Return the sections of pages on a subject."""
    textures_result, dance_result = load_result("textures"), load_result("dance")
    makers = with_provenance(textures.makers(textures_result), textures_result)
    return {
        ROOT / "README.md": {"headlines": headlines(results, load_result("solvers"), dance_result)},
        DOCS / "benchmarks.md": comparison_sections(results),
        DOCS / "autoencoders.md": {
            "autoencoders": autoencoders.mnist(results, "methods/"),
            "critic": autoencoders.critic(load_result("interpolation-critic")),
            "lines": autoencoders.lines(results),
            "scores": autoencoders.music(results),
        },
        DOCS / "interpolate.md": {"paths": autoencoders.paths(load_result("interpolation-paths"))},
        DOCS / "adapt.md": {"adapt": with_note(maps.adaptation, "adapt")},
        DOCS / "color.md": {"color": with_note(maps.color, "color")},
        DOCS / "texture.md": {
            "textures": makers,
            "exemplars": with_provenance(textures.exemplars(textures_result), textures_result),
            "tasks": textures.tasks(load_result("texture-tasks")),
        },
        DOCS / "dance.md": {
            "summary": dance.summary(dance_result),
            "dances": dance.makers(dance_result),
            "beats": dance.beats(dance_result),
            "speed": dance.speed(dance_result),
            "extraction": with_note(dance.extraction, "dance-metrics"),
        },
        METHOD_PAGES / "mdot.md": {"ablation": dance.ablation(dance_result)},
        METHOD_PAGES / "texture.md": {"textures": makers},
        METHOD_PAGES / "texture-generator.md": {
            "texture_generator": textures.generators(load_result("texture-generator"))
        },
        METHOD_PAGES / "semi-discrete.md": {
            "epsilon": generators.epsilons(load_result("semi-discrete-epsilon"))
        },
    }


def with_note(table: Callable[[Result | None], str], name: str) -> str:
    """Return a table of the results of this name, with a sentence if they are stale."""
    result = load_result(name)
    return with_provenance(table(result), result)


def comparison_sections(results: Result) -> dict[str, str]:
    """Return the sections of docs/benchmarks.md."""

    def select(role: str, without: tuple[str, ...]) -> Result:
        return {
            name: result
            for name, result in results.items()
            if role_of(result) == role and not any(word in name for word in without)
        }

    compared = tuple(f"-{data}" for data in COMPARED)
    networks = select("generator", ())
    chosen = select("map", ("w2benchmark",))
    return {
        "25gaussians": generators.mixtures(networks, COMPARED[0]),
        "mnist": generators.pictures(networks, COMPARED[1]),
        "results": recipes(select("generator", compared)),
        "maps": with_provenance(recipes(chosen), *chosen.values()),
        "w2benchmark": maps.w2benchmark(results),
        "autoencoders": autoencoders.mnist(results, "methods/"),
        "solvers": with_note(solvers.solvers, "solvers"),
    }


def method_sections(results: Result) -> Sections:
    """Return the table of recipes of every method's page that has one."""
    sections: Sections = {}
    for method in sorted({method_of(name) for name, _ in shipped()}):
        page = METHOD_PAGES / f"{page_name(method)}.md"
        if opening(method) not in page.read_text():
            continue
        own = {n: result for n, result in results.items() if method_of(n) == method}
        table = with_provenance(recipes(own), *own.values())
        if method == "amortised_w2":
            table = f"{maps.w2benchmark(results)}\n\n{table}"
        sections[page] = {method: table}
    return sections


def method_of(recipe: str) -> str:
    """Return the method of a shipped recipe."""
    return str(read_recipe(recipe)["method"]["name"])


def page_name(method: str) -> str:
    """Return a method's name as recipes and pages spell it."""
    return "semi-discrete" if method == "semidiscrete" else method.replace("_", "-")
