"""Videos by ffmpeg, which reads the pictures from a pipe and the song from its file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from monge.errors import MongeError

from .plots import Picture


def find_ffmpeg() -> str | None:
    """Return the path of ffmpeg, or None if it is not installed."""
    return shutil.which("ffmpeg")


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    size: tuple[int, int],
    rate: float,
    song: Path,
    seconds: float,
) -> None:
    """Write pictures (height, width, 3) as a video with the song's first ``seconds`` as sound.

    ``size`` is (width, height), both even. Raises MongeError with ffmpeg's message if it fails;
    then no file is left.
    """
    program = find_ffmpeg()
    if program is None:
        raise MongeError(
            ".mp4 needs ffmpeg, which is not installed: install it, or write .html or .gif"
        )
    partial = path.with_name(f"{path.stem}.part.mp4")
    command = [
        *(program, "-y", "-loglevel", "error"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{size[0]}x{size[1]}", "-r", f"{rate:g}", "-i", "pipe:0"),
        *("-i", str(song.resolve()), "-map", "0:v", "-map", "1:a:0"),
        *("-c:a", "aac", "-t", f"{seconds:.3f}"),
        *("-pix_fmt", "yuv420p", "-movflags", "+faststart", str(partial.resolve())),
    ]
    # messages go to a file, not to a pipe: a full pipe would block ffmpeg while it reads pictures
    with tempfile.TemporaryFile() as messages:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=messages, stderr=messages
        ) as process:
            assert process.stdin
            try:
                for picture in pictures:
                    process.stdin.write(picture.tobytes())
                process.stdin.close()
            except BrokenPipeError:
                pass  # ffmpeg has exited; its status and its message are handled below
            except BaseException:
                process.kill()
                partial.unlink(missing_ok=True)
                raise
            status = process.wait()
        if status:
            partial.unlink(missing_ok=True)
            messages.seek(0)
            lines = messages.read().decode(errors="replace").strip().splitlines()
            cause = lines[-1] if lines else f"status {status}"
            raise MongeError(f"ffmpeg failed on '{path}': {cause}; .html and .gif need no ffmpeg")
    partial.replace(path)
