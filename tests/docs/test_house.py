"""The floors of the house, the tables of the documentation, and the references."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS
from benchmarks.tables import all_sections

PLAN = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "plot_architecture.py"))
FLOORS = PLAN["floors_of"](Path(__file__).parents[2] / "src" / "monge")
STUDIOS = FLOORS[len(PLAN["CORE"])]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def imports(path: Path) -> set[str]:
    """Parts of the package that a file imports, e.g. {"ot", "methods.ot_gan"}; imports for types
    alone do not count.
    """
    found = set()
    tree = ast.parse(path.read_text())
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = (
                [node.module] if node.module != "monge" else [f"monge.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        found |= {n.removeprefix("monge.") for n in names if n.startswith("monge.")}
    return found


def room(module: str) -> str:
    """The part of the house that a module belongs to."""
    return module if module in FLOOR else module.split(".")[0]


def violations(source: Path) -> list[str]:
    found = []
    for path in source.rglob("*.py"):
        own = ".".join(path.relative_to(source).with_suffix("").parts)
        here = room(own)
        for module in imports(path):
            there = room(module)
            if there == here:
                if here == "methods" and module != "methods":
                    found.append(f"{own} imports another method, {module}")
            elif FLOOR.get(there, 0) >= FLOOR[here]:
                found.append(f"{own} ({here}) imports {there}")
        if here == "methods":
            nodes = ast.walk(ast.parse(path.read_text()))
            found += [
                f"{own} imports its neighbor"
                for n in nodes
                if isinstance(n, ast.ImportFrom) and n.level
            ]
    return found


def test_imports_point_downward(repository: Path, tmp_path: Path) -> None:
    assert violations(repository / "src" / "monge") == []
    (tmp_path / "ot").mkdir()
    (tmp_path / "ot" / "bad.py").write_text("from monge.training import train\n")
    assert violations(tmp_path) == ["ot.bad (ot) imports training"]


def test_the_core_never_imports_a_studio(repository: Path, tmp_path: Path) -> None:
    def found(source: Path) -> list[str]:
        core = [
            path
            for path in source.rglob("*.py")
            if path.relative_to(source).parts[0] not in (*STUDIOS, "cli", "__main__.py")
        ]
        return [
            f"{path.name} imports {module}"
            for path in core
            for module in imports(path)
            if room(module) in STUDIOS
        ]

    assert found(repository / "src" / "monge") == []
    (tmp_path / "bad.py").write_text("from monge.dance import kind\n")
    assert found(tmp_path) == ["bad.py imports dance"]


def test_the_plan_of_the_house_shows_every_part(repository: Path) -> None:
    source = repository / "src" / "monge"
    parts = {p.stem for p in source.iterdir() if p.suffix == ".py" or list(p.glob("*.py"))}
    assert parts == {room for room in FLOOR if "." not in room}
    assert {"dance", "images", "music"} <= set(STUDIOS)
    page = (repository / "docs" / "architecture.md").read_text()
    named = re.findall(r"`src/monge/([\w/]+\.py)`", page)
    assert named
    assert [name for name in named if not (source / name).is_file()] == []


def test_training_knows_no_domain(repository: Path) -> None:
    words = re.compile(r"danc|\bscores?\b|\bnotes?\b|texture|\blines32\b|line_", re.I)
    folder = repository / "src" / "monge" / "training"
    found = [
        f"{p.name}: {line}"
        for p in folder.glob("*.py")
        for line in p.read_text().splitlines()
        if words.search(line)
    ]
    assert found == []


def test_references_exist(repository: Path) -> None:
    keys = set(re.findall(r"@\w+\{(\w+),", (repository / "docs" / "references.bib").read_text()))
    sources = [
        path for folder in ("src", "benchmarks") for path in (repository / folder).rglob("*.py")
    ]
    used = {
        key for path in sources for key in re.findall(r"\[([a-z]+\d{4}[a-z]?)\]", path.read_text())
    }
    assert used
    assert used <= keys, used - keys
    assert keys <= used, keys - used


def test_files_and_names_in_prose_exist(repository: Path) -> None:
    def exists(name: str) -> bool:
        module, *rest = name.split(".")
        found = importlib.import_module(module)
        for part in rest:
            if not hasattr(found, part):
                try:
                    importlib.import_module(f"{module}.{part}")
                except ImportError:
                    return False
            found, module = getattr(found, part), f"{module}.{part}"
        return True

    pages = [
        repository / "README.md",
        repository / "CONTRIBUTING.md",
        *(repository / "docs").rglob("*.md"),
    ]
    prose = "\n".join(
        path.read_text() for path in [*pages, *(repository / "src" / "monge").rglob("*.py")]
    )
    names = set(re.findall(r"`(monge(?:\.\w+)+)`", prose))
    files = set(
        re.findall(r"\b((?:src/monge|tests|benchmarks|examples)/[a-z_0-9/]+\.[a-z]+)\b", prose)
    )
    assert len(names) > 50
    assert len(files) > 20
    assert sorted(name for name in names if not exists(name)) == []
    assert sorted(file for file in files if not (repository / file).is_file()) == []


def test_tables_of_the_documentation_are_current(repository: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "tables", "--check"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_generated_section_is_written_by_tables(repository: Path) -> None:
    marks = {
        (path, name)
        for path in [repository / "README.md", *(repository / "docs").rglob("*.md")]
        for name in re.findall(r"<!-- (\w+): written by `make tables` -->", path.read_text())
    }
    written = {(path, name) for path, texts in all_sections().items() for name in texts}
    assert marks == written
    assert (repository / "docs" / "benchmarks.md", "solvers") in written


def test_benchmarks_named_in_prose_exist(repository: Path) -> None:
    pages = [p for p in repository.glob("*.md") if p.name != "CHANGELOG.md"]
    sources = [*pages, *(repository / "docs").rglob("*.md"), repository / "Makefile"]
    sources += (repository / "benchmarks").rglob("*.py")
    names = {
        (path.name, name)
        for path in sources
        for name in re.findall(r"python -m benchmarks ([a-z][\w-]+)", path.read_text())
    }
    assert len(names) > 20
    assert {pair for pair in names if pair[1] not in BENCHMARKS} == set()


def test_readme_python_runs(repository: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_readme_commands_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    from monge.cli.main import COMMANDS

    for command in re.findall(r"^monge (\w+)", text, re.M):
        assert command in COMMANDS, command
