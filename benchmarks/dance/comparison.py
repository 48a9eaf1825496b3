"""Dances to held-out songs: MDOT-Net beside real dances, retrieval, a mean pose, and its parts.

    python -m benchmarks dance train --what ot-gw --seed 0       # one run into runs/dance/; a
                                                                 # finished one is left alone
    python -m benchmarks dance table                             # measure the runs there are, and
                                                                 # what needs no training
    python -m benchmarks dance table --makers ot-gw,gan --warp   # only some, and their dances
                                                                 # retimed as well

Writes results/dance.json. The recipe is trained on transport and relations (``ot-gw``), on either
alone (``ot``, ``gw``), and on a GAN's loss (``gan``). An interrupted training continues where it
stopped. Metrics are those of whole songs, means over the seeds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.command import make_parser, words
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.paths import RUNS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import Result, read_result, results_file, write_result
from benchmarks.dance.makers import RATE, RETIMED, UNTRAINED, Songs, Take, retime
from benchmarks.dance.measures import learned_relation, measure_modes, measure_takes, summarize
from monge.dance import audio
from monge.dance.dancer import Dancer
from monge.dance.data import read_dances, split
from monge.dance.metrics import bone_length_error
from monge.dance.motion import MELODY
from monge.data import data_root
from monge.training import Recipe, RunFolder, find, load_run, parse, read, train
from monge.training.recipe import dump

RECIPE = "mdot-dance-melody"
CHANGES: dict[str, dict[str, float]] = {
    "ot-gw": {},
    "ot": {"gw": 0.0},
    "gw": {"ot": 0.0},
    "gan": {"ot": 0.0, "gw": 0.0, "gan": 1.0, "lr": 5e-4},
}
SEEDS = range(3)
_COST = ("cpu_seconds", "wall_seconds", "gpu_seconds")
_NO_CURVE = ("step", "warning", *_COST)
_ORIGIN = "surroundings.json"


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("dance", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="train one run")
    one.add_argument("--what", choices=CHANGES, required=True)
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--steps", type=int, help="instead of the recipe's")
    table = commands.add_parser("table", help="measure the runs there are")
    table.add_argument("--makers", type=words, help="comma-separated; default: all")
    table.add_argument(
        "--warp", action="store_true", help="also retime dances to the beats of the music"
    )
    for command in (one, table):
        command.add_argument("--runs", type=Path, default=RUNS / "dance")
    table.add_argument("--results", type=Path, default=results_file("dance"))
    args = parser.parse_args(argv)
    if args.command == "train":
        train_run(args.what, args.seed, args.runs, args.steps)
    else:
        torch.set_num_threads(1)
        measure_all(args.results, args.runs, args.makers, args.warp)


def changed_recipe(what: str, seed: int, runs: Path, steps: int | None = None) -> Recipe:
    """Return the recipe with the changes of one row of the table."""
    tree = dump(read(find(RECIPE)))
    tree["method"] |= CHANGES[what]
    tree["run"] |= {"seed": seed, "out": str(runs / f"{what}-{seed}")}
    if steps:
        tree["run"]["steps"] = steps
    return parse(tree, RECIPE)


def train_run(what: str, seed: int, runs: Path, steps: int | None = None) -> None:
    """Train one run, unless it is finished."""
    wanted, folder = changed_recipe(what, seed, runs, steps), RunFolder(runs / f"{what}-{seed}")
    if folder.metrics.is_file():
        stored = folder.recipe()
        if stored == wanted.model_copy(update={"about": stored.about}):
            print(f"{folder.path} is finished")
            return
    origin = provenance()
    train(wanted, folder)
    note = origin | {"peak_memory_mib": round(peak_memory_mib())}
    write_result(folder.path / _ORIGIN, note)


def measure_all(path: Path, runs: Path, names: list[str] | None, warp: bool) -> None:
    """Measure maker after maker; each is stored."""
    train_songs, held = split(read_dances(data_root()))
    songs = Songs(train_songs, held)
    result: Result = read_result(path, {"makers": {}})
    result |= {"recipe_of": RECIPE, "train_songs": len(songs.train), "songs": describe(songs)}
    result |= provenance()
    for name, make in UNTRAINED.items():
        if (names is None or name in names) and (warp or RETIMED not in name):
            store(name, measure_takes(name, make(songs), songs), result, path)
    for what in CHANGES:
        folders = [RunFolder(runs / f"{what}-{seed}") for seed in SEEDS]
        folders = [folder for folder in folders if folder.metrics.is_file()]
        if not folders or (names is not None and what not in names):
            continue
        takes, training = dance_songs(folders, songs)
        row = measure_takes(what, takes, songs) | {"training": training}
        row |= {key: summarize([run[key] for run in training]) for key in ("modes", "relation")}
        store(what, row, result, path)
        if warp:
            retimed = measure_takes(what + RETIMED, retime(takes), songs)
            store(what + RETIMED, retimed | {"training": training}, result, path)
        if what == "ot-gw":
            result["speed"] = measure_speed(Dancer(load_run(folders[0])[0]), songs)
            write_result(path, result)


def store(name: str, row: Result, result: Result, path: Path) -> None:
    result["makers"][name] = row
    write_result(path, result)
    means = {key: round(value["mean"], 3) for key, value in row["summary"].items()}
    beats = {k: round(v, 4) for k, v in row.get("beats", {}).items() if k != "by_song"}
    print(name, json.dumps(means | beats), flush=True)


def describe(songs: Songs) -> list[dict[str, Any]]:
    """Return name, style, length and number of beats of the held-out songs."""
    return [
        {
            "name": song.name,
            "style": song.style,
            "frames": len(song.music),
            "beats": len(audio.beats_of(song.music)),
        }
        for song in songs.held
    ]


def dance_songs(folders: list[RunFolder], songs: Songs) -> tuple[list[Take], list[dict[str, Any]]]:
    """Return what each run dances to the held-out songs, and how it was trained."""
    takes, training = [], []
    for folder in folders:
        method: Any = load_run(folder)[0]
        dancer = Dancer(method)
        seed = folder.recipe().run.seed
        dances = [dancer.dance(music, seed=100 * seed + k) for k, music in enumerate(songs.music)]
        takes.append((dances, songs.music))
        modes = measure_modes(dancer, songs)
        with torch.no_grad():
            relation = learned_relation(method, songs)
        log = read_training(folder)
        training.append({"seed": seed, **log, "modes": modes, "relation": relation})
    return takes, training


def read_training(folder: RunFolder) -> dict[str, Any]:
    """Return the cost of a run, and the first and last value of each curve of its log."""
    history = folder.history()
    first, last = history[0], history[-1]
    curves = {
        name: [first[name], last[name]] for name in last if name not in _NO_CURVE and name in first
    }
    values = [value for line in history for value in line.values()]
    finite = all(isfinite(value) for value in values if isinstance(value, int | float))
    note = read_result(folder.path / _ORIGIN, {})
    cost = {key: last[key] for key in _COST if key in last}
    origin = {key: note[key] for key in ("commit", "peak_memory_mib") if key in note}
    return {"steps": last["step"], "finite": finite, "curves": curves, **cost, **origin}


def measure_speed(dancer: Dancer, songs: Songs) -> dict[str, Any]:
    """Return seconds for a song of three minutes, and properties of a dance of five minutes.

    The seconds are from sound to features and from features to positions.
    """

    def tile(minutes: int) -> Tensor:
        music, frames = songs.held[0].music, int(minutes * 60 * RATE)
        return music.repeat(-(-frames // len(music)), 1)[:frames]

    sound = torch.randn(180 * 22050, generator=torch.Generator().manual_seed(0))
    _, features = timed(audio.sound_features, sound)
    _, dance = timed(lambda: dancer.dance(tile(3)))
    long = dancer.dance(tile(5))
    return {
        "features_of_3_minutes": features,
        "dance_of_3_minutes": dance,
        "5_minutes_finite": bool(long.isfinite().all()),
        "5_minutes_bone_length_error": bone_length_error(long, MELODY).item(),
        "5_minutes_farthest_metres": long[:, MELODY.root, ::2].norm(dim=1).max().item(),
    }
