"""Dances to held-out songs: MDOT-Net beside real dances, retrieval, a mean pose, and its own parts;
writes results/dance.json.

    python benchmarks/dance.py train --what ot-gw --seed 0     # one run into runs/dance/; one that
                                                               is finished is left alone
    python benchmarks/dance.py table                           # measure the runs there are, and
                                                               what needs no training
    python benchmarks/dance.py table --makers ot-gw,gan --warp # only some, and their dances retimed
    as well

The recipe is trained on transport and relations (``ot-gw``), on either alone (``ot``, ``gw``), and
on a GAN's loss (``gan``). An interrupted training continues where it stopped. Figures are those of
whole songs, means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from color import most_resident_mib
from dance_makers import (
    RATE,
    UNTRAINED,
    WARPED,
    Songs,
    Take,
    learnt_relation,
    measured,
    modes,
    retimed,
    summary,
)
from reproduce import RESULTS, ROOT, surroundings
from torch import Tensor

from monge.dance import audio
from monge.dance.dancer import Dancer
from monge.dance.data import read_dances, split
from monge.dance.metrics import bone_length_error
from monge.dance.motion import MELODY
from monge.data import data_root
from monge.training import Recipe, RunFolder, find, load_run, parse, read, train
from monge.training.recipe import dump

RECIPE = "mdot-dance-melody"
RESULT, RUNS = RESULTS / "dance.json", ROOT / "runs" / "dance"
CHANGES: dict[str, dict[str, float]] = {
    "ot-gw": {},
    "ot": {"gw": 0.0},
    "gw": {"ot": 0.0},
    "gan": {"ot": 0.0, "gw": 0.0, "gan": 1.0, "lr": 5e-4},
}
SEEDS = range(3)
_NO_CURVE = ("step", "wall_seconds", "cpu_seconds", "gpu_seconds", "warning")
_AROUND = "surroundings.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train")
    one.add_argument("--what", choices=CHANGES, required=True)
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--steps", type=int, help="instead of the recipe's")
    table = commands.add_parser("table")
    table.add_argument("--makers", help="comma-separated; default: all")
    table.add_argument(
        "--warp", action="store_true", help="also retime dances to the beats of the music"
    )
    for command in (one, table):
        command.add_argument("--runs", type=Path, default=RUNS)
    table.add_argument("--results", type=Path, default=RESULT)
    args = parser.parse_args()
    if args.command == "train":
        learn(args.what, args.seed, args.runs, args.steps)
    else:
        torch.set_num_threads(1)
        names = args.makers.split(",") if args.makers else None
        fill(args.results, args.runs, names, args.warp)


def recipe(what: str, seed: int, runs: Path, steps: int | None = None) -> Recipe:
    """The recipe with the changes of one row of the table."""
    tree = dump(read(find(RECIPE)))
    tree["method"] |= CHANGES[what]
    tree["run"] |= {"seed": seed, "out": str(runs / f"{what}-{seed}")} | (
        {"steps": steps} if steps else {}
    )
    return parse(tree, RECIPE)


def learn(what: str, seed: int, runs: Path, steps: int | None = None) -> None:
    wanted, folder = recipe(what, seed, runs, steps), RunFolder(runs / f"{what}-{seed}")
    if folder.metrics.is_file() and folder.recipe() == wanted.model_copy(
        update={"about": folder.recipe().about}
    ):
        print(f"{folder.path} is finished")
        return
    around = surroundings()  # before the run: what is in src then is what it trains
    train(wanted, folder)
    note = {**around, "peak_memory_mib": round(most_resident_mib())}
    (folder.path / _AROUND).write_text(json.dumps(note, indent=2) + "\n")


def fill(results: Path, runs: Path, names: list[str] | None, warp: bool) -> None:
    """Measure maker after maker, and write down each."""
    train_songs, held = split(read_dances(data_root()))
    songs = Songs(train_songs, held)
    found: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {"makers": {}}
    found |= {
        "recipe_of": RECIPE,
        "train_songs": len(songs.train),
        "songs": about(songs),
        **surroundings(),
    }
    for name, make in UNTRAINED.items():
        if (names is None or name in names) and (warp or WARPED not in name):
            keep(name, measured(name, make(songs), songs), found, results)
    for what in CHANGES:
        folders = [
            folder
            for seed in SEEDS
            if (folder := RunFolder(runs / f"{what}-{seed}")).metrics.is_file()
        ]
        if folders and (names is None or what in names):
            takes, training = danced(folders, songs)
            more = {
                "training": training,
                **{key: summary([row[key] for row in training]) for key in ("modes", "relation")},
            }
            keep(what, measured(what, takes, songs) | more, found, results)
            if warp:
                keep(
                    what + WARPED,
                    measured(what + WARPED, retimed(takes), songs) | {"training": training},
                    found,
                    results,
                )
            if what == "ot-gw":
                found["speed"] = speed(Dancer(load_run(folders[0])[0]), songs)
                results.write_text(json.dumps(found, indent=2) + "\n")


def keep(name: str, row: dict[str, Any], found: dict[str, Any], results: Path) -> None:
    found["makers"][name] = row
    results.write_text(json.dumps(found, indent=2) + "\n")
    shown = {k: round(v["mean"], 3) for k, v in row["summary"].items()}
    print(
        name,
        json.dumps(
            shown | {k: round(v, 4) for k, v in row.get("beats", {}).items() if k != "by_song"}
        ),
        flush=True,
    )


def about(songs: Songs) -> list[dict[str, Any]]:
    return [
        {
            "name": song.name,
            "style": song.style,
            "frames": len(song.music),
            "beats": len(audio.beats_of(song.music)),
        }
        for song in songs.held
    ]


def danced(folders: list[RunFolder], songs: Songs) -> tuple[list[Take], list[dict[str, Any]]]:
    """What each run dances to the held-out songs, and how it was trained."""
    takes, training = [], []
    for folder in folders:
        method: Any = load_run(folder)[0]
        dancer = Dancer(method)
        seed = folder.recipe().run.seed
        takes.append(
            (
                [dancer.dance(music, seed=100 * seed + k) for k, music in enumerate(songs.music)],
                songs.music,
            )
        )
        various = modes(lambda music, k, d=dancer: d.dance(music, seed=k), songs)
        with torch.no_grad():
            related = learnt_relation(method, songs)
        training.append({"seed": seed, **trained(folder), "modes": various, "relation": related})
    return takes, training


def trained(folder: RunFolder) -> dict[str, Any]:
    """Cost of a run, and the first and last line of each curve of its log."""
    history = folder.history()
    curves = {
        name: [history[0][name], history[-1][name]]
        for name in history[-1]
        if name not in _NO_CURVE and name in history[0]
    }
    finite = all(
        isfinite(value)
        for line in history
        for value in line.values()
        if isinstance(value, int | float)
    )
    note = (
        json.loads((folder.path / _AROUND).read_text()) if (folder.path / _AROUND).is_file() else {}
    )
    cost = {
        key: history[-1][key]
        for key in ("cpu_seconds", "wall_seconds", "gpu_seconds")
        if key in history[-1]
    }
    more = {key: note[key] for key in ("commit", "peak_memory_mib") if key in note}
    return {"steps": history[-1]["step"], "finite": finite, "curves": curves, **cost, **more}


def speed(dancer: Dancer, songs: Songs) -> dict[str, Any]:
    """Seconds for a song of three minutes, from sound to features and from features to positions;
    what five minutes come to.
    """

    def tiled(minutes: int) -> Tensor:
        music, frames = songs.held[0].music, int(minutes * 60 * RATE)
        return music.repeat(-(-frames // len(music)), 1)[:frames]

    sound = torch.randn(180 * 22050, generator=torch.Generator().manual_seed(0))
    _, hearing = timed(lambda: audio.sound_features(sound))
    _, dancing = timed(lambda: dancer.dance(tiled(3)))
    long = dancer.dance(tiled(5))
    return {
        "features_of_3_minutes": hearing,
        "dance_of_3_minutes": dancing,
        "5_minutes_finite": bool(long.isfinite().all()),
        "5_minutes_bone_length_error": bone_length_error(long, MELODY).item(),
        "5_minutes_farthest_metres": long[:, MELODY.root, ::2].norm(dim=1).max().item(),
    }


def timed(work: Any) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }


if __name__ == "__main__":
    main()
