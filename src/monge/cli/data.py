"""`monge data ls|get NAME`: the data sets."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge data", description="List or download data sets.")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("ls", help="what there is, and what is on this machine")
    getting = actions.add_parser("get", help="download a data set; interrupted downloads continue")
    getting.add_argument("name")
    for sub in (listing, getting):
        sub.add_argument("--data.root", dest="root", help="folder of the data sets; default: $MONGE_DATA")
    args = parser.parse_args(argv)
    from monge.data import BUNDLED, REMOTES, data_root
    from monge.data.sets.cifar import CIFARS, locate
    from monge.data.sets.curves import CURVES
    from monge.data.sets.lines import LINES
    from monge.data.sets.toy import TOYS
    from monge.data.sets.unpaired import UNPAIRED
    from monge.data.sets.w2benchmark import W2BENCHMARK

    if args.action == "get":
        from monge.data.download import get

        print(get(args.name, args.root))
        return 0
    root = data_root(args.root)
    for name in (*TOYS, *LINES, CURVES):
        print(f"{name:14} generated")
    for name, text in BUNDLED.items():
        print(f"{name:14} {text}")
    for name, remote in REMOTES.items():
        here = all((root / name / file).is_file() for file in remote.files)
        print(f"{name:14} {f'at {root / name}' if here else f'not here: monge data get {name}'}")
    for name, text in CIFARS.items():
        place = locate(name, root)
        print(f"{name:14} {text}, {f'at {place}' if place else f'not here: monge data get {name} says what to put where'}")
    for name, text in UNPAIRED.items():
        print(f"{name:14} {text}, {_place(root / name)}")
    print(f"nesmdb         4,905 songs of the NES in four voices, {_place(root / 'nesmdb')}")
    print(f"dance_melody   36 dances and their music, motion capture of 23 joints, {_place(root / 'dance_melody')}")
    print(f"usps           9,298 handwritten digits of 16×16 pixels, {_place(root / 'usps')}")
    dimensions = ", ".join(str(d) for d in W2BENCHMARK.values())
    print(f"w2benchmark-D  pairs with a known optimal map, D = {dimensions}, {_place(root / 'w2benchmark')}")
    return 0


def _place(folder: Path) -> str:
    return f"at {folder}" if folder.is_dir() else f"not here: put its files into {folder}"
