"""`monge dance SONG -o dance.html`: make a dance to a song."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from monge.errors import MongeError, as_flags

_RUN = "runs/mdot-dance-melody"


def main(argv: list[str]) -> int:
    args = _parse_arguments(argv)
    from . import dancer, performance

    outs: list[Path] = list(dict.fromkeys(args.out or [Path(f"{args.song.stem}-dance.html")]))
    for path in outs:
        performance.check_name(path)
        if path.resolve() == args.song.resolve():
            raise MongeError(f"-o '{path}' would overwrite the song: give another name")
    began = time.monotonic()
    if not args.song.is_file():
        raise MongeError(f"song '{args.song}' does not exist: check the path")
    dance = performance.perform(
        dancer.Dancer.load(args.run),
        args.song,
        seed=args.seed,
        style=args.style,
        retime=args.beat_warp,
        seconds=args.seconds,
        on_step=_print_step if sys.stderr.isatty() else None,
    )
    for note in dance.notes:
        print(f"note: {note}")
    written: list[Path] = []
    for path in outs:
        if path in written:  # written in place of a video
            continue
        file, notes = performance.write(dance, path, seconds=args.seconds, progress=_bar)
        is_other = file != path
        for note in notes:
            if is_other:
                print(f"warning: {note}", file=sys.stderr)
            else:
                print(f"note: {as_flags(note)}")
        written.append(file)
    names = ", ".join(map(str, dict.fromkeys(written)))
    print(f"{names}: {dance.summary()}, in {time.monotonic() - began:.1f} s")
    return 0


def _print_step(step: str) -> None:
    print(f"{step} …", file=sys.stderr)


def _parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="monge dance", description="Make a dance to a song.")
    add = parser.add_argument
    add("song", type=Path, nargs="?", help="wav, flac, mp3 or ogg")
    add(
        *("-o", "--out"),
        type=Path,
        nargs="+",
        action="extend",
        help=".html (a page that plays it), .gif, .mp4 (needs ffmpeg), .bvh or .glb, one or "
        "several; default: SONG-dance.html",
    )
    add("--run", type=Path, default=Path(_RUN), help=f"folder of a trained run ({_RUN})")
    add("--seed", type=int, default=0, help="each seed gives another dance (0)")
    add(
        "--style",
        type=int,
        metavar="N",
        help="keep to one way of moving; default: another every 8 seconds",
    )
    add(
        "--beat-warp",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="retime the dance onto the beat (on)",
    )
    add("--seconds", type=float, help="dance to the beginning of the song only")
    args = parser.parse_args(argv)
    # -o takes all names that follow it, also that of a song at the end
    if args.song is None and args.out and len(args.out) > 1:
        args.song = args.out.pop()
    if args.song is None:
        parser.error("the following arguments are required: song")
    return args


def _bar(pictures: Iterable[Any], total: int, name: str) -> Iterable[Any]:
    from tqdm import tqdm

    interval = 0.2 if sys.stderr.isatty() else 30
    return tqdm(pictures, total=total, desc=name, unit="frame", leave=False, mininterval=interval)
