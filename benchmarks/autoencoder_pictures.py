"""Draw docs/autoencoders-*.png: paths between held-out pairs, and samples, of the runs of
benchmarks/reproduce.py, seed 0.

python benchmarks/autoencoder_pictures.py mnist
"""

from __future__ import annotations

import argparse

import torch
from code_tables import AUTOENCODERS
from matplotlib.figure import Figure
from reproduce import ROOT
from torch import Tensor

from monge import plots
from monge.metrics import cross_fade
from monge.training import RunFolder, load_run

_STEPS, _PAIRS, _SAMPLES = 11, 2, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=("mnist", "lines"))
    data = parser.parse_args().data
    runs = ROOT / "runs" / "reproduce"
    rows = {
        title: row
        for name, (title, _) in AUTOENCODERS.items()
        if (row := drawn(runs / f"{name}-{data}-seed0")) is not None
    }
    target = ROOT / "docs" / f"autoencoders-{data}.png"
    target.write_bytes(plots.to_png(sheet(rows, samples=data == "mnist")))
    print(f"wrote {target.relative_to(ROOT)}")


@torch.no_grad()
def drawn(folder: object) -> tuple[Tensor, Tensor] | None:
    """Paths (pairs · steps, ...) and samples of a run, or None if it has not finished."""
    run = RunFolder(str(folder))
    if not run.metrics.is_file():
        return None
    method, source = load_run(run)
    ends = method.autoencoder.encode_all(source.held_out(2 * _PAIRS, 1))
    paths = cross_fade(ends[:_PAIRS], ends[_PAIRS:], _STEPS)
    return method.autoencoder.decode_all(paths.flatten(0, 1)), method.sample(_SAMPLES * _PAIRS)


def sheet(rows: dict[str, tuple[Tensor, Tensor]], samples: bool) -> Figure:
    figure = Figure(figsize=(11 if samples else 7, 0.85 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(
        len(rows),
        2 if samples else 1,
        squeeze=False,
        width_ratios=[_STEPS, _SAMPLES] if samples else None,
    )
    for line, (title, (paths, made)) in zip(axes, rows.items(), strict=True):
        line[0].imshow(plots.grid(paths, columns=_STEPS))
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        if samples:
            line[1].imshow(plots.grid(made.float().cpu(), columns=_SAMPLES))
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    axes[0][0].set_title("straight paths between the codes of two held-out pairs", fontsize=9)
    if samples:
        axes[0][1].set_title(
            "decoded from the prior, or from a Gaussian fitted to the codes", fontsize=9
        )
    return figure


if __name__ == "__main__":
    main()
