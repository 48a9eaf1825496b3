"""What is seen of a texture while it is made: a bar, a preview, a page."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from monge.train.checkpoint import write_atomically

from .plots import shown_png, texture_page

if TYPE_CHECKING:
    from monge.images.io import Picture

    from .synthesis import Progress

_EVERY = 2.0  # seconds between two previews
_SHARE = 20  # showing takes at most one in so many seconds
_LIVE, _FINAL = 512, 1024  # pixels of the longest side on the page, while it reloads and at the end
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Show:
    """Called with each `Progress`; a context that leaves a page standing still, whatever happens."""

    def __init__(
        self, title: str, sources: Mapping[str, Picture], settings: Mapping[str, Any], preview: Path | None, page: Path | None
    ) -> None:
        self.preview, self.page = preview, page
        self._seconds: dict[int, float] = {}
        self._title, self._settings = title, settings
        self._sources = {name: shown_png(pixels(picture), _LIVE) for name, picture in sources.items()} if page else {}
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self.notes: tuple[str, ...] = ()
        self._last: Progress | None = None
        self._shown, self._cost = time.monotonic(), 0.0
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Show:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is not None and self.page and self._last:
            self._write(self._last, f"stopped at {self._share(self._last):.0%}", refresh=None)

    @property
    def seconds(self) -> float:
        """Spent on all pictures, earlier sittings included."""
        return sum(self._seconds.values())

    def __call__(self, progress: Progress) -> None:
        for note in progress.notes:
            if note not in self.notes:
                tqdm.write(f"note: {note}")
                self.notes += (note,)
        self._last = progress
        self._record(progress)
        self._advance(progress)
        if time.monotonic() - self._shown > max(_EVERY, _SHARE * self._cost):
            self._refresh(progress)

    def finish(self, made: Picture, metrics: Mapping[str, Any], tile: bool) -> None:
        """Delete the preview and write the page as it stays."""
        if self.preview:
            self.preview.unlink(missing_ok=True)
        if not self.page:
            return
        shown = pixels(made)
        pictures = {**self._sources, "made": shown_png(shown, _FINAL)}
        if tile:
            pictures["2 × 2 tiles"] = shown_png(shown, _FINAL, repeat=2)
        status = f"{made.colours.shape[1]}×{made.colours.shape[0]} pixels in {self.seconds:.0f} s"
        notes = tuple(dict.fromkeys((*self.notes, *made.notes)))
        page = texture_page(self._title, pictures, self._curves, self._settings, metrics=metrics, notes=notes, status=status)
        write_atomically(self.page, page.encode())

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

    def _advance(self, progress: Progress) -> None:
        share, scalars = self._share(progress), progress.scalars
        if self._bar is None:  # not before the first step, which errors in the arguments forestall
            pause = 0.2 if sys.stderr.isatty() else 30  # seconds; in a log file a line now and then is enough
            begun = share if progress.step > 1 else 0.0  # what an earlier sitting did says nothing about the speed of this one
            self._bar = tqdm(total=1.0, initial=begun, desc=self._title, bar_format=_BAR, mininterval=pause)
        words = {"step": progress.step, **{k: f"{scalars[k]:.3g}" for k in ("scale", "loss") if k in scalars}}
        self._bar.set_postfix(words, refresh=False)
        self._bar.update(max(0.0, min(1.0, share) - self._bar.n))
        self._seconds[progress.part] = progress.seconds

    def _share(self, progress: Progress) -> float:
        return (progress.part + progress.fraction) / progress.parts

    def _refresh(self, progress: Progress) -> None:
        began = time.monotonic()
        if self.preview:
            write_atomically(self.preview, shown_png(pixels(progress.picture())))
        if self.page:
            self._write(progress, f"{self._share(progress):.0%} after {progress.seconds:.0f} s", refresh=_EVERY)
        self._shown = time.monotonic()
        self._cost = self._shown - began

    def _write(self, progress: Progress, status: str, refresh: float | None) -> None:
        assert self.page
        pictures = {**self._sources, "so far": shown_png(pixels(progress.picture()), _LIVE)}
        page = texture_page(
            self._title,
            pictures,
            self._curves,
            self._settings,
            notes=self.notes,
            progress=self._share(progress),
            status=status,
            refresh=refresh,
        )
        write_atomically(self.page, page.encode())


def pixels(picture: Picture) -> np.ndarray:
    """Channels (h, w, c), alpha last."""
    return picture.colours if picture.alpha is None else np.dstack([picture.colours, picture.alpha])
