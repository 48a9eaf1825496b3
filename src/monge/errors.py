"""The error that users see: one line with the parameter, the value and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class MongeError(Exception):
    """An error in the input or the environment; the command line shows it without a traceback."""


def nearest(word: str, options: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest option, or a list of all if none is close.

    >>> nearest("minst", ["mnist", "digits"])
    "; did you mean 'mnist'?"
    """
    names = sorted(options)
    close = get_close_matches(word, names, 1, 0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(names)}"


def as_flags(message: str, names: Mapping[str, str] = {}) -> str:
    """Write the parameters in a message, which are in backticks, as flags of the command line.

    ``names`` holds the flags that are not named like their parameter.

    >>> as_flags("choose another `out`, or `fresh=True` to start over", {"out": "--run.out"})
    'choose another --run.out, or --fresh to start over'
    >>> as_flags("pictures of mixed sizes: add `size=32`")
    'pictures of mixed sizes: add --size 32'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        text = names.get(name, f"--{name.replace('_', '-')}")
        return text if value in (None, "True") else f"{text} {value}"

    return re.sub(r"`([a-z][\w.]*)(?:=([^`]*))?`", flag, message)
