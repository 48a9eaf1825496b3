"""Layers of imports, references, names in prose, and the README."""

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

ARCHITECTURE = runpy.run_path(
    str(Path(__file__).parents[2] / "docs" / "figures" / "architecture.py")
)
LAYERS = ARCHITECTURE["floors_of"](Path(__file__).parents[2] / "src" / "monge")
STUDIOS = LAYERS[len(ARCHITECTURE["CORE"])]
LAYER = {name: layer for layer, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> set[str]:
    """Return the parts of the package that a file imports, such as {"ot", "methods.ot_gan"}.

    Imports under ``if TYPE_CHECKING`` do not count.
    """
    result = set()
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
            names = [node.module]
            if node.module == "monge":
                names = [f"monge.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        result |= {n.removeprefix("monge.") for n in names if n.startswith("monge.")}
    return result


def part_of(module: str) -> str:
    """Return the part of the architecture that a module belongs to."""
    return module if module in LAYER else module.split(".")[0]


def violations(source: Path) -> list[str]:
    """Return the imports that do not point to a lower layer."""
    errors = []
    for path in source.rglob("*.py"):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        part = part_of(name)
        for module in imports(path):
            imported = part_of(module)
            if imported == part:
                if part == "methods" and module != "methods":
                    errors.append(f"{name} imports another method, {module}")
            elif LAYER.get(imported, 0) >= LAYER[part]:
                errors.append(f"{name} ({part}) imports {imported}")
        if part == "methods":
            nodes = ast.walk(ast.parse(path.read_text()))
            relative = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
            errors += [f"{name} has a relative import" for _ in relative]
    return errors


def test_imports_point_to_lower_layers(repository: Path, tmp_path: Path) -> None:
    assert violations(repository / "src" / "monge") == []
    (tmp_path / "ot").mkdir()
    (tmp_path / "ot" / "bad.py").write_text("from monge.training import train\n")
    assert violations(tmp_path) == ["ot.bad (ot) imports training"]


def test_core_does_not_import_studios(repository: Path, tmp_path: Path) -> None:
    def errors(source: Path) -> list[str]:
        outside = (*STUDIOS, "cli", "__main__.py")
        paths = source.rglob("*.py")
        core = [path for path in paths if path.relative_to(source).parts[0] not in outside]
        pairs = [(path.name, module) for path in core for module in imports(path)]
        return [f"{name} imports {module}" for name, module in pairs if part_of(module) in STUDIOS]

    assert errors(repository / "src" / "monge") == []
    (tmp_path / "bad.py").write_text("from monge.dance import kind\n")
    assert errors(tmp_path) == ["bad.py imports dance"]


def test_architecture_figure_and_page_name_existing_parts(repository: Path) -> None:
    source = repository / "src" / "monge"
    parts = {p.stem for p in source.iterdir() if p.suffix == ".py" or list(p.glob("*.py"))}
    assert parts == {part for part in LAYER if "." not in part}
    assert {"dance", "images", "music"} <= set(STUDIOS)
    page = (repository / "docs" / "architecture.md").read_text()
    named = re.findall(r"`src/monge/([\w/]+\.py)`", page)
    assert named
    assert [name for name in named if not (source / name).is_file()] == []


def test_training_does_not_mention_domains(repository: Path) -> None:
    words = re.compile(r"danc|\bscores?\b|\bnotes?\b|texture|\blines32\b|line_", re.I)
    folder = repository / "src" / "monge" / "training"
    lines = [(p.name, line) for p in folder.glob("*.py") for line in p.read_text().splitlines()]
    assert [f"{name}: {line}" for name, line in lines if words.search(line)] == []


def test_citations_and_references_agree(repository: Path) -> None:
    keys = set(re.findall(r"@\w+\{(\w+),", (repository / "docs" / "references.bib").read_text()))
    folders = [repository / "src", repository / "benchmarks"]
    text = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    used = set(re.findall(r"\[([a-z]+\d{4}[a-z]?)\]", text))
    assert used
    assert used <= keys, used - keys
    assert keys <= used, keys - used


def test_files_and_names_in_prose_exist(repository: Path) -> None:
    def exists(name: str) -> bool:
        module, *rest = name.split(".")
        target = importlib.import_module(module)
        for part in rest:
            if not hasattr(target, part):
                try:
                    importlib.import_module(f"{module}.{part}")
                except ImportError:
                    return False
            target, module = getattr(target, part), f"{module}.{part}"
        return True

    pages = [repository / "README.md", repository / "CONTRIBUTING.md"]
    pages += (repository / "docs").rglob("*.md")
    modules = (repository / "src" / "monge").rglob("*.py")
    prose = "\n".join(path.read_text() for path in (*pages, *modules))
    names = set(re.findall(r"`(monge(?:\.\w+)+)`", prose))
    folders = "src/monge|tests|benchmarks|examples|docs/figures"
    files = set(re.findall(rf"\b((?:{folders})/[a-z_0-9/]+\.[a-z]+)\b", prose))
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


def test_commands_in_the_readme_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    from monge.cli.main import COMMANDS

    for command in re.findall(r"^monge (\w+)", text, re.M):
        assert command in COMMANDS, command
