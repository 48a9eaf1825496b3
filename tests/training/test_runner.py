"""The runner, with a job that counts: clock, budget, signals, checkpoints, log and errors."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from monge.errors import MongeError
from monge.training import Bar, Clock, Interrupted, Runner, checkpoint, runner


class Counting:
    """A job of ten steps of one second, each of which adds its number to a sum.

    A signal is sent in step ``stop_in``, and ``values`` are the losses of some steps.
    """

    def __init__(
        self, now: list[float], *, stop_in: int = 0, values: Mapping[int, float] | None = None
    ) -> None:
        self.now, self.stop_in, self.values = now, stop_in, values or {}
        self.at, self.sum = 0, 0

    @property
    def done(self) -> bool:
        return self.at == 10

    @property
    def progress(self) -> float:
        return self.at / 10

    def step(self) -> dict[str, float]:
        self.at += 1
        self.sum += self.at
        self.now[0] += 1
        if self.at == self.stop_in:
            signal.raise_signal(signal.SIGTERM)
        return {"loss": self.values.get(self.at, float(self.at)), "grad": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at, "sum": self.sum}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.at, self.sum = state["at"], state["sum"]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock by a settable wall time; CPU time is twice as fast."""
    wall = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: wall[0], process_time=lambda: 2 * wall[0])
    monkeypatch.setattr(runner, "time", clock)
    return wall


def restore(job: Counting, folder: Path, **options: Any) -> tuple[Runner, list[str]]:
    """Return a runner that has loaded the checkpoint of a folder, and its messages."""
    restored = Runner(job, folder, **options)
    state, messages = checkpoint.load_latest(folder)
    return restored, [*messages, *([restored.restore(state)] if state else [])]


def test_signal_finishes_the_current_step_and_the_run_can_be_continued(
    tmp_path: Path, now: list[float]
) -> None:
    job = Counting(now, stop_in=4)
    with pytest.raises(Interrupted, match="stopped at step 4; the same command continues") as stop:
        Runner(job, tmp_path, every=3).run()
    assert (stop.value.signum, job.sum) == (signal.SIGTERM, 1 + 2 + 3 + 4)
    job = Counting(now)
    made, messages = restore(job, tmp_path, every=3)
    assert messages == ["continues after 4 steps and 4 s"]
    assert not made.run()
    assert (made.step, job.sum, made.finished) == (10, 55, True)
    assert restore(Counting(now), tmp_path)[1] == ["was finished after 10 steps and 10 s"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signal_without_a_folder_raises_keyboard_interrupt(now: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt):
        Runner(Counting(now, stop_in=2)).run()


def test_second_signal_interrupts_the_run(tmp_path: Path, now: list[float]) -> None:
    def send_signal(step: int, _: Any) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Runner(Counting(now, stop_in=3), tmp_path, every=5).run(on_step=send_signal)
    assert not [*tmp_path.iterdir()]


def test_clock_sums_sessions_and_excludes_writing(tmp_path: Path, now: list[float]) -> None:
    """A step takes 1 s of wall time and 2 s of CPU time; writing takes 5 s."""

    def write(*_: Any) -> dict[str, float]:
        now[0] += 5
        return {}

    with pytest.raises(Interrupted):
        Runner(Counting(now, stop_in=5), tmp_path, every=2).run(log=write, saved=write)
    now[0] += 1000
    made, _ = restore(Counting(now), tmp_path, every=2)
    now[0] += 1000
    made.run(log=write, saved=write)
    assert made.clock.read() == {"wall_seconds": 10.0, "cpu_seconds": 20.0}


def test_running_clock_counts_the_time_before_the_first_step(now: list[float]) -> None:
    clock = Clock()
    clock.start()
    now[0] += 7
    clock.start()
    with clock.paused():
        now[0] += 100
        assert clock.wall == 7
    now[0] += 1
    assert clock.read() == {"wall_seconds": 8.0, "cpu_seconds": 16.0}


def test_time_budget_includes_earlier_sessions_and_is_not_exceeded(
    tmp_path: Path, now: list[float]
) -> None:
    with pytest.raises(Interrupted):
        Runner(Counting(now, stop_in=2), tmp_path, time_budget=6.5).run()
    job = Counting(now)
    made, _ = restore(job, tmp_path, time_budget=6.5)
    assert made.run()
    assert (made.step, job.progress, made.finished) == (6, 0.6, True)
    assert restore(Counting(now), tmp_path)[0].finished
    # the budget is enough for all steps
    assert not Runner(Counting(now), time_budget=10.0).run()


def test_scalar_that_is_not_finite_is_named_and_the_last_checkpoint_kept(
    tmp_path: Path, now: list[float]
) -> None:
    losses = {7: float("nan")}
    with pytest.raises(MongeError, match=r"^step 7: loss is nan: lower the learning rate$"):
        Runner(Counting(now, values=losses), tmp_path, every=2).run()
    state, _ = checkpoint.load_latest(tmp_path)
    assert state is not None
    assert (state["step"], state["at"]) == (6, 6)
    job = Counting(now, values={7: float("inf")})
    with pytest.raises(MongeError, match=r"^7 loss inf$"):
        Runner(job, not_finite=lambda step, term, value: f"{step} {term} {value}").run()


def test_truncated_checkpoint_is_reported_and_the_previous_one_used(
    tmp_path: Path, now: list[float]
) -> None:
    Runner(Counting(now), tmp_path, every=4).run()
    newest = tmp_path / "step-00000010.pt"
    newest.write_bytes(newest.read_bytes()[:-9])
    job = Counting(now)
    made, messages = restore(job, tmp_path, every=4)
    assert messages == [
        f"checkpoint {newest} is truncated or corrupt: using the previous one",
        "continues after 8 steps and 8 s",
    ]
    made.run()
    assert job.sum == 55


def test_checkpoints_of_version_0_1_0_with_a_single_time_are_read(
    tmp_path: Path, now: list[float]
) -> None:
    checkpoint.save(tmp_path, 3, {"step": 3, "seconds": 12.5, "at": 3, "sum": 6})
    job = Counting(now)
    made, messages = restore(job, tmp_path)
    assert messages == ["continues after 3 steps and 12 s"]
    made.run()
    assert (job.sum, made.clock.wall) == (55, 19.5)


def test_log_receives_means_and_is_called_before_the_checkpoint(
    tmp_path: Path, now: list[float]
) -> None:
    calls: list[Any] = []

    def files() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    def log(step: int, means: Mapping[str, float]) -> Mapping[str, float]:
        calls.append((step, means["loss"], files()))
        return means

    Runner(Counting(now), tmp_path, every=4).run(log=log, saved=lambda: calls.append(files()))
    first, second, third = "step-00000004.pt", "step-00000008.pt", "step-00000010.pt"
    assert calls[:3] == [(4, 2.5, []), [first], (8, 6.5, [first])]
    assert (calls[4][:2], calls[5]) == ((10, 9.5), [second, third])


def test_saving_takes_a_bounded_share_of_the_time_by_default(
    tmp_path: Path, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_SAVE_EVERY", 1.5)
    monkeypatch.setattr(runner, "_SAVE_SHARE", 8)
    save, steps, cost = checkpoint.save, list[int](), 0.5

    def save_slowly(folder: Path, step: int, state: dict[str, Any]) -> Path:
        now[0] += cost
        steps.append(step)
        return save(folder, step, state)

    monkeypatch.setattr(checkpoint, "save", save_slowly)
    Runner(Counting(now), tmp_path).run()
    assert steps == [2, 7, 10]  # after 1.5 s, then after 8 × 0.5 s, and at the end


def test_bar_shows_share_step_and_scalars(
    now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Bar("counting")
    Runner(Counting(now), bar=bar).run()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "counting: 100%" in last
    assert "step=10 (1/s), loss=10" in last
    assert Bar("nothing").close() is None


def test_gpu_seconds_include_unfinished_work_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device finishes the work of a step at 3 s, after the step has returned."""
    now = [0.0]
    time = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0)
    monkeypatch.setattr(runner, "time", time)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: now.__setitem__(0, max(now[0], 3.0)))
    clock = Clock("cuda")
    clock.start()
    clock.add({"wall_seconds": 1.0, "cpu_seconds": 1.0, "gpu_seconds": 1.0})
    now[0] = 2.0
    clock._since = dict.fromkeys(clock._since, 0.0)  # the device was idle at the start
    with clock.paused():
        now[0] = 50.0
    assert clock.read() == {"wall_seconds": 4.0, "cpu_seconds": 1.0, "gpu_seconds": 4.0}
