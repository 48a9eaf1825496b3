"""Command lines of benchmarks, and benchmarks as child processes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks.common.paths import ROOT


def make_parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """Return a parser for ``python -m benchmarks NAME``; the module's docstring is its help."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add ``--seeds``, a list of ints, to a parser."""
    parser.add_argument("--seeds", type=ints, default=[0, 1, 2], help="default: 0,1,2")


def ints(text: str) -> list[int]:
    """Parse comma-separated integers."""
    return [int(word) for word in text.split(",")]


def words(text: str) -> list[str]:
    """Parse comma-separated words."""
    return text.split(",")


def run_child(name: str, *arguments: str) -> str:
    """Run a benchmark in a process of its own and return what it prints.

    The child can be started from any folder; relative paths mean the same in both processes.
    """
    command = [sys.executable, "-m", "benchmarks", name, *arguments]
    child = subprocess.run(
        command, env=child_environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    return child.stdout


def child_environment() -> dict[str, str]:
    """Return the environment in which ``benchmarks`` can be imported from any folder."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}
