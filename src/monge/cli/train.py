"""`monge train RECIPE [--preset NAME] [--run.steps N ...]`: every key of the recipe is a flag."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from monge.errors import MongeError, nearest

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
    from monge.engine import RunFolder, find, read, to_yaml

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
    floor = f" = {m['w2_ratio']:.2f} × the floor of real data" if "w2_ratio" in m else ", where real data, all equal, reach 0"
    lines = [f"exact W2² of {m['samples']} samples: {m['w2_squared']:.4g}{floor}"]
    if "modes" in m:
        lines.append(f"modes: {m['modes']}/{m['modes_total']}, {m['share_within_3_sigma']:.1%} of samples within 3σ")
    if "w2_inverse_ratio" in m:
        lines.append(
            f"inverse: W2² {m['w2_inverse']:.4g} = {m['w2_inverse_ratio']:.2f} × its floor; "
            f"there and back, off by {m['cycle_error']:.2g}% of the variance"
        )
    if "w2_dual" in m:
        exact = f"{m['w2_exact']:.4g} exactly on {m['samples']} points"
        lines.append(f"W2² from the origin to the data: {m['w2_dual']:.4g} by the dual, {exact}")
    if "l2_uvp" in m:
        inverse = f", inverse {m['l2_uvp_inverse']:.2f}%" if "l2_uvp_inverse" in m else ""
        lines.append(f"L2-UVP to the optimal map: {m['l2_uvp']:.2f}%{inverse} (best linear map {m['l2_uvp_linear']:.2f}%)")
    for name in ("frechet_filters_forward", "frechet_filters_inverse"):
        if name in m:
            around = f"unmoved {m[f'{name}_unmoved']:.2f}, floor {m[f'{name}_floor']:.2f}"
            lines += [f"Fréchet of filters, {name.removeprefix('frechet_filters_')}: {m[name]:.2f} ({around})"]
    if "frechet_lenet_baseline" in m:
        lines.append(
            f"Fréchet-LeNet of decoded codes: a fitted Gaussian {m['frechet_lenet_baseline']:.1f}, "
            f"the data's own {m['frechet_lenet_reconstruction']:.1f}"
        )
    if "frechet_lenet" in m:
        lines.append(
            f"Fréchet-LeNet: {m['frechet_lenet']:.1f} (floor {m['frechet_lenet_floor']:.1f}, "
            f"one Gaussian in pixel space {m['frechet_lenet_pixel_gaussian']:.0f})"
        )
        lines.append(
            f"classes: {m['smallest_class']:.1%} to {m['largest_class']:.1%}; mean confidence {m['confidence']:.3f}; "
            f"precision {m['precision_lenet']:.2f}, recall {m['recall_lenet']:.2f}"
        )
    for kind in ("kinetic", "geometric"):
        if f"dance_frechet_{kind}" in m:
            around = f"floor {m[f'dance_frechet_{kind}_floor']:.2f}"
            lines.append(f"Fréchet of {kind} features: {m[f'dance_frechet_{kind}']:.2f} ({around})")
    if "dance_beat_alignment" in m:
        others = f"real dances {m['dance_beat_alignment_real']:.3f}, to other music {m['dance_beat_alignment_shuffled']:.3f}"
        lines.append(f"beat alignment: {m['dance_beat_alignment']:.3f} ({others})")
    if "nearest_train_copies" in m:
        lines.append(
            f"copies of training data: {m['nearest_train_copies']:.1%} of samples (new data 1.0%); "
            f"median distance to the nearest {m.get('nearest_train_ratio', float('inf')):.2f} × that of new data"
        )
    return "\n".join([*lines, *(f"warning: {text}" for text in m.get("warnings", ()))])


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
            raise MongeError("--preset needs a value, for example --preset=cpu, the recipe as it is ('monge ls' shows others)")
    return preset, rest


def override(recipe: Any, flags: list[str]) -> Any:
    """Apply ``--a.b value`` or ``--a.b=value`` flags to a recipe; the values are validated as those of a file are."""
    from monge.engine import parse
    from monge.engine.recipe import current, dump

    tree, names = dump(recipe), _names(recipe)
    known = {name.replace("_", "-"): name for name in names}
    words = iter(flags)
    for word in words:
        flag, given, value = word.partition("=")
        name = known.get(flag.removeprefix("--").replace("_", "-"))
        if now := current(type(recipe), flag.removeprefix("--").replace("-", "_")):
            raise MongeError(f"unknown flag {flag}: it is now {' and '.join(f'--{new}' for new in now)}")
        if not flag.startswith("--") or name is None:
            raise MongeError(f"unknown flag {flag}{nearest(flag, [*(f'--{n}' for n in names), '--preset', *_SWITCHES])}")
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
    from pydantic import create_model

    keys: dict[str, Any] = {k: (f.annotation, getattr(recipe, k)) for k, f in type(recipe).model_fields.items() if k != "presets"}
    shown = create_model("Recipe", **keys)

    @dataclass(frozen=True)
    class Options:
        recipe: Annotated[Any, tyro.conf.arg(name="")] = field(default_factory=shown)
        preset: str = "cpu"
        """Variant of the recipe to start from, one of those that 'monge ls' shows; cpu is the recipe as it is."""
        fresh: bool = False
        """Delete what the run folder holds and start over."""
        print_config: bool = False
        """Print the full configuration as YAML and stop."""
        dry_run: bool = False
        """Build everything, take one step, write nothing."""

    Options.__annotations__["recipe"] = Annotated[shown, tyro.conf.arg(name="")]
    with contextlib.suppress(SystemExit):
        tyro.cli(Options, args=["--help"], prog=prog, config=(tyro.conf.FlagCreatePairsOff,))


def _names(model: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for name in type(model).model_fields:
        if name == "presets":
            continue
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
