"""What is seen of a texture while it is made, a bar, a preview, a page, and how near it came to its
exemplar.
"""

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
_SHARE = 20  # showing takes at most one in so many seconds
_SCALES = 2
_PAIRS = 10**9  # of patches that the copying score may compare: some seconds
_LEAST = 48  # pixels of a side, of which half the exemplar's are left to compare with
_LIVE, _FINAL = 512, 1024  # pixels of the longest side on the page, while it reloads and at the end


class Show:
    """Called with each `Progress`; a context that leaves a page standing still, whatever happens."""

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
        """Spent on all pictures, earlier sittings included."""
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
        """Delete the preview and write the page as it stays."""
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
        self._write(
            path,
            pictures,
            notes=self.notes,
            progress=self._share(progress),
            status=status,
            refresh=refresh,
        )

    def _write(self, path: Path, pictures: Mapping[str, bytes], **how: Any) -> None:
        page = texture_page(
            self._title, {**self._pngs, **pictures}, self._curves, self._settings, **how
        )
        write_atomically(path, page.encode())


def patch_distances(
    made: Picture,
    exemplar: Picture,
    *,
    tile: bool = False,
    mask: Mask | None = None,
    region: Mask | None = None,
) -> list[Measured]:
    """Exact patch-W2² and its floor at scales 0 and 1 (fewer where a picture is too small), see
    `patch_w2`.
    """
    ours, theirs = _tensors(made, exemplar)
    inside, readable = (None if m is None else torch.from_numpy(m) for m in (mask, region))
    for scales in range(_SCALES, 0, -1):
        try:
            return patch_w2(ours, theirs, scales=scales, torus=tile, mask=inside, region=readable)
        except ValueError:  # too small for a patch at this scale
            continue
    return []


def over_floor(made: Picture, exemplar: Picture, **where: Any) -> str:
    """`patch_distances` in words; empty where no patch fits."""
    found = enumerate(patch_distances(made, exemplar, **where))
    return ", ".join(
        f"{f.ratio:.2f} at scale {k} ({f.value:.4g} over {f.floor:.4g})" for k, f in found
    )


def copied_share(made: Picture, exemplar: Picture) -> float | None:
    """`copying_score` of the middle of the picture, as much as a few seconds allow; None of a tiny
    one.
    """
    ours, theirs = _tensors(made, exemplar)
    side = int(
        min(16 * _PAIRS / (theirs.shape[1] * theirs.shape[2]), ours.shape[1] * ours.shape[2]) ** 0.5
    )
    if min(side, *ours.shape[1:], *theirs.shape[1:]) < _LEAST:
        return None
    h, w = ours.shape[1:]
    top, left = (max(0, (length - side) // 2) for length in (h, w))
    return copying_score(ours[:, top : top + side, left : left + side], theirs)


def _tensors(made: Picture, exemplar: Picture) -> tuple[Tensor, Tensor]:
    pair = alike([made, exemplar])
    kind = common_kind(pair)
    return to_tensor(pair[0], kind), to_tensor(pair[1], kind)
