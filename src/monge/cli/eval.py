"""`monge eval RUN`: evaluate a run again, and write metrics.json and report.html."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge eval", description="Evaluate a run and write its report."
    )
    parser.add_argument("run", help="run folder")
    args = parser.parse_args(argv)
    from monge.training import RunFolder, evaluate_run, load_run

    folder = RunFolder(args.run)
    print(evaluate_run(folder, *load_run(folder)).summary())
    print(f"look at {folder.report}")
    return 0
