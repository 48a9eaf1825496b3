"""The floors of the house, the README's tables, and the references."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

FLOOR = {
    **dict.fromkeys(("errors", "config", "optim", "rng", "__init__"), 0),
    **dict.fromkeys(("parallel", "ot", "nets", "motion", "audio", "data"), 1),
    **dict.fromkeys(("metrics", "viz"), 2),
    **{"methods": 3, "engine": 4, "apps": 5, "cli": 6, "__main__": 7},
}
GROUND_MAY_SHARE = {("ot", "parallel"), ("nets", "parallel"), ("data", "motion"), ("data", "audio")}


def imports(path: Path) -> set[str]:
    """Parts of the package that a file imports, e.g. {"ot", "methods.ot_gan"}."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "monge" else [f"monge.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            continue
        found |= {n.removeprefix("monge.") for n in names if n.startswith("monge.")}
    return found


def violations(source: Path) -> list[str]:
    found = []
    for path in source.rglob("*.py"):
        own = path.relative_to(source).parts
        here = own[0].removesuffix(".py")
        for module in imports(path):
            there = module.split(".")[0]
            if there == here:
                if here == "methods":
                    found.append(f"{path.name} imports another method, {module}")
                continue
            up = FLOOR.get(there, 0) > FLOOR[here]
            sideways = FLOOR.get(there, 0) == FLOOR[here] == 1 and (here, there) not in GROUND_MAY_SHARE
            if up or sideways:
                found.append(f"{path.name} ({here}) imports {there}")
        if here == "methods":
            nodes = ast.walk(ast.parse(path.read_text()))
            found += [f"{path.name} imports its neighbour" for n in nodes if isinstance(n, ast.ImportFrom) and n.level]
    return found


def test_imports_point_downward(repository: Path, tmp_path: Path) -> None:
    assert violations(repository / "src" / "monge") == []
    (tmp_path / "ot").mkdir()
    (tmp_path / "ot" / "bad.py").write_text("from monge.engine import train\n")
    assert violations(tmp_path) == ["bad.py (ot) imports engine"]


def test_references_exist(repository: Path) -> None:
    keys = set(re.findall(r"@\w+\{(\w+),", (repository / "docs" / "references.bib").read_text()))
    sources = [path for folder in ("src", "benchmarks") for path in (repository / folder).rglob("*.py")]
    used = {key for path in sources for key in re.findall(r"\[([a-z]+\d{4}[a-z]?)\]", path.read_text())}
    assert used
    assert used <= keys, used - keys
    assert keys <= used, keys - used


def test_readme_table_is_generated(repository: Path) -> None:
    script = repository / "benchmarks" / "tables.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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
