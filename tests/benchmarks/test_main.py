"""The command line of the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.common.command import run_child
from benchmarks.common.paths import ROOT, reproduced_run, shown_path


def test_root_is_the_repository(repository: Path) -> None:
    assert repository == ROOT
    assert reproduced_run("gan-mnist", 2) == repository / "runs" / "reproduce" / "gan-mnist-seed2"
    assert shown_path(ROOT / "docs" / "a.md") == "docs/a.md"
    assert shown_path(Path("/elsewhere/a.md")) == "/elsewhere/a.md"


def test_listing_names_every_benchmark_and_does_not_import_torch(repository: Path) -> None:
    code = (
        "import sys, benchmarks.__main__ as b; assert b.main([]) == 0;"
        "assert not {'torch', 'numpy', 'matplotlib'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(BENCHMARKS)
    assert max(map(len, lines)) <= 100


def test_unknown_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["texure"]) == 2
    assert capsys.readouterr().err == "unknown benchmark 'texure'; did you mean 'textures'?\n"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_has_the_docstring_and_the_command(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module(f"benchmarks.{BENCHMARKS[name][0]}")
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m benchmarks {name} ")
    assert module.__doc__.splitlines()[0] in text


def test_every_module_with_main_has_a_name(repository: Path) -> None:
    modules = {
        ".".join(path.relative_to(repository / "benchmarks").with_suffix("").parts)
        for path in (repository / "benchmarks").rglob("*.py")
        if "\ndef main(" in path.read_text() and path.name != "__main__.py"
    }
    assert modules == {module for module, _ in BENCHMARKS.values()}


def test_child_starts_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "usage: python -m benchmarks NAME" in run_child("--help")


def test_solver_is_measured_in_a_child_process(tmp_path: Path) -> None:
    path = tmp_path / "solvers.json"
    flags = ["--only", "monge", "--skip", "monge,;monge's", "--cases", "grid n=256 d=2 ε=0.1"]
    assert main(["solvers", *flags, "--results", str(path)]) == 0
    row = json.loads(path.read_text())["threads"]["1"]["grid n=256 d=2 ε=0.1"]["monge"]
    assert row["status"] == "reached"
    assert row["marginal_error"] <= 1.05e-3
    assert row["gradient_error"] < 0.02
    assert path.with_suffix(".png").is_file()
