"""The runner with a job that counts: clock, budget, signals, checkpoints, log and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monge.errors import MongeError
from monge.training import Bar, Clock, Interrupted, Runner, checkpoint, runner


class Counting:
    """Ten steps, each of which adds its number to a sum and takes a second; ``raises`` sends a
    signal in one of them.
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
    """The time on the wall; the processor counts twice as fast."""
    time = [0.0]
    monkeypatch.setattr(
        runner,
        "time",
        SimpleNamespace(perf_counter=lambda: time[0], process_time=lambda: 2 * time[0]),
    )
    return time


def continued(job: Counting, folder: Path, **options: Any) -> tuple[Runner, list[str]]:
    """A runner that has loaded what the folder holds, and what was said about it."""
    made = Runner(job, folder, **options)
    state, remarks = checkpoint.load_latest(folder)
    return made, [*remarks, *([made.restore(state)] if state else [])]


def test_a_signal_ends_the_step_at_hand_and_the_continuation_equals_the_whole(
    tmp_path: Path, now: list[float]
) -> None:
    job = Counting(now, stop_in=4)
    with pytest.raises(Interrupted, match="stopped at step 4; the same command continues") as stop:
        Runner(job, tmp_path, every=3).run()
    assert (stop.value.signum, job.sum) == (signal.SIGTERM, 1 + 2 + 3 + 4)
    job = Counting(now)
    made, said = continued(job, tmp_path, every=3)
    assert said == ["continues after 4 steps and 4 s"]
    assert not made.run()
    assert (made.step, job.sum, made.finished) == (10, 55, True)
    assert continued(Counting(now), tmp_path)[1] == ["was finished after 10 steps and 10 s"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_without_a_folder_a_signal_is_a_keyboard_interrupt(now: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt):
        Runner(Counting(now, stop_in=2)).run()


def test_a_second_signal_ends_the_run_at_once(tmp_path: Path, now: list[float]) -> None:
    def again(step: int, _: Any) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Runner(Counting(now, stop_in=3), tmp_path, every=5).run(on_step=again)
    assert not [*tmp_path.iterdir()]


def test_the_clock_adds_sittings_and_leaves_out_writing(tmp_path: Path, now: list[float]) -> None:
    """A step takes 1 s on the wall and 2 s of the processor, and 5 s pass on each log line and each
    picture.
    """

    def passes(*_: Any) -> dict[str, float]:
        now[0] += 5
        return {}

    with pytest.raises(Interrupted):
        Runner(Counting(now, stop_in=5), tmp_path, every=2).run(log=passes, saved=passes)
    now[0] += 1000
    made, _ = continued(Counting(now), tmp_path, every=2)
    now[0] += 1000
    made.run(log=passes, saved=passes)
    assert made.clock.read() == {"wall_seconds": 10.0, "cpu_seconds": 20.0}


def test_a_clock_that_runs_already_counts_what_went_before(now: list[float]) -> None:
    clock = Clock()
    clock.start()
    now[0] += 7
    clock.start()
    with clock.paused():
        now[0] += 100
        assert clock.wall == 7
    now[0] += 1
    assert clock.read() == {"wall_seconds": 8.0, "cpu_seconds": 16.0}


def test_the_budget_counts_all_sittings_and_takes_no_step_beyond_it(
    tmp_path: Path, now: list[float]
) -> None:
    with pytest.raises(Interrupted):
        Runner(Counting(now, stop_in=2), tmp_path, time_budget=6.5).run()
    job = Counting(now)
    made, _ = continued(job, tmp_path, time_budget=6.5)
    assert made.run()
    assert (made.step, job.progress, made.finished) == (6, 0.6, True)
    assert continued(Counting(now), tmp_path)[0].finished
    # to the end, which leaves nothing to say
    assert not Runner(Counting(now), time_budget=10.0).run()


def test_a_scalar_that_is_not_finite_is_named_and_the_last_checkpoint_stays(
    tmp_path: Path, now: list[float]
) -> None:
    bad = {7: float("nan")}
    with pytest.raises(MongeError, match=r"^step 7: loss is nan: lower the learning rate$"):
        Runner(Counting(now, values=bad), tmp_path, every=2).run()
    state, _ = checkpoint.load_latest(tmp_path)
    assert state is not None
    assert (state["step"], state["at"]) == (6, 6)
    with pytest.raises(MongeError, match=r"^7 loss inf$"):
        Runner(
            Counting(now, values={7: float("inf")}),
            not_finite=lambda *what: "{} {} {}".format(*what),
        ).run()


def test_a_torn_checkpoint_falls_back_and_says_so(tmp_path: Path, now: list[float]) -> None:
    Runner(Counting(now), tmp_path, every=4).run()
    newest = tmp_path / "step-00000010.pt"
    newest.write_bytes(newest.read_bytes()[:-9])
    job = Counting(now)
    made, said = continued(job, tmp_path, every=4)
    assert said == [
        f"checkpoint {newest} is torn or corrupt: falling back to the one before it",
        "continues after 8 steps and 8 s",
    ]
    made.run()
    assert job.sum == 55


def test_checkpoints_of_0_1_0_with_one_number_for_the_time_are_read(
    tmp_path: Path, now: list[float]
) -> None:
    checkpoint.save(tmp_path, 3, {"step": 3, "seconds": 12.5, "at": 3, "sum": 6})
    job = Counting(now)
    made, said = continued(job, tmp_path)
    assert said == ["continues after 3 steps and 12 s"]
    made.run()
    assert (job.sum, made.clock.wall) == (55, 19.5)


def test_log_lines_have_means_and_come_before_their_checkpoints(
    tmp_path: Path, now: list[float]
) -> None:
    seen: list[Any] = []

    def log(step: int, means: Mapping[str, float]) -> Mapping[str, float]:
        seen.append((step, means["loss"], [path.name for path in tmp_path.iterdir()]))
        return means

    made = Runner(Counting(now), tmp_path, every=4)
    made.run(log=log, saved=lambda: seen.append(sorted(path.name for path in tmp_path.iterdir())))
    first, second, third = "step-00000004.pt", "step-00000008.pt", "step-00000010.pt"
    assert seen[:3] == [(4, 2.5, []), [first], (8, 6.5, [first])]
    assert (seen[4][:2], seen[5]) == ((10, 9.5), [second, third])


def test_without_a_number_of_steps_saving_takes_a_small_share_of_the_time(
    tmp_path: Path, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_SAVE_EVERY", 1.5)
    monkeypatch.setattr(runner, "_SAVE_SHARE", 8)
    save, steps, cost = checkpoint.save, list[int](), 0.5

    def slow(folder: Path, step: int, state: dict[str, Any]) -> Path:
        now[0] += cost
        steps.append(step)
        return save(folder, step, state)

    monkeypatch.setattr(checkpoint, "save", slow)
    Runner(Counting(now), tmp_path).run()
    assert steps == [2, 7, 10]  # after 1.5 s, then after 8 × 0.5 s, and at the end


def test_the_bar_shows_share_step_and_scalars(
    now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Bar("counting")
    Runner(Counting(now), bar=bar).run()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "counting: 100%" in last
    assert "step=10 (1/s), loss=10" in last
    assert Bar("nothing").close() is None
