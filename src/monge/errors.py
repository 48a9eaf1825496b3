"""The error that users see: one line with the parameter, the value and what to do."""

from __future__ import annotations

from collections.abc import Iterable
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
