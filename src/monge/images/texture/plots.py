"""Write a page that shows a texture during its synthesis: it reloads itself until the end.

The page has no script and needs no network.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

_STYLE = """
body {
  font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff
}
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
figure { margin: 0 } figcaption { color: #666; font-size: .9rem; max-width: 34rem }
figure:has(svg) { width: 260px } figure img { display: block; max-width: min(100%, 34rem) }
.clear { background: repeating-conic-gradient(#ddd 0 25%, #fff 0 50%) 0 / 16px 16px }
table { border-collapse: collapse }
td { padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid #eee }
td + td { font-family: monospace }
.bar { height: 6px; background: #eee; margin: .5rem 0 1rem }
.bar div { height: 6px; background: #d1495b }
.note { background: #f6f6f6; border-left: 4px solid #9aa5b1; padding: .3rem 1rem; margin: .5rem 0 }
svg { background: #fafafa }
"""
_WIDTH, _HEIGHT, _EDGE = 260, 120, 8  # of the panel of a curve, in pixels
_POINTS = 400  # of a curve, at most

Curve = Sequence[tuple[int, float]]


def texture_page(
    title: str, pictures: Mapping[str, bytes], curves: Mapping[str, Curve],
    settings: Mapping[str, Any], *, metrics: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (), progress: float = 1.0, status: str = "",
    refresh: float | None = None,
) -> str:  # fmt: skip
    """Return a page of pictures, curves, metrics and settings.

    The keys of ``pictures``, PNG files, are their captions; each of the ``curves`` has a panel.
    ``progress`` is the share of the work that is done, ``status`` a line about it. A browser
    reloads the page after ``refresh`` seconds; without it, it does not.

    >>> page = texture_page("A <wall>", {}, {"loss": [(1, 2.0), (2, 1.0)]}, {"seed": 0}, refresh=2)
    >>> "A &lt;wall&gt;" in page, 'http-equiv="refresh" content="2"' in page, "<polyline" in page
    (True, True, True)
    """
    reload = f'<meta http-equiv="refresh" content="{refresh:g}">' if refresh else ""
    bar = f'<div class="bar"><div style="width: {progress:.1%}"></div></div>' if refresh else ""
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(status)}</p>{bar}"]
    body += [f'<p class="note">{html.escape(text)}</p>' for text in notes]
    body.append(_row(_figure(caption, png) for caption, png in pictures.items()))
    if metrics:
        body.append(f"<h2>metrics</h2>\n{_table(metrics)}")
    if curves:
        panels = _row(_panel(name, points) for name, points in curves.items())
        body.append(f"<h2>loss</h2>\n{panels}")
    body.append(f"<h2>settings</h2>\n{_table(settings)}")
    head = (
        f'<head><meta charset="utf-8">{reload}<title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>"
    )
    content = "\n".join(body)
    return f'<!doctype html>\n<html lang="en">{head}\n<body>\n{content}\n</body></html>\n'


def shown_png(pixels: np.ndarray, side: int | None = None, repeat: int = 1) -> bytes:
    """Return an 8-bit PNG of pixels (h, w, 1 to 4), uint8, uint16 or floats in [0, 1].

    No side is above ``side``; the picture is repeated ``repeat`` times in both directions.

    >>> Image.open(io.BytesIO(shown_png(np.zeros((40, 80, 2), np.uint16), side=20))).size
    (20, 10)
    """
    if pixels.dtype == np.uint16:
        pixels = pixels >> 8
    elif pixels.dtype != np.uint8:
        pixels = np.rint(pixels * 255)
    pixels = np.tile(pixels.astype(np.uint8), (repeat, repeat, 1))
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if side and max(image.size) > side:
        factor = side / max(image.size)
        width, height = (max(1, round(length * factor)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _row(parts: Any) -> str:
    return '<div class="row">\n' + "\n".join(parts) + "\n</div>"


def _figure(caption: str, png: bytes) -> str:
    text, source = html.escape(caption), f"data:image/png;base64,{base64.b64encode(png).decode()}"
    image = f'<img class="clear" alt="{text}" src="{source}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _table(values: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in values.items()
    )
    return f"<table>\n{rows}\n</table>"


def _panel(name: str, points: Curve) -> str:
    """Draw a curve, on a logarithmic axis if all values are positive."""
    thin = points[:: -(-len(points) // _POINTS)] if points else points
    if thin and thin[-1] != points[-1]:
        thin = [*thin, points[-1]]
    x = np.array([step for step, _ in thin], float)
    y = np.array([value for _, value in thin], float)
    logarithmic = bool(len(y) and (y > 0).all())
    u = _scale(x, _WIDTH)
    v = _HEIGHT - (_scale(np.log2(y), _HEIGHT, least=1.0) if logarithmic else _scale(y, _HEIGHT))
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(u, v, strict=True))
    span = ""
    if len(y):
        scale = ", log scale" if logarithmic else ""
        span = f"{y.max():.3g} to {y.min():.3g}{scale}, steps {x[0]:g}–{x[-1]:g}"
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'role="img">'
        f'<polyline points="{line}" fill="none" stroke="#d1495b" stroke-width="1.5"/></svg>'
        f"<figcaption>{html.escape(name)}: {span}</figcaption></figure>"
    )


def _scale(values: np.ndarray, length: int, least: float = 0.0) -> np.ndarray:
    """Scale values to [edge, length − edge].

    A range below ``least`` fills only a part of the interval, so that noise looks flat.
    """
    if not len(values):
        return values
    low, high = values.min(), values.max()
    span = max(high - low, least)
    share = 0.5 + (values - (low + high) / 2) / span if span > 0 else np.full_like(values, 0.5)
    return _EDGE + share * (length - 2 * _EDGE)
