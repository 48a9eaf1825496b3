"""`monge COMMAND …`: runs a command, and turns errors into one line and an exit status.

Commands are imported when they are called, so that `monge --help` does not import torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import NoReturn

from monge import __version__
from monge.errors import MongeError, as_flags, nearest

COMMANDS = {  # name → module and description
    "ls": ("monge.cli.ls", "list the recipes: method, paper, cost, expected score"),
    "cp": ("monge.cli.cp", "copy a recipe to a file, to change it"),
    "train": (
        "monge.cli.train",
        "train a recipe; the same command again continues an interrupted run",
    ),
    "resume": ("monge.cli.resume", "continue the run in a folder"),
    "transform": ("monge.cli.transform", "map points or a picture by the map of a run, or back"),
    "sample": ("monge.cli.sample", "draw samples from a run: .npy, .npz or .png"),
    "eval": ("monge.cli.eval", "evaluate a run again and write its report"),
    "compare": ("monge.cli.compare", "compare runs in a table and a figure"),
    "interpolate": ("monge.cli.interpolate", "interpolate between two samples by an autoencoder"),
    "color": ("monge.images.color.command", "transfer the colors of pictures to another picture"),
    "texture": (
        "monge.images.texture.command",
        "synthesize textures, fill holes, mix several textures",
    ),
    "dance": (
        "monge.dance.command",
        "make a dance to a song: a web page, a video, or motion files",
    ),
    "adapt": ("monge.cli.adapt", "map features of a source domain to a target domain"),
    "data": ("monge.cli.data", "list or download data sets"),
}

_USAGE = (
    "usage: monge COMMAND ...\n\nGenerative models built on optimal transport.\n\ncommands:\n"
    + "\n".join(f"  {name:11} {text}" for name, (_, text) in COMMANDS.items())
)
_END = "\n\n'monge COMMAND --help' explains a command; --debug shows the traceback of an error."


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point; exits with 0, 1 (an error), 2 (wrong arguments), or 128 + signal."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [a for a in args if a != "--debug"]
    try:
        status = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as `head`, has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (MongeError, OSError) as error:
        if debug:
            raise
        message = as_flags(str(error), _flag_names(args[0] if args else ""))
        if isinstance(error, OSError) and error.filename:
            message = f"{error.strerror or error}: {error.filename}"
        _print_error(message)
        status = 1
    except KeyboardInterrupt:
        _print_error("interrupted")
        status = 130
    raise SystemExit(status)


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        print(_USAGE + _END)
        return 0
    if args[0] == "--version":
        print(f"monge {__version__}")
        return 0
    command, rest = args[0], args[1:]
    if command not in COMMANDS:
        _print_error(f"unknown command '{command}'{nearest(command, COMMANDS)}")
        return 2
    return importlib.import_module(COMMANDS[command][0]).main(rest)


def _flag_names(command: str) -> Mapping[str, str]:
    """Return the flags of a command that are not named like the parameter they set."""
    if command not in COMMANDS:
        return {}
    return getattr(importlib.import_module(COMMANDS[command][0]), "FLAGS", {})


def _print_error(message: str) -> None:
    print(f"monge: {' '.join(message.split())}", file=sys.stderr)
