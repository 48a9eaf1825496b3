"""Running an optimisation of a picture: time budget, state on disk, and telling how it goes.

A step is a function of (seed, step), so that a state is what the method remembers and two numbers, and the continuation equals
the uninterrupted run to the bit.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from monge.errors import MongeError
from monge.images.io import Picture
from monge.train import Interrupted, checkpoint
from monge.train.loop import stop_signals

_SAVE_EVERY = 10.0  # seconds
_SAVE_SHARE = 20  # saving takes at most one in so many seconds


class Optimisation(Protocol):
    """What is run: `monge.methods.texture.Texture`."""

    @property
    def done(self) -> bool: ...
    @property
    def progress(self) -> float: ...
    @property
    def image(self) -> Tensor: ...
    def step(self) -> Mapping[str, float]: ...
    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state: Any) -> Any: ...


@dataclass(frozen=True)
class Progress:
    """How a run goes, after a step.

    Attributes
    ----------
    step : int
        Steps taken, earlier sittings included.
    fraction : float
        Of the whole, in [0, 1].
    seconds : float
        Spent so far, earlier sittings included.
    scalars : mapping
        What the step reported: the loss and the scale it worked at among others.
    picture : callable
        Returns the picture so far.
    notes : tuple of str
        What there is to say about the run so far.
    part, parts : int
        Which picture of a strip it is.
    """

    step: int
    fraction: float
    seconds: float
    scalars: Mapping[str, float]
    picture: Callable[[], Picture]
    notes: tuple[str, ...] = ()
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Settings:
    """What does not change the picture but the run: budget, listener, state.

    ``state`` is a folder, which outlives the run: the same run again then returns at once.
    """

    time_budget: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    state: Path | None = None
    fresh: bool = False
    part: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if self.time_budget is not None and not (math.isfinite(self.time_budget) and self.time_budget > 0):
            raise MongeError(f"time_budget must be a number of seconds above 0, got {self.time_budget}")


def run(
    texture: Optimisation, finish: Callable[[Tensor], Picture], fingerprint: str, settings: Settings, begun: float
) -> Picture:
    """Step to the end or until the budget is used; the picture that ``finish`` makes of channels (c, h, w), with notes.

    ``begun`` is when the work began by `time.monotonic`: what went before the first step counts. After SIGINT or SIGTERM
    Interrupted, with the state written, or KeyboardInterrupt where there is none; MongeError for a loss that is not finite.
    """
    state = _State(settings.state, fingerprint, fresh=settings.fresh)
    step, earlier, finished = state.restore(texture)
    clock = _Clock(begun, earlier)

    def picture() -> Picture:
        return finish(texture.image.detach())

    with stop_signals() as caught:
        while not finished and not texture.done:
            before = clock.seconds()
            scalars = texture.step()
            step += 1
            _check_finite(scalars, step)
            spent = clock.seconds()
            if settings.on_progress:
                how = (step, texture.progress, spent, scalars, picture, state.notes)
                settings.on_progress(Progress(*how, settings.part, settings.parts))
            last = clock.seconds() - before
            finished = settings.time_budget is not None and spent + last > settings.time_budget and not texture.done
            if finished:
                state.notes += (f"the time budget was used at {texture.progress:.0%} of the work: more seconds make it finer",)
            if caught:
                state.save(texture, step, clock.seconds(), finished)
                raise Interrupted(caught[0], step) if settings.state else KeyboardInterrupt
            state.save_now_and_then(texture, step, clock.seconds())
    state.save(texture, step, clock.seconds(), True)
    return replace(picture(), notes=state.notes)


def fingerprint(tensors: Iterable[Tensor | None], settings: Mapping[str, Any]) -> str:
    """Digest of everything that the picture depends on: tensors, and settings that JSON can hold.

    >>> import torch
    >>> fingerprint([torch.zeros(2), None], {"seed": 0}) == fingerprint([torch.zeros(2), None], {"seed": 1})
    False
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none")
            continue
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class _State:
    """Checkpoints of a run in a folder of their own, or nowhere."""

    def __init__(self, folder: Path | None, fingerprint: str, *, fresh: bool) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.notes: tuple[str, ...] = ()
        self._saved, self._cost = time.monotonic(), 0.0
        if fresh:
            self.remove()

    def restore(self, texture: Optimisation) -> tuple[int, float, bool]:
        """Load what an earlier sitting left: steps, seconds, whether that was the end."""
        found, remarks = checkpoint.load_latest(self.folder) if self.folder else (None, [])
        self.notes += tuple(remarks)
        if found is None:
            return 0, 0.0, False
        if found.get("fingerprint") != self.fingerprint:
            self.notes += (f"{self.folder} is of other pictures or settings: started over",)
            self.remove()
            return 0, 0.0, False
        texture.load_state_dict(found["texture"])
        how = "was finished" if found["finished"] else "continues"
        self.notes += (f"{how} after {found['step']} steps and {found['seconds']:.0f} s",)
        return found["step"], found["seconds"], found["finished"]

    def save_now_and_then(self, texture: Optimisation, step: int, seconds: float) -> None:
        if time.monotonic() - self._saved > max(_SAVE_EVERY, _SAVE_SHARE * self._cost):
            self.save(texture, step, seconds, False)

    def save(self, texture: Optimisation, step: int, seconds: float, finished: bool) -> None:
        if not self.folder:
            return
        began = time.monotonic()
        content = {"fingerprint": self.fingerprint, "step": step, "seconds": seconds, "finished": finished}
        checkpoint.save(self.folder, step, content | {"texture": texture.state_dict()})
        self._saved = time.monotonic()
        self._cost = self._saved - began

    def remove(self) -> None:
        if self.folder:
            forget(self.folder)


def forget(state: Path) -> None:
    """Delete the checkpoints in a folder and in its numbered parts, and the folders if nothing else is in them."""
    for folder in (*state.glob("part-*"), state):
        for path in folder.glob("step-*.pt*"):
            path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


class _Clock:
    """Seconds of a run over its sittings."""

    def __init__(self, begun: float, earlier: float) -> None:
        self._begun, self._earlier = begun, earlier

    def seconds(self) -> float:
        return self._earlier + time.monotonic() - self._begun


def _check_finite(scalars: Mapping[str, float], step: int) -> None:
    bad = [name for name, value in scalars.items() if not math.isfinite(value)]
    if bad:
        raise MongeError(f"step {step}: {bad[0]} is {scalars[bad[0]]}: lower the learning rate, or take fewer scales")
