"""Run a benchmark by its name: ``python -m benchmarks NAME [flags]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from monge.errors import MongeError, nearest

# NAME: the module in this package that has main(argv), and what it does
BENCHMARKS: dict[str, tuple[str, str]] = {
    "reproduce": ("recipes.reproduce", "train a recipe on several seeds and store its metrics"),
    "tables": ("tables", "write the tables of the documentation from benchmarks/results"),
    "solvers": ("solvers.bench", "CPU time of the solvers beside POT, GeomLoss and OTT-JAX"),
    "semi-discrete-epsilon": ("generators.semi_discrete", "semi-discrete generators for five ε"),
    "icnn": ("maps.icnn", "CPU time of a W2GN step beside a plain implementation"),
    "adapt": ("maps.adapt", "domain adaptation between USPS and MNIST"),
    "color": ("maps.color", "color transfer on five pairs of photographs"),
    "interpolation-critic": ("autoencoders.critic", "error of a critic of interpolations"),
    "interpolation-paths": ("autoencoders.paths", "midpoints of three kinds of path"),
    "autoencoder-figures": ("autoencoders.figures", "draw the figures of docs/autoencoders.md"),
    "textures": ("textures.synthesis", "textures beside three other methods, 17 exemplars"),
    "texture-tasks": ("textures.tasks", "seeds, tiles, holes and mixtures of textures"),
    "texture-generator": ("textures.generator", "feed-forward generators of textures"),
    "dance": ("dance.comparison", "MDOT-Net beside real dances, retrieval and other losses"),
    "dance-metrics": ("dance.features", "CPU time of features of dances beside loops"),
    "examples": ("command_line.examples", "CPU time of every example"),
    "startup": ("command_line.startup", "time until an import or a command is ready"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that ``argv`` names, or list all; return the exit code."""
    name, *flags = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(listing())
        return 0
    if name not in BENCHMARKS:
        print(f"unknown benchmark '{name}'{nearest(name, BENCHMARKS)}", file=sys.stderr)
        return 2
    try:
        import_module(f"benchmarks.{BENCHMARKS[name][0]}").main(flags)
    except MongeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def listing() -> str:
    """Return the usage and a line for each benchmark."""
    width = max(map(len, BENCHMARKS))
    lines = [f"  {name:{width}}  {text}" for name, (_, text) in BENCHMARKS.items()]
    return "\n".join(
        ["usage: python -m benchmarks NAME [flags]; NAME --help has the flags", *lines]
    )


if __name__ == "__main__":
    sys.exit(main())
