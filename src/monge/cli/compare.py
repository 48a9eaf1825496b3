"""`monge compare RUN...`: a table and a figure of several runs, one row per recipe."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

from monge.errors import MongeError

_POINTS, _PICTURES = 1500, 64
_AGAINST = ("cpu_seconds", "wall_seconds", "gpu_seconds", "step")
_FORMATS = (".png", ".pdf", ".svg")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge compare", description="Put runs on the same data side by side."
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folders; seeds of the same recipe are averaged"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("compare.png"),
        help=".png, .pdf or .svg (compare.png)",
    )
    parser.add_argument(
        "--metric", help="scalar of the log to draw; default: frechet_lenet, or energy_distance"
    )
    parser.add_argument(
        "--against",
        choices=_AGAINST,
        default="cpu_seconds",
        help="the curves' horizontal axis (cpu_seconds)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        dest="json_file",
        metavar="FILE",
        help="write the metrics of each seed",
    )
    args = parser.parse_args(argv)
    if args.out.suffix not in _FORMATS:
        raise MongeError(
            f"--out must end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}, got '{args.out}'"
        )
    from monge import plots
    from monge.data import Subject
    from monge.metrics import EvalConfig
    from monge.training import load_run
    from monge.training.compare import as_json, logged, read_groups, require_logged, table
    from monge.training.evaluate import known_metrics

    groups = read_groups(args.runs)
    default = "frechet_lenet" if logged(groups, "frechet_lenet") else "energy_distance"
    metric = args.metric or default
    require_logged(groups, "--metric", metric)
    require_logged(groups, "--against", args.against)
    samples = {}
    for group in groups:
        method, data = load_run(group.runs[0].folder)
        n, metrics = _POINTS if len(data.shape) == 1 else _PICTURES, known_metrics(data)
        samples[group.label] = _panel(Subject(method, data, EvalConfig()).samples(n), data)
    histories = {group.label: [run.history for run in group.runs] for group in groups}
    curves = [metric, "modes"] if logged(groups, "modes") and metric != "modes" else [metric]
    captions = {group.label: group.headline(metrics) for group in groups}
    titles = {m.key: m.title for m in metrics}
    figure = plots.comparison(
        _panel(data.held_out(n), data), samples, histories, curves, args.against, captions, titles
    )
    print(table(groups, metrics))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=200, bbox_inches="tight")
    if args.json_file:
        args.json_file.write_text(json.dumps(as_json(groups), indent=2, ensure_ascii=False) + "\n")
    print(f"look at {args.out}")
    return 0


def _panel(samples: Any, data: Any) -> Any:
    """Return points as they are, and samples of other kinds as one picture (h, w, 3)."""
    import numpy as np
    from PIL import Image

    from monge.data import kind_of

    if samples.ndim == 2:
        return samples
    return np.asarray(Image.open(io.BytesIO(kind_of(data).show(samples, samples))).convert("RGB"))
