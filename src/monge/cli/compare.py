"""`monge compare RUN...`: one table and one figure of several runs; the seeds of a recipe make one row."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from monge.errors import MongeError

_POINTS, _PICTURES = 1500, 64
_AGAINST = ("cpu_seconds", "wall_seconds", "gpu_seconds", "step")
_FORMATS = (".png", ".pdf", ".svg")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge compare", description="Put runs on the same data side by side.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders; seeds of the same recipe are averaged")
    parser.add_argument("-o", "--out", type=Path, default=Path("compare.png"), help=".png, .pdf or .svg (compare.png)")
    parser.add_argument("--metric", help="scalar of the log to draw; default: frechet_lenet, or energy_distance")
    parser.add_argument("--against", choices=_AGAINST, default="cpu_seconds", help="the curves' horizontal axis (cpu_seconds)")
    parser.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the table's figures, seed by seed")
    args = parser.parse_args(argv)
    if args.out.suffix not in _FORMATS:
        raise MongeError(f"--out must end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}, got '{args.out}'")
    import torch

    from monge import plots
    from monge.music.kind import pictures
    from monge.train import drawn, load_run
    from monge.train.compare import as_json, logged, read_groups, require_logged, table

    groups = read_groups(args.runs)
    metric = args.metric or ("frechet_lenet" if logged(groups, "frechet_lenet") else "energy_distance")
    require_logged(groups, "--metric", metric)
    require_logged(groups, "--against", args.against)
    samples = {}
    for group in groups:
        method, source = load_run(group.runs[0].folder)
        n = _POINTS if len(source.shape) == 1 else _PICTURES
        with torch.no_grad():
            samples[group.label] = pictures(drawn(method, source, n).float().cpu(), source)
    figure = plots.comparison(
        pictures(source.held_out(n), source),
        samples,
        {group.label: [run.history for run in group.runs] for group in groups},
        [metric, "modes"] if logged(groups, "modes") and metric != "modes" else [metric],
        args.against,
        {group.label: group.headline for group in groups},
    )
    print(table(groups))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=200, bbox_inches="tight")
    if args.json_file:
        args.json_file.write_text(json.dumps(as_json(groups), indent=2, ensure_ascii=False) + "\n")
    print(f"look at {args.out}")
    return 0
