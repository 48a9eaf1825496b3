"""`monge data ls|get NAME`: list or download data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge data", description="List or download data sets.")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("ls", help="list the data sets and where their files are")
    getting = actions.add_parser("get", help="download a data set; interrupted downloads continue")
    getting.add_argument("name")
    for sub in (listing, getting):
        sub.add_argument(
            "--data.root", dest="root", help="folder of the data sets; default: $MONGE_DATA"
        )
    args = parser.parse_args(argv)
    if args.action == "get":
        from monge.data.download import get

        print(get(args.name, args.root))
        return 0
    from monge.data import CATALOG, data_root

    root = data_root(args.root)
    for entry in CATALOG:
        parts = (entry.about, _location(entry, root))
        print(f"{entry.name:14} {', '.join(part for part in parts if part)}")
    return 0


def _location(entry: Any, root: Path) -> str:
    """Return where the files of a data set are, or how to get them."""
    if entry.folder is None:
        return ""
    if path := entry.locate(root):
        return f"at {path}"
    command = f"monge data get {entry.name}"
    if entry.remote:
        return f"not here: {command}"
    if entry.find:
        return f"not here: {command} says what to put where"
    return f"not here: put its files into {root / entry.folder}"
