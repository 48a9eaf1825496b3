"""A run on one page of HTML that opens from disk: no script, no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.1rem; margin-top: 2rem } img { max-width: 100% }
table { border-collapse: collapse } td { padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid #eee }
td + td { font-family: monospace }
.warning { background: #fbeaec; border-left: 4px solid #d1495b; padding: .5rem 1rem; margin: .5rem 0 }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto }
"""


Rows = Iterable[Sequence[str]]


def report_page(
    title: str,
    config: Mapping[str, Any],
    metrics: Rows,
    pictures: Mapping[str, bytes],
    warnings: Iterable[str] = (),
) -> str:
    """Return the page; ``metrics`` are the rows of a table, ``pictures`` maps a caption to PNG
    bytes, ``warnings`` stand on top.

    >>> "<h1>A &lt;run&gt;</h1>" in report_page("A <run>", {}, [("W2²", "0.1", "floor 0.1")], {})
    True
    """
    said = "\n".join(f'<p class="warning">{html.escape(text)}</p>' for text in warnings)
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in metrics
    )
    figures = "\n".join(
        f'<h2>{name}</h2>\n<img alt="{name}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for name, png in ((html.escape(caption), png) for caption, png in pictures.items())
    )
    text = html.escape(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
    return (
        '<!doctype html>\n<html lang="en"><head><meta '
        f'charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n{said}<h2>metrics</h2>\n"
        f"<table>\n{rows}\n</table>\n{figures}\n<h2>config</h2>\n<pre>{text}</pre></body></html>\n"
    )
