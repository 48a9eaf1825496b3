"""Show a texture during its synthesis: progress bar, preview, page; and measure the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from monge.images.io import Picture
from monge.metrics import Measured
from monge.training import Bar
from monge.training.checkpoint import write_atomically

from .copying import copying_score
from .metrics import patch_w2
from .pictures import Mask, alike, common_kind, to_tensor
from .plots import shown_png, texture_page

if TYPE_CHECKING:
    from .synthesis import Progress

_EVERY = 2.0  # seconds between two previews
_SHARE = 20  # seconds of work for a second of preview, at least
_SCALES = 2
_PAIRS = 10**9  # of patches that the copying score may compare: some seconds
_LEAST = 48  # pixels of a side that the copying score needs
_LIVE, _FINAL = 512, 1024  # pixels of the longest side on the page, while it reloads and at the end


class Show:
    """Listener of `Progress`, and a context manager: after it the page no longer reloads itself."""

    def __init__(
        self, title: str, settings: Mapping[str, Any], preview: Path | None, page: Path | None
    ) -> None:
        self.preview, self.page = preview, page
        self.sources: dict[str, Picture] = {}
        self.notes: tuple[str, ...] = ()
        self._title, self._settings = title, settings
        self._seconds: dict[int, float] = {}
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._last: Progress | None = None
        self._shown, self._cost = time.monotonic(), 0.0
        self._bar = Bar(title)

    def __enter__(self) -> Show:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.close()
        if kind is not None and self.page and self._last:
            self._write_so_far(self.page, self._last, f"stopped at {self._share(self._last):.0%}")

    @property
    def seconds(self) -> float:
        """Seconds spent on all pictures, earlier sessions included."""
        return sum(self._seconds.values())

    def __call__(self, progress: Progress) -> None:
        for note in progress.notes:
            if note not in self.notes:
                tqdm.write(f"note: {note}")
                self.notes += (note,)
        self._last = progress
        self._record(progress)
        self._bar.show(self._share(progress), progress.step, progress.scalars)
        self._seconds[progress.part] = progress.seconds
        if time.monotonic() - self._shown > max(_EVERY, _SHARE * self._cost):
            self._refresh(progress)

    def finish(self, made: Picture, metrics: Mapping[str, Any], tile: bool) -> None:
        """Delete the preview and write the final page."""
        if self.preview:
            self.preview.unlink(missing_ok=True)
        if not self.page:
            return
        pictures = {"made": shown_png(made.channels, _FINAL)}
        if tile:
            pictures["2 × 2 tiles"] = shown_png(made.channels, _FINAL, repeat=2)
        status = f"{made.colors.shape[1]}×{made.colors.shape[0]} pixels in {self.seconds:.0f} s"
        notes = tuple(dict.fromkeys((*self.notes, *made.notes)))
        self._write(self.page, pictures, metrics=metrics, notes=notes, status=status)

    @cached_property
    def _pngs(self) -> dict[str, bytes]:
        return {name: shown_png(picture.channels, _LIVE) for name, picture in self.sources.items()}

    def _record(self, progress: Progress) -> None:
        scalars, name = progress.scalars, "loss"
        if "scale" in scalars:
            name = f"scale {scalars['scale']:g}"
        if scalars.get("patch"):
            name += f", patches of {scalars['patch']:g}"
        if progress.parts > 1:
            name = f"picture {progress.part + 1}, {name}"
        if "loss" in scalars:
            self._curves.setdefault(name, []).append((progress.step, scalars["loss"]))

    def _share(self, progress: Progress) -> float:
        return (progress.part + progress.fraction) / progress.parts

    def _refresh(self, progress: Progress) -> None:
        began = time.monotonic()
        if self.preview:
            write_atomically(self.preview, shown_png(progress.picture().channels))
        if self.page:
            status = f"{self._share(progress):.0%} after {progress.seconds:.0f} s"
            self._write_so_far(self.page, progress, status, refresh=_EVERY)
        self._shown = time.monotonic()
        self._cost = self._shown - began

    def _write_so_far(
        self, path: Path, progress: Progress, status: str, refresh: float | None = None
    ) -> None:
        pictures = {"so far": shown_png(progress.picture().channels, _LIVE)}
        options = {"progress": self._share(progress), "status": status, "refresh": refresh}
        self._write(path, pictures, notes=self.notes, **options)

    def _write(self, path: Path, pictures: Mapping[str, bytes], **options: Any) -> None:
        shown = {**self._pngs, **pictures}
        page = texture_page(self._title, shown, self._curves, self._settings, **options)
        write_atomically(path, page.encode())


def patch_distances(
    made: Picture,
    exemplar: Picture,
    *,
    tile: bool = False,
    mask: Mask | None = None,
    region: Mask | None = None,
) -> list[Measured]:
    """Return the exact patch-W2² and its floor at scales 0 and 1, see `patch_w2`.

    Scales at which a picture is too small for a patch are left out.
    """
    ours, theirs = _tensors(made, exemplar)
    inside, readable = (None if m is None else torch.from_numpy(m) for m in (mask, region))
    for scales in range(_SCALES, 0, -1):
        try:
            return patch_w2(ours, theirs, scales=scales, torus=tile, mask=inside, region=readable)
        except ValueError:  # too small for a patch at this scale
            continue
    return []


def over_floor(made: Picture, exemplar: Picture, **options: Any) -> str:
    """Return `patch_distances` as text; empty if no patch fits."""
    parts = []
    for scale, measured in enumerate(patch_distances(made, exemplar, **options)):
        quotient = f"{measured.value:.4g} over {measured.floor:.4g}"
        parts.append(f"{measured.ratio:.2f} at scale {scale} ({quotient})")
    return ", ".join(parts)


def copied_share(made: Picture, exemplar: Picture) -> float | None:
    """Return the `copying_score` of the middle of a picture, as large as some seconds allow.

    The result is None for a tiny picture.
    """
    ours, theirs = _tensors(made, exemplar)
    (h, w), there = ours.shape[1:], theirs.shape[1:]
    side = int(min(16 * _PAIRS / (there[0] * there[1]), h * w) ** 0.5)
    if min(side, h, w, *there) < _LEAST:
        return None
    top, left = (max(0, (length - side) // 2) for length in (h, w))
    return copying_score(ours[:, top : top + side, left : left + side], theirs)


def _tensors(made: Picture, exemplar: Picture) -> tuple[Tensor, Tensor]:
    """Return both pictures as tensors of one kind."""
    ours, theirs = alike([made, exemplar])
    kind = common_kind([ours, theirs])
    return to_tensor(ours, kind), to_tensor(theirs, kind)
