"""`monge cp RECIPE [FILE]`: a recipe of your own to change."""

from __future__ import annotations

import argparse
from pathlib import Path

from monge.errors import MongeError


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge cp", description="Copy a recipe to a file of your own."
    )
    parser.add_argument("recipe", help="name of a recipe ('monge ls')")
    parser.add_argument("file", nargs="?", type=Path, help="where to; default: RECIPE.yaml here")
    args = parser.parse_args(argv)
    from monge.training import find

    target: Path = args.file or Path(f"{args.recipe}.yaml")
    if target.exists():
        raise MongeError(f"{target} exists: name another file")
    target.write_text(find(args.recipe).read_text())
    print(f"{target}: change it, then run 'monge train {target}'")
    return 0
