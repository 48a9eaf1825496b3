"""Names and prose: no former names, plain words, a short README, tests where they belong."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FORMER = re.compile(
    r"\b(W2Map|FiniteSource|EndlessSource|MappedSource|by_parts|by_blocks|in_blocks|load_dancer"
    r"|monge\.(?:engine|viz|apps)|data\.generator|origin_(?:batch|train|held_out)|dance_figures)\b"
)
FORMER_IDENTIFIERS = {
    "Draw",
    "Figure",  # matplotlib's is imported under this name and is not ours
    "Pair",
    "Source",
    "dead",
    "drawn",
    "figures",
    "law",
    "moved",
    "placed",
    "powers",
    "prices",
}
ODD = re.compile(r"\bmend|dearer|\blest\b|\bis no [a-z]+\b")
ROOTS = ("src", "tests", "benchmarks", "examples")


def python(repository: Path, *roots: str) -> list[Path]:
    return [p for root in roots for p in sorted((repository / root).rglob("*.py"))]


def prose(repository: Path) -> list[Path]:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md"]
    return [*pages, *sorted((repository / "docs").rglob("*.md"))]


def hits(files: list[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.name}:{number}: {match.group()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def defined(path: Path) -> set[str]:
    """Names of functions and classes that a file defines."""
    kinds = ast.FunctionDef | ast.ClassDef
    return {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds)}


def test_former_names_are_gone(repository: Path) -> None:
    own = Path(__file__)
    files = [p for p in python(repository, *ROOTS) if p != own] + prose(repository)
    assert hits(files, FORMER) == []
    wrong = {p.name: defined(p) & FORMER_IDENTIFIERS for p in python(repository, "src")}
    assert {name: names for name, names in wrong.items() if names} == {}


def test_prose_has_no_archaisms(repository: Path) -> None:
    own = Path(__file__)
    files = [p for p in python(repository, *ROOTS) if p != own] + prose(repository)
    assert hits(files, ODD) == []


def test_readme_fits_a_few_screens(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    assert len(text.split()) <= 900
    assert text.index("pip install") < text.index("make demo") < text.index("## In Python")


def test_no_test_imports_from_a_test_module(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)} imports {node.module}"
        for path in python(repository, "tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
        if not (node.module or "").startswith("tests.helpers")
    ]
    assert found == []


def test_tests_mirror_the_source(repository: Path) -> None:
    """A folder of tests has the name of a folder of the source, or of what else it tests."""
    source = repository / "src" / "monge"
    others = {"helpers", "docs", "examples", "benchmarks", "oracle"}
    tests = repository / "tests"
    folders = {p.relative_to(tests) for p in tests.rglob("*") if p.is_dir()}
    missing = [
        str(folder)
        for folder in folders
        if not {*folder.parts, folder.name} & (others | {"__pycache__"})
        if folder.parts and not (source / folder).is_dir()
    ]
    assert missing == []


def test_changelog_names_what_was_renamed(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text().split("## 0.1.0")[0]
    names = ("W2Map", "FiniteSource", "EndlessSource", "Pair", "Draw", "by_parts", "load_dancer")
    assert [name for name in names if name not in text] == []
