"""The report of a run as one HTML page, without scripts or external files."""

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
table { border-collapse: collapse }
td { padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid #eee }
td + td { font-family: monospace }
.warning { background: #fbeaec; border-left: 4px solid #d1495b }
.warning { padding: .5rem 1rem; margin: .5rem 0 }
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
    """Return the HTML page of a run.

    ``metrics`` are the rows of a table, ``pictures`` maps captions to PNG bytes, and ``warnings``
    are shown at the top.

    >>> "<h1>A &lt;run&gt;</h1>" in report_page("A <run>", {}, [("W2²", "0.1", "floor 0.1")], {})
    True
    """
    alerts = "\n".join(f'<p class="warning">{html.escape(text)}</p>' for text in warnings)
    rows = "\n".join(_row(cells) for cells in metrics)
    images = "\n".join(_image(html.escape(caption), png) for caption, png in pictures.items())
    text = html.escape(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
    title = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n{alerts}<h2>metrics</h2>\n<table>\n{rows}\n</table>\n"
        f"{images}\n<h2>config</h2>\n<pre>{text}</pre></body></html>\n"
    )


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _image(caption: str, png: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return f'<h2>{caption}</h2>\n<img alt="{caption}" src="{source}">'
