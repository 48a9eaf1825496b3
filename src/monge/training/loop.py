"""Training of a recipe.

A step draws data by position and noise by (seed, step). A checkpoint therefore consists of weights,
optimizer states and two integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from monge import parallel
from monge.data import Dataset, StepInputs, load
from monge.methods.protocols import Method

from .diagnose import diagnose, find_warnings, logged_warnings
from .evaluate import Evaluation, draw_pictures, evaluate_run, evaluators
from .folder import RunFolder, device_of
from .recipe import Recipe, build
from .runner import Bar, Clock, Runner


def train(
    recipe: Recipe, folder: RunFolder, *, fresh: bool = False, dataset: Dataset | None = None
) -> Evaluation | None:
    """Train a recipe in a folder, or continue the run in it; returns the final metrics.

    Returns None on all processes but the first. Raises `Interrupted` after SIGINT or SIGTERM, with
    a checkpoint written, and MongeError for a loss or gradient that is not finite, another
    configuration in the folder, or a full disk.
    """
    with parallel.processes() as part, _threads(recipe.run.threads):
        main = part[0] == 0
        if dataset is None:
            dataset = load(recipe.data.name, recipe.data.root, recipe.data.size)
        device = device_of(recipe.run.device)
        method = build(recipe, dataset, device)
        if main:
            folder.claim(recipe, fresh=fresh)
        parallel.barrier()
        state, messages = folder.torch_state()
        if main:
            for message in messages:
                tqdm.write(message)
        clock = Clock(device)
        record = _Record(folder, method, dataset, clock)
        where = {"part": part, "device": device, "dtype": getattr(torch, recipe.run.dtype)}
        job = Training(method, dataset, recipe.run.seed, recipe.run.steps, **where)
        runner = Runner(
            job,
            folder.checkpoints,
            every=recipe.run.every,
            clock=clock,
            bar=Bar(recipe.method.name),
            not_finite=partial(_not_finite, folder),
        )
        if state:
            runner.restore(state)
        if main:
            folder.rewind(runner.step)
        runner.run(log=record.log, saved=record.saved)
        measured = evaluate_run(folder, method, dataset) if main else None
        # leave together: the others wait while the first one measures
        parallel.barrier()
        return measured


class Training:
    """A `Job` that takes ``steps`` training steps of a method on a data set.

    ``method`` is a `Method`; it need not generate samples. ``where`` are the arguments part, device
    and dtype of `StepInputs`.

    >>> from monge.methods import ot_gan
    >>> job = Training(ot_gan.build(ot_gan.TINY, (2,)), load("8gaussians"), seed=0, steps=4)
    >>> scalars = job.step()
    >>> job.progress, job.done, sorted(job.state_dict())
    (0.25, False, ['method', 'optimizers', 'position'])
    """

    def __init__(self, method: Any, dataset: Dataset, seed: int, steps: int, **where: Any) -> None:
        self.method = method
        self.dataset = dataset
        self.seed = seed
        self.steps = steps
        self.where = where
        self.at, self.position = 0, 0

    @property
    def done(self) -> bool:
        return self.at >= self.steps

    @property
    def progress(self) -> float:
        return self.at / self.steps if self.steps else 1.0

    def step(self) -> Mapping[str, float | Tensor]:
        where = {"position": self.position, "steps": self.steps, **self.where}
        inputs = StepInputs(self.dataset, self.seed, self.at, **where)
        scalars = self.method.step(inputs)
        self.at, self.position = self.at + 1, inputs.position
        return scalars

    def state_dict(self) -> dict[str, Any]:
        method = self.method.state_dict()
        optimizers = {name: o.state_dict() for name, o in self.method.optimizers.items()}
        return {"position": self.position, "method": method, "optimizers": optimizers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        for name, optimizer in self.method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.at, self.position = state["step"], state.get("position", 0)


class _Record:
    """Writes the log, the weights and the pictures of a run."""

    def __init__(self, folder: RunFolder, method: Method, dataset: Dataset, clock: Clock) -> None:
        self.folder, self.method, self.dataset, self.clock = folder, method, dataset, clock
        self.reported = set(logged_warnings(folder.history())) if parallel.rank() == 0 else set()

    def log(self, step: int, means: Mapping[str, float]) -> dict[str, Any]:
        """Write a log line."""
        line: dict[str, Any] = {"step": step, **self.clock.read(), **means}
        line |= diagnose(self.method, self.dataset, evaluators(self.dataset))
        if warnings := find_warnings(means):
            line["warning"] = "; ".join(warnings)
        for warning in warnings:
            if warning not in self.reported:  # once per run, including earlier sessions
                tqdm.write(f"step {step}: {warning}")
        self.reported |= set(warnings)
        self.folder.append(line)
        return line

    def saved(self) -> None:
        """Write the weights and the pictures."""
        self.folder.save_weights(self.method.state_dict())
        draw_pictures(self.folder, self.method, self.dataset)


def _not_finite(folder: RunFolder, step: int, term: str, value: float) -> str:
    return (
        f"step {step}: {term} is {value}; the last good checkpoint stays in {folder.checkpoints}: "
        "lower the learning rates (or raise method.epsilon, where there is one), with another "
        "`out`"
    )


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
