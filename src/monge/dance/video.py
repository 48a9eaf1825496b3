"""A video through ffmpeg, which is given pictures through a pipe and the song by name."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from monge.errors import MongeError

from .plots import Picture


def find_ffmpeg() -> str | None:
    """The program, or None."""
    return shutil.which("ffmpeg")


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    size: tuple[int, int],
    rate: float,
    song: Path,
    seconds: float,
) -> None:
    """Write pictures (height, width, 3) with the song's first ``seconds`` as sound; ``size`` is
    (width, height), both even.

    MongeError with ffmpeg's own words where it fails; then no file is left.
    """
    program = find_ffmpeg()
    if program is None:
        raise MongeError("there is no ffmpeg, which .mp4 needs: install it, or write .html or .gif")
    partial = path.with_name(f"{path.stem}.part.mp4")
    shape = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{size[0]}x{size[1]}",
        "-r",
        f"{rate:g}",
        "-i",
        "pipe:0",
    ]
    sound = [
        "-i",
        str(song.resolve()),
        "-map",
        "0:v",
        "-map",
        "1:a:0",
        "-c:a",
        "aac",
        "-t",
        f"{seconds:.3f}",
    ]
    picture = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(partial.resolve())]
    with (
        tempfile.TemporaryFile() as said
    ):  # a file, not a pipe: a pipe that is full would stop ffmpeg while it is fed
        with subprocess.Popen(
            [program, "-y", "-loglevel", "error", *shape, *sound, *picture],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        ) as process:
            assert process.stdin
            try:
                for shown in pictures:
                    process.stdin.write(shown.tobytes())
                process.stdin.close()
            except BrokenPipeError:
                pass  # it has left; what it said follows
            except BaseException:
                process.kill()
                partial.unlink(missing_ok=True)
                raise
            status = process.wait()
        if status:
            partial.unlink(missing_ok=True)
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise MongeError(
                f"ffmpeg failed on '{path}': {lines[-1] if lines else f'status {status}'}; .html "
                "and .gif need no ffmpeg"
            )
    partial.replace(path)
