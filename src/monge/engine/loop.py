"""The training loop.

A step draws data by position and noise by (seed, step), so a checkpoint is weights, optimizers, one integer, and the
continuation equals the uninterrupted run to the bit on the same machine.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from statistics import fmean as mean
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from monge import parallel
from monge.data import Draw, Source, load
from monge.errors import MongeError
from monge.methods.protocols import Method

from . import checkpoint
from .diagnose import alarms, diagnose, frechet_of, raised
from .folder import RunFolder, device_of
from .measure import draw_pictures, evaluate_run
from .recipe import Recipe, method_module


class Interrupted(Exception):
    """The run was stopped by a signal; its checkpoint is written."""

    def __init__(self, signum: int, step: int) -> None:
        super().__init__(f"stopped at step {step}; the same command continues")
        self.signum = signum


def build(recipe: Recipe, source: Source, device: torch.device | str = "cpu") -> Any:
    """Make the method that a recipe names, with weights from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.run.seed)
        try:
            method = method_module(recipe.method.name).build(recipe.method, source.shape)
        except ValueError as error:  # networks that do not fit the data say which do
            raise MongeError(f"data '{source.name}': {error}") from error
    return method.to(device, getattr(torch, recipe.run.dtype))


def train(recipe: Recipe, folder: RunFolder, *, fresh: bool = False) -> dict[str, Any]:
    """Train a recipe in a folder, or continue what is there; returns the metrics of the end.

    Raises
    ------
    Interrupted
        After SIGINT or SIGTERM, with a checkpoint written.
    MongeError
        Non-finite loss or gradient, another configuration in the folder, a full disk.
    """
    with parallel.processes() as part, _threads(recipe.run.threads):
        main = part[0] == 0
        source = load(recipe.data.name, recipe.data.root, recipe.data.size)
        device = device_of(recipe.run.device)
        method = build(recipe, source, device)
        if main:
            folder.claim(recipe, fresh=fresh)
        parallel.barrier()
        state, remarks = folder.torch_state()
        if main:
            for remark in remarks:
                tqdm.write(remark)
        job = _Job(recipe, folder, method, source, device, part)
        start, position = job.restore(state) if state else (0, 0)
        if main:
            folder.rewind(start)
        if start < recipe.run.steps:
            _loop(job, start, position)
        measured = evaluate_run(folder, method, source) if main else {}
        parallel.barrier()  # leave together: a process that tears down while others still work has been seen to abort
        return measured


def _loop(job: _Job, start: int, position: int) -> None:
    run, main = job.recipe.run, job.part[0] == 0
    seen: dict[str, list[float]] = {}
    with stop_signals() as caught, _progress(job.recipe, start, main) as bar:
        job.clock.start()
        for step in range(start, run.steps):
            draw = job.draw(step, position)
            scalars = {k: float(v) for k, v in job.method.step(draw).items()}
            _check_finite(scalars, step, job.folder)
            position, done = draw.position, step + 1
            for name, value in scalars.items():
                seen.setdefault(name, []).append(value)
            bar.update()
            stop = parallel.any_process(bool(caught))
            if done % run.every == 0 or done == run.steps or stop:
                if main:
                    with job.clock.paused():
                        line = job.record(done, position, {k: mean(v) for k, v in seen.items()})
                    bar.set_postfix({k: f"{line[k]:.3g}" for k in ("loss", "energy_distance", "frechet_lenet") if k in line})
                seen = {}
            if stop:
                raise Interrupted(caught[0] if caught else signal.SIGTERM, done)


class _Job:
    """A run in progress: what it trains, on what, and where it writes."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, method: Method, source: Source, device: torch.device, part: tuple[int, int]
    ) -> None:
        self.recipe, self.folder, self.method, self.source = recipe, folder, method, source
        self.device, self.part, self.clock = device, part, _Clock(device)
        self.told = set(raised(folder.history())) if part[0] == 0 else set()

    def draw(self, step: int, position: int) -> Draw:
        run = self.recipe.run
        where = {"part": self.part, "device": self.device, "dtype": getattr(torch, run.dtype)}
        return Draw(self.source, run.seed, step, position=position, steps=run.steps, **where)

    @cached_property
    def frechet(self) -> Callable[[Tensor], float] | None:
        return frechet_of(self.source)

    def record(self, step: int, position: int, means: Mapping[str, float]) -> dict[str, Any]:
        """Write a log line, then its checkpoint (a line without one is dropped on resuming), then the pictures."""
        line: dict[str, Any] = {"step": step, **self.clock.read(), **means}
        line |= diagnose(self.method, self.source, self.frechet)
        if warnings := alarms(means):
            line["warning"] = "; ".join(warnings)
            self.tell(step, warnings)
        self.folder.append(line)
        state = {
            "step": step,
            "position": position,
            "clock": self.clock.read(),
            "method": self.method.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.method.optimizers.items()},
        }
        checkpoint.save(self.folder.checkpoints, step, state)
        self.folder.save_weights(self.method.state_dict())
        draw_pictures(self.folder, self.method, self.source)
        return line

    def tell(self, step: int, warnings: list[str]) -> None:
        """Print each warning once a run, earlier sittings included."""
        for warning in warnings:
            if warning not in self.told:
                tqdm.write(f"step {step}: {warning}")
        self.told |= set(warnings)

    def restore(self, state: Mapping[str, Any]) -> tuple[int, int]:
        """Load a checkpoint; returns its step and the position in the data."""
        self.method.load_state_dict(state["method"])
        for name, optimizer in self.method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.clock.add(state["clock"])
        return state["step"], state["position"]


def _progress(recipe: Recipe, start: int, main: bool) -> tqdm[Any]:
    pause = 0.2 if sys.stderr.isatty() else 30  # seconds; in a log file a line now and then is enough
    return tqdm(total=recipe.run.steps, initial=start, disable=not main, desc=recipe.method.name, mininterval=pause)


def _check_finite(scalars: Mapping[str, float], step: int, folder: RunFolder) -> None:
    bad = [name for name, value in scalars.items() if not math.isfinite(value)]
    if bad:
        raise MongeError(
            f"step {step + 1}: {bad[0]} is {scalars[bad[0]]}; the last good checkpoint stays in {folder.checkpoints}: "
            "lower the learning rates (or raise method.epsilon, where there is one), with --run.out for a new folder"
        )


class _Clock:
    """Seconds of training steps over all sittings of a run: wall, CPU, and wall with the GPU's work done where there is one.

    Evaluating, drawing and writing do not count: they depend on how often the log is written.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self._spent = dict.fromkeys(("wall_seconds", "cpu_seconds", *(["gpu_seconds"] if self._cuda else [])), 0.0)
        self.start()

    def add(self, earlier: Mapping[str, float]) -> None:
        self._spent |= earlier

    def read(self) -> dict[str, float]:
        """The seconds up to the last pause."""
        return {name: round(seconds, 3) for name, seconds in self._spent.items()}

    def start(self) -> None:
        self._since = self._now()

    @contextmanager
    def paused(self) -> Iterator[None]:
        for name, now in self._now().items():
            self._spent[name] += now - self._since[name]
        yield
        self.start()

    def _now(self) -> dict[str, float]:
        if self._cuda is None:
            return {"wall_seconds": time.perf_counter(), "cpu_seconds": time.process_time()}
        torch.cuda.synchronize(self._cuda)  # steps return before the GPU is done
        wall = time.perf_counter()
        return {"wall_seconds": wall, "cpu_seconds": time.process_time(), "gpu_seconds": wall}


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM so that the step at hand ends first; a second one stops at once."""
    caught: list[int] = []

    def note(signum: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(signum)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {number: signal.signal(number, note) for number in numbers}
    except ValueError:  # not the main thread: signals stay with their owner
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
