"""Draw docs/autoencoders-*.png: paths between held-out pairs, and samples, of seed 0.

    python -m benchmarks autoencoder-figures mnist

Takes the finished runs of ``reproduce``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.autoencoders.tables import AUTOENCODERS
from benchmarks.common.command import make_parser
from benchmarks.common.paths import DOCS, reproduced_run, shown_path
from monge import plots
from monge.metrics import cross_fade
from monge.training import RunFolder, load_run

_STEPS, _PAIRS, _SAMPLES = 11, 2, 10


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("autoencoder-figures", __doc__)
    parser.add_argument("data", choices=("mnist", "lines"))
    data = parser.parse_args(argv).data
    rows = {}
    for name, (title, _) in AUTOENCODERS.items():
        run = RunFolder(reproduced_run(f"{name}-{data}", 0))
        if run.metrics.is_file():
            rows[title] = make_pictures(run)
    target = DOCS / f"autoencoders-{data}.png"
    target.write_bytes(plots.to_png(draw_sheet(rows, samples=data == "mnist")))
    print(f"wrote {shown_path(target)}")


@torch.no_grad()
def make_pictures(run: RunFolder) -> tuple[Tensor, Tensor]:
    """Return decoded paths (pairs · steps, ...) and samples of a finished run."""
    method, source = load_run(run)
    ends = method.autoencoder.encode_all(source.held_out(2 * _PAIRS, 1))
    paths = cross_fade(ends[:_PAIRS], ends[_PAIRS:], _STEPS)
    return method.autoencoder.decode_all(paths.flatten(0, 1)), method.sample(_SAMPLES * _PAIRS)


def draw_sheet(rows: dict[str, tuple[Tensor, Tensor]], samples: bool) -> Figure:
    """Draw a row for each autoencoder."""
    figure = Figure(figsize=(11 if samples else 7, 0.85 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(
        len(rows),
        2 if samples else 1,
        squeeze=False,
        width_ratios=[_STEPS, _SAMPLES] if samples else None,
    )
    for line, (title, (paths, sampled)) in zip(axes, rows.items(), strict=True):
        line[0].imshow(plots.grid(paths, columns=_STEPS))
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        if samples:
            line[1].imshow(plots.grid(sampled.float().cpu(), columns=_SAMPLES))
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    axes[0][0].set_title("straight paths between the codes of two held-out pairs", fontsize=9)
    if samples:
        axes[0][1].set_title(
            "decoded from the prior, or from a Gaussian fitted to the codes", fontsize=9
        )
    return figure
