"""`monge COMMAND …`: finds the command, and turns errors into one line and an exit status.

Commands are imported when they are called, so that `monge --help` does not wait for torch.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import NoReturn

from monge import __version__
from monge.errors import MongeError, nearest

COMMANDS = {  # name → module and what it does; a studio brings a module of its own
    "ls": ("monge.cli.ls", "list the recipes: method, paper, cost, expected score"),
    "cp": ("monge.cli.cp", "copy a recipe to a file of your own"),
    "train": (
        "monge.cli.train",
        "train a recipe; the same command again continues an interrupted run",
    ),
    "resume": ("monge.cli.resume", "continue the run in a folder"),
    "transform": ("monge.cli.transform", "move points or a picture by the map of a run, or back"),
    "sample": ("monge.cli.sample", "draw samples from a run: .npy, .npz or .png"),
    "eval": ("monge.cli.eval", "measure a run again and write its report"),
    "compare": ("monge.cli.compare", "put runs side by side: a table and a figure"),
    "interpolate": ("monge.cli.interpolate", "show what an autoencoder puts between two samples"),
    "color": ("monge.images.color.command", "give a picture the colors of others"),
    "texture": (
        "monge.images.texture.command",
        "make more of a texture, fill holes with it, mix several",
    ),
    "dance": (
        "monge.dance.command",
        "make a dance to a song: a page that plays it, a video, or motion files",
    ),
    "adapt": ("monge.cli.adapt", "move features of one domain onto another's"),
    "data": ("monge.cli.data", "list or download data sets"),
}

_USAGE = (
    "usage: monge COMMAND ...\n\nGenerative models built on optimal transport.\n\ncommands:\n"
    + "\n".join(f"  {name:11} {text}" for name, (_, text) in COMMANDS.items())
)
_END = "\n\n'monge COMMAND --help' tells more; --debug shows the traceback of an error."


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point; exits with 0, 1 (an error), 2 (wrong arguments), or 128 + signal."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [a for a in args if a != "--debug"]
    try:
        status = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, `head` say, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (MongeError, OSError) as error:
        if debug:
            raise
        _say(
            f"{error.strerror or error}: {error.filename}"
            if isinstance(error, OSError) and error.filename
            else as_flags(str(error), args[0] if args else "")
        )
        status = 1
    except KeyboardInterrupt:
        _say("interrupted")
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
        _say(f"unknown command '{command}'{nearest(command, COMMANDS)}")
        return 2
    return importlib.import_module(COMMANDS[command][0]).main(rest)


def as_flags(message: str, command: str) -> str:
    """Write the parameters that an error of the library names as flags of the command.

    A parameter is in backticks, by itself or with the value to give it. A command whose flag has
    another name says so in ``FLAGS``.

    >>> as_flags("choose another `out`, or `fresh=True` to start over", "color")
    'choose another --out, or --fresh to start over'
    >>> as_flags("pictures of mixed sizes: add `size=32`", "train")
    'pictures of mixed sizes: add --data.size 32'
    """
    names: dict[str, str] = {}
    if command in COMMANDS:
        names = getattr(importlib.import_module(COMMANDS[command][0]), "FLAGS", {})

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        text = names.get(name, f"--{name.replace('_', '-')}")
        return text if value in (None, "True") else f"{text} {value}"

    return re.sub(r"`([a-z][\w.]*)(?:=([^`]*))?`", flag, message)


def _say(message: str) -> None:
    print(f"monge: {' '.join(message.split())}", file=sys.stderr)
