"""`monge data ls|get NAME`: the data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge data", description="List or download data sets.")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("ls", help="what there is, and what is on this machine")
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
        print(
            f"{entry.name:14} "
            f"{', '.join(part for part in (entry.about, _place(entry, root)) if part)}"
        )
    return 0


def _place(entry: Any, root: Path) -> str:
    """Where the files of a data set are, or what to do about it."""
    if entry.folder is None:
        return ""
    if place := entry.found(root):
        return f"at {place}"
    if entry.remote or entry.place:
        return (
            "not here: monge data get "
            f"{entry.name}{' says what to put where' if not entry.remote else ''}"
        )
    return f"not here: put its files into {root / entry.folder}"
