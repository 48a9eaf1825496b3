"""The loop of all iterative work: steps, checkpoints, time budget, signals and progress bar.

Each step of a `Job` is a function of its state and of the number of the step. A checkpoint
therefore consists of the state, this number and the clock, and a continued run equals an
uninterrupted run bit for bit on the same machine.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from monge import parallel
from monge.errors import MongeError

from . import checkpoint

_SAVE_EVERY = 10.0  # seconds between two checkpoints, if no number of steps is given
_SAVE_SHARE = 20  # saving takes at most one second in this number of seconds
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_SHOWN = ("scale", "loss", "energy_distance", "frechet_lenet")  # beside the bar

Scalars = Mapping[str, float]
OnStep = Callable[[int, Scalars], None]
Log = Callable[[int, Scalars], Scalars]


class Job(Protocol):
    """Work in steps, which a `Runner` runs.

    `load_state_dict` receives the checkpoint: the state with ``step``, ``clock`` and ``finished``
    added.
    """

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""

    @property
    def progress(self) -> float:
        """Share of the work that is done, in [0, 1]."""

    def step(self) -> Mapping[str, float | Tensor]: ...

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...


class Interrupted(Exception):
    """A run was stopped by a signal, after a checkpoint was written."""

    def __init__(self, signum: int, step: int) -> None:
        super().__init__(f"stopped at step {step}; the same command continues")
        self.signum = signum


class Clock:
    """Seconds of work over all sessions: wall time, CPU time, and GPU time if there is a GPU.

    GPU time is wall time until the GPU's work is done. Evaluation, plotting and writing are not
    counted, because they depend on how often the log is written.

    >>> clock = Clock()
    >>> clock.add({"wall_seconds": 60.0})
    >>> clock.wall, clock.read()
    (60.0, {'wall_seconds': 60.0, 'cpu_seconds': 0.0})
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        device = torch.device(device)
        self._cuda = device if device.type == "cuda" else None
        names = ["wall_seconds", "cpu_seconds", *(["gpu_seconds"] if self._cuda else [])]
        self._spent = dict.fromkeys(names, 0.0)
        self._since: dict[str, float] | None = None

    @property
    def wall(self) -> float:
        """Wall seconds so far."""
        return self._total()["wall_seconds"]

    def read(self) -> dict[str, float]:
        """Return all seconds so far, rounded to milliseconds."""
        return {name: round(seconds, 3) for name, seconds in self._total().items()}

    def add(self, earlier: Mapping[str, float]) -> None:
        """Add the seconds of earlier sessions."""
        for name, seconds in earlier.items():
            self._spent[name] = self._spent.get(name, 0.0) + seconds

    def start(self) -> None:
        """Start the clock, if it is not running."""
        self._since = self._since or self._now()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock during a block."""
        self._spent, self._since = self._total(), None
        try:
            yield
        finally:
            self.start()

    def _total(self) -> dict[str, float]:
        if self._since is None:
            return self._spent
        now = self._now()
        return self._spent | {
            name: self._spent[name] + now[name] - since for name, since in self._since.items()
        }

    def _now(self) -> dict[str, float]:
        if self._cuda is None:
            return {"wall_seconds": time.perf_counter(), "cpu_seconds": time.process_time()}
        torch.cuda.synchronize(self._cuda)  # steps return before the GPU is done
        wall = time.perf_counter()
        return {"wall_seconds": wall, "cpu_seconds": time.process_time(), "gpu_seconds": wall}


class Bar:
    """A progress bar that appears with the first step, after errors in the arguments."""

    def __init__(self, title: str, *, leave: bool = True) -> None:
        self._title, self._leave = title, leave
        self._bar: tqdm[Any] | None = None
        self._texts: dict[str, Any] = {}
        self._first, self._began = 0, 0.0

    def show(self, share: float, step: int, scalars: Scalars) -> None:
        """Show the share of the work that is done, the step, and some of the scalars."""
        if self._bar is None:
            interval = 0.2 if sys.stderr.isatty() else 30  # seconds; less often in a log file
            # the progress of earlier sessions does not count for the speed
            initial = share if step > 1 else 0.0
            form: dict[str, Any] = {"bar_format": _BAR, "mininterval": interval}
            form |= {"leave": self._leave, "desc": self._title}
            self._bar = tqdm(total=1.0, initial=initial, **form)
            self._first, self._began = step, time.perf_counter()
        seconds, steps = time.perf_counter() - self._began, step - self._first
        speed = f" ({steps / seconds:.3g}/s)" if seconds > 0 and steps > 0 else ""
        self._texts["step"] = f"{step}{speed}"
        self._texts |= {name: f"{scalars[name]:.3g}" for name in _SHOWN if name in scalars}
        self._bar.set_postfix(self._texts, refresh=False)
        self._bar.update(max(0.0, min(1.0, share) - self._bar.n))

    def close(self) -> None:
        """Close the bar in its current state."""
        if self._bar is not None:
            self._bar.close()


class Runner:
    """Takes the steps of a job until it is done, the time budget is used up, or a signal arrives.

    ``checkpoints`` is the folder of the checkpoints. Without it nothing is saved, and a signal
    raises KeyboardInterrupt. ``every`` is the number of steps between two checkpoints and log
    lines; by default they are written every few seconds. ``time_budget`` is in wall seconds and
    includes earlier sessions. A ``clock`` that is already running also counts the time before the
    first step. ``not_finite`` maps (step, term, value) of a scalar that is NaN or infinite to the
    text of the error.
    """

    def __init__(
        self,
        job: Job,
        checkpoints: Path | None = None,
        *,
        every: int | None = None,
        time_budget: float | None = None,
        clock: Clock | None = None,
        bar: Bar | None = None,
        not_finite: Callable[[int, str, float], str] | None = None,
    ) -> None:
        self.job, self.step, self.finished = job, 0, False
        self.clock = clock or Clock()
        self._checkpoints, self._every, self._budget = checkpoints, every, time_budget
        self._bar = bar if parallel.rank() == 0 else None
        self._not_finite = not_finite or (
            lambda step, term, value: f"step {step}: {term} is {value}: lower the learning rate"
        )
        self._saved, self._cost = time.perf_counter(), 0.0

    def restore(self, state: Mapping[str, Any]) -> str:
        """Continue from a checkpoint; returns a message about it."""
        self.job.load_state_dict(state)
        # some checkpoints of version 0.1.0 hold a single number
        earlier = state["clock"] if "clock" in state else {"wall_seconds": state["seconds"]}
        self.clock.add(earlier)
        self.step, self.finished = state["step"], state.get("finished", False)
        status = "was finished" if self.finished else "continues"
        return f"{status} after {self.step} steps and {earlier['wall_seconds']:.0f} s"

    def run(
        self,
        *,
        on_step: OnStep | None = None,
        log: Log | None = None,
        saved: Callable[[], None] | None = None,
    ) -> bool:
        """Take the remaining steps; returns whether the time budget ended the run.

        ``on_step`` is called after each step with its number and scalars; its time counts. ``log``
        and ``saved`` are called on the first process only: ``log`` before each checkpoint, with the
        number of the step and the means of the scalars since the last checkpoint, and ``saved``
        after it, to write weights and pictures. The scalars that ``log`` returns are shown beside
        the bar. Log lines after the last checkpoint are deleted when a run continues.

        Raises `Interrupted` after SIGINT or SIGTERM, with a checkpoint written, or
        KeyboardInterrupt without a folder for checkpoints; MongeError for a scalar that is not
        finite and for a full disk.
        """
        history: dict[str, list[float]] = {}
        over = False
        self.clock.start()
        with stop_signals() as caught, closing(self._bar) if self._bar else nullcontext():
            while not (self.job.done or over):
                before = self.clock.wall if self._budget else 0.0
                scalars = {name: float(value) for name, value in self.job.step().items()}
                self.step += 1
                for name, value in scalars.items():
                    if not math.isfinite(value):
                        raise MongeError(self._not_finite(self.step, name, value))
                self._show(scalars)
                if on_step:
                    on_step(self.step, scalars)
                over = self._is_over(before)
                stop = parallel.any_process(bool(caught))
                self.finished = self.job.done or over
                for name, value in scalars.items() if log else ():
                    history.setdefault(name, []).append(value)
                if self._is_due() or self.finished or stop:
                    means = {name: fmean(values) for name, values in history.items()}
                    self._record(means, log, saved)
                    history = {}
                if stop and self._checkpoints is None:
                    raise KeyboardInterrupt
                if stop:
                    raise Interrupted(caught[0] if caught else signal.SIGTERM, self.step)
        return over

    def _show(self, scalars: Scalars) -> None:
        if self._bar:
            self._bar.show(self.job.progress, self.step, scalars)

    def _is_over(self, before: float) -> bool:
        """Return whether another step as long as the last would exceed the time budget.

        ``before`` is the time at which the last step began.
        """
        if not self._budget or self.job.done:
            return False
        now = self.clock.wall
        return parallel.any_process(now + (now - before) > self._budget)

    def _is_due(self) -> bool:
        if self._every:
            return self.step % self._every == 0
        return time.perf_counter() - self._saved > max(_SAVE_EVERY, _SAVE_SHARE * self._cost)

    def _record(self, means: Scalars, log: Log | None, saved: Callable[[], None] | None) -> None:
        if self._checkpoints is None or parallel.rank() > 0:
            return
        with self.clock.paused():
            if log:
                self._show(log(self.step, means))
            began = time.perf_counter()
            state = {"step": self.step, "clock": self.clock.read(), "finished": self.finished}
            checkpoint.save(self._checkpoints, self.step, state | dict(self.job.state_dict()))
            self._saved = time.perf_counter()
            self._cost = self._saved - began
            if saved:
                saved()


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the current step can finish; a second one interrupts."""
    caught: list[int] = []

    def catch(signum: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(signum)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {number: signal.signal(number, catch) for number in numbers}
    except ValueError:  # not in the main thread, which handles signals
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
