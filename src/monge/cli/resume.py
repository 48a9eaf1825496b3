"""`monge resume RUN`: continue a run with the configuration in its folder."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge resume", description="Continue the run in a folder."
    )
    parser.add_argument("run", help="run folder")
    args = parser.parse_args(argv)
    from monge.training import RunFolder

    from .train import run

    folder = RunFolder(args.run)
    return run(folder.recipe(), folder)
