"""`monge train RECIPE [--run.steps N ...]`: every key of the recipe is a flag."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from monge.errors import MongeError, nearest

_SWITCHES = {"--fresh", "--print-config", "--dry-run"}

_HELP = """usage: monge train RECIPE [flags]

RECIPE is a name from 'monge ls' or a YAML file. Every key of the recipe is a flag, for example --run.steps 500;
'monge train RECIPE --help' lists them. The same command again continues an interrupted run."""


def main(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        asked = bool({"-h", "--help"} & set(argv))
        print(_HELP, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    name, flags = argv[0], argv[1:]
    from monge.engine import RunFolder, find, read, to_yaml

    recipe = read(find(name))
    if {"-h", "--help"} & set(flags):
        _print_help(recipe, f"monge train {name}")
        return 0
    switches = _SWITCHES & set(flags)
    recipe = override(recipe, [flag for flag in flags if flag not in _SWITCHES])
    if "--print-config" in switches:
        print(to_yaml(recipe), end="")
        return 0
    folder = RunFolder(recipe.run.out or Path("runs") / Path(name).stem)
    if "--dry-run" in switches:
        return _dry_run(recipe, folder)
    return run(recipe, folder, fresh="--fresh" in switches)


def run(recipe: Any, folder: Any, *, fresh: bool = False) -> int:
    """Train, then say where to look and how far the samples are from the data."""
    from monge.engine import Interrupted, train

    try:
        metrics = train(recipe, folder, fresh=fresh)
    except Interrupted as stop:
        print(f"monge: {stop}", file=sys.stderr)
        return 128 + stop.signum
    if metrics:
        print(summary(metrics))
        print(f"look at {folder.samples} and {folder.report}")
    return 0


def summary(metrics: dict[str, Any]) -> str:
    """The figures of a run, one a line, each beside its floor."""
    m = metrics
    lines = [f"exact W2² of {m['samples']} samples: {m['w2_squared']:.4g} = {m['w2_ratio']:.2f} × the floor of real data"]
    if "modes" in m:
        lines.append(f"modes: {m['modes']}/{m['modes_total']}, {m['share_within_3_sigma']:.1%} of samples within 3σ")
    if "frechet_lenet" in m:
        lines.append(
            f"Fréchet-LeNet: {m['frechet_lenet']:.1f} (floor {m['frechet_lenet_floor']:.1f}, "
            f"one Gaussian in pixel space {m['frechet_lenet_pixel_gaussian']:.0f})"
        )
        lines.append(
            f"classes: {m['smallest_class']:.1%} to {m['largest_class']:.1%}; mean confidence {m['confidence']:.3f}; "
            f"precision {m['precision_lenet']:.2f}, recall {m['recall_lenet']:.2f}"
        )
    return "\n".join(lines)


def override(recipe: Any, flags: list[str]) -> Any:
    """Apply ``--a.b value`` or ``--a.b=value`` flags to a recipe; the values are validated as those of a file are."""
    from monge.engine import parse
    from monge.engine.recipe import dump

    tree, names = dump(recipe), _names(recipe)
    known = {name.replace("_", "-"): name for name in names}
    words = iter(flags)
    for word in words:
        flag, given, value = word.partition("=")
        name = known.get(flag.removeprefix("--").replace("_", "-"))
        if not flag.startswith("--") or name is None:
            raise MongeError(f"unknown flag {flag}{nearest(flag, [*(f'--{n}' for n in names), *_SWITCHES])}")
        if not given:
            value = next(words, "")
            if not value or value.startswith("--"):
                raise MongeError(f"{flag} needs a value, for example {flag}={_get(tree, name)}")
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch[part]
        branch[last] = value
    return parse(tree, "flags")


def _get(tree: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        tree = tree[part]
    return tree


def _print_help(recipe: Any, prog: str) -> None:
    """Let tyro lay out every key of the recipe with its meaning and default."""
    import tyro

    @dataclass(frozen=True)
    class Options:
        recipe: Annotated[Any, tyro.conf.arg(name="")] = field(default_factory=lambda: recipe)
        fresh: bool = False
        """Delete what the run folder holds and start over."""
        print_config: bool = False
        """Print the full configuration as YAML and stop."""
        dry_run: bool = False
        """Build everything, take one step, write nothing."""

    Options.__annotations__["recipe"] = Annotated[type(recipe), tyro.conf.arg(name="")]
    with contextlib.suppress(SystemExit):
        tyro.cli(Options, args=["--help"], prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


def _names(model: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        names += _names(value, f"{prefix}{name}.") if hasattr(type(value), "model_fields") else [prefix + name]
    return names


def _dry_run(recipe: Any, folder: Any) -> int:
    from monge.data import Draw, load
    from monge.engine import build

    source = load(recipe.data.name, recipe.data.root, recipe.data.size)
    method = build(recipe, source)
    scalars = method.step(Draw(source, recipe.run.seed, 0, steps=recipe.run.steps))
    parameters = sum(p.numel() for p in method.parameters())
    print(f"{recipe.method.name} on {source.name} {source.shape}: {parameters:,} parameters, {recipe.run.steps:,} steps")
    print("first step: " + ", ".join(f"{k} {float(v):.4g}" for k, v in scalars.items()))
    print(f"nothing was written; the run would go to {folder.path}")
    return 0
