"""Sections of pages that are written by ``python -m benchmarks tables``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.common.paths import shown_path
from monge.errors import MongeError


def opening(name: str) -> str:
    """Return the mark at which a section begins."""
    return f"<!-- {name}: written by `make tables` -->"


def write_sections(page: Path, sections: Mapping[str, str], check: bool = False) -> bool:
    """Put texts between their marks in a page; return whether that changes it.

    With ``check`` the page is left as it is.
    """
    text = page.read_text()
    new = replace_sections(text, sections, shown_path(page))
    if new != text and not check:
        page.write_text(new)
    return new != text


def replace_sections(text: str, sections: Mapping[str, str], page: str = "the page") -> str:
    """Return a text with the sections of these names replaced.

    Raises
    ------
    MongeError
        A mark is missing, or there is more than one.
    """
    for name, section in sections.items():
        begin, end = opening(name), f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise MongeError(f"{page} must have '{begin}' and '{end}' once each")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{section}\n{end}{rest.split(end)[1]}"
    return text
