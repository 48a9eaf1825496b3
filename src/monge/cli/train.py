"""`monge train RECIPE [--preset NAME] [--run.steps N ...]`: every key of the recipe is a flag."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from monge.errors import MongeError, nearest

FLAGS = {"out": "--run.out", "size": "--data.size"}  # of parameters with another name
_SWITCHES = {"--fresh", "--print-config", "--dry-run"}

_HELP = """usage: monge train RECIPE [--preset NAME] [flags]

RECIPE is a name from 'monge ls' or a YAML file. --preset selects a variant of the recipe, for
example gpu. Every key of the recipe is a flag that changes it, for example --run.steps 500;
'monge train RECIPE --help' lists them. The same command again continues an interrupted run."""


def main(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        help_requested = bool({"-h", "--help"} & set(argv))
        print(_HELP, file=sys.stdout if help_requested else sys.stderr)
        return 0 if help_requested else 2
    from monge.training import RunFolder, find, read, to_yaml

    name, (preset, flags) = argv[0], _take_preset(argv[1:])
    recipe = read(find(name), preset)
    if {"-h", "--help"} & set(flags):
        _print_help(recipe, f"monge train {name}")
        return 0
    switches = _SWITCHES & set(flags)
    recipe = override(recipe, [flag for flag in flags if flag not in _SWITCHES])
    if "--print-config" in switches:
        print(to_yaml(recipe), end="")
        return 0
    variant = f"-{preset}" if preset and preset != "cpu" else ""
    folder = RunFolder(recipe.run.out or Path("runs") / f"{Path(name).stem}{variant}")
    if "--dry-run" in switches:
        return _dry_run(recipe, folder)
    return run(recipe, folder, fresh="--fresh" in switches)


def run(recipe: Any, folder: Any, *, fresh: bool = False) -> int:
    """Train, then print the metrics and the files to look at."""
    from monge.training import Interrupted, train

    try:
        metrics = train(recipe, folder, fresh=fresh)
    except Interrupted as stop:
        print(f"monge: {stop}", file=sys.stderr)
        return 128 + stop.signum
    if metrics:
        print(metrics.summary())
        print(f"look at {folder.samples} and {folder.report}")
    return 0


def _take_preset(flags: list[str]) -> tuple[str | None, list[str]]:
    """Separate ``--preset NAME`` or ``--preset=NAME`` from the other flags.

    >>> _take_preset(["--fresh", "--preset", "gpu", "--run.steps", "5"])
    ('gpu', ['--fresh', '--run.steps', '5'])
    """
    preset, rest, words = None, [], iter(flags)
    for word in words:
        flag, given, value = word.partition("=")
        if flag != "--preset":
            rest.append(word)
            continue
        preset = value if given else next(words, "")
        if not preset or preset.startswith("--"):
            raise MongeError(
                "--preset needs a value, for example --preset=cpu, the unchanged recipe "
                "('monge ls' lists others)"
            )
    return preset, rest


def override(recipe: Any, flags: list[str]) -> Any:
    """Apply flags ``--a.b value`` or ``--a.b=value`` to a recipe, and validate the result."""
    from monge.training import parse
    from monge.training.folder import leaves
    from monge.training.recipe import current_keys, dump

    tree = dump(recipe)
    names = list(leaves(tree))
    known = {name.replace("_", "-"): name for name in names}
    words = iter(flags)
    for word in words:
        flag, given, value = word.partition("=")
        key = flag.removeprefix("--")
        name = known.get(key.replace("_", "-"))
        if now := current_keys(type(recipe), key.replace("-", "_")):
            raise MongeError(
                f"unknown flag {flag}: it is now {' and '.join(f'--{new}' for new in now)}"
            )
        if not flag.startswith("--") or name is None:
            options = [*(f"--{n}" for n in names), "--preset", *_SWITCHES]
            raise MongeError(f"unknown flag {flag}{nearest(flag, options)}")
        if not given:
            value = next(words, "")
            if not value or value.startswith("--"):
                raise MongeError(f"{flag} needs a value, for example {flag}={leaves(tree)[name]}")
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch[part]
        branch[last] = value
    return parse(tree, "flags")


def _print_help(recipe: Any, prog: str) -> None:
    """Print every key of the recipe with its meaning and default, formatted by tyro."""
    import tyro
    from pydantic import create_model

    keys: dict[str, Any] = {
        k: (f.annotation, getattr(recipe, k))
        for k, f in type(recipe).model_fields.items()
        if k != "presets"
    }
    shown = create_model("Recipe", **keys)

    @dataclass(frozen=True)
    class Options:
        recipe: Annotated[Any, tyro.conf.arg(name="")] = field(default_factory=shown)
        preset: str = "cpu"
        """Variant of the recipe ('monge ls' lists them); cpu is the unchanged recipe."""
        fresh: bool = False
        """Delete the run in the run folder and start again."""
        print_config: bool = False
        """Print the full configuration as YAML and stop."""
        dry_run: bool = False
        """Build everything, take one step, write nothing."""

    Options.__annotations__["recipe"] = Annotated[shown, tyro.conf.arg(name="")]
    with contextlib.suppress(SystemExit):
        tyro.cli(Options, args=["--help"], prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


def _dry_run(recipe: Any, folder: Any) -> int:
    from monge.data import StepInputs, load
    from monge.training import build

    dataset = load(recipe.data.name, recipe.data.root, recipe.data.size)
    method = build(recipe, dataset)
    scalars = method.step(StepInputs(dataset, recipe.run.seed, 0, steps=recipe.run.steps))
    parameters = sum(p.numel() for p in method.parameters())
    print(
        f"{recipe.method.name} on {dataset.name} {dataset.shape}: {parameters:,} parameters, "
        f"{recipe.run.steps:,} steps"
    )
    print("first step: " + ", ".join(f"{k} {float(v):.4g}" for k, v in scalars.items()))
    print(f"nothing was written; the run would go to {folder.path}")
    return 0
