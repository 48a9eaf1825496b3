"""`monge cp RECIPE [FILE]`: copy a recipe to a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from monge.errors import MongeError


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge cp", description="Copy a recipe to a file, to change it."
    )
    parser.add_argument("recipe", help="name of a recipe ('monge ls')")
    parser.add_argument("file", nargs="?", type=Path, help="file to write; default: RECIPE.yaml")
    args = parser.parse_args(argv)
    from monge.training import find

    file: Path = args.file or Path(f"{args.recipe}.yaml")
    if file.exists():
        raise MongeError(f"{file} exists: name another file")
    file.write_text(find(args.recipe).read_text())
    print(f"{file}: change it, then run 'monge train {file}'")
    return 0
