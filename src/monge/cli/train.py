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

RECIPE is a name from 'monge ls' or a YAML file. --preset takes a variant that the recipe holds, gpu for instance; flags
change it further. Every key of the recipe is a flag, for example --run.steps 500; 'monge train RECIPE --help' lists them.
The same command again continues an interrupted run."""


def main(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        asked = bool({"-h", "--help"} & set(argv))
        print(_HELP, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
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
    """Train, then say where to look and how far the samples are from the data."""
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
    """Split ``--preset NAME`` or ``--preset=NAME`` off the flags.

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
                "--preset needs a value, for example --preset=cpu, the recipe as it is ('monge ls' "
                "shows others)"
            )
    return preset, rest


def override(recipe: Any, flags: list[str]) -> Any:
    """Apply ``--a.b value`` or ``--a.b=value`` flags to a recipe; the values are validated as those
    of a file are.
    """
    from monge.training import parse
    from monge.training.folder import leaves
    from monge.training.recipe import current, dump

    tree = dump(recipe)
    names = list(leaves(tree))
    known = {name.replace("_", "-"): name for name in names}
    words = iter(flags)
    for word in words:
        flag, given, value = word.partition("=")
        name = known.get(flag.removeprefix("--").replace("_", "-"))
        if now := current(type(recipe), flag.removeprefix("--").replace("-", "_")):
            raise MongeError(
                f"unknown flag {flag}: it is now {' and '.join(f'--{new}' for new in now)}"
            )
        if not flag.startswith("--") or name is None:
            raise MongeError(
                "unknown flag "
                f"{flag}{nearest(flag, [*(f'--{n}' for n in names), '--preset', *_SWITCHES])}"
            )
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
    """Let tyro lay out every key of the recipe with its meaning and default."""
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
        """Variant of the recipe to start from, one of those that 'monge ls' shows; cpu is the
        recipe as it is.
        """
        fresh: bool = False
        """Delete what the run folder holds and start over."""
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
