"""`monge compare`: table, figure, JSON file and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from monge import plots
from tests.helpers.commands import monge, refusal
from tests.helpers.runs import copy_with_change, train_two_seeds


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_two_seeds(tmp_path_factory.mktemp("compare"))


def test_compare_writes_table_figure_and_json(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copy_with_change(trained / "0", tmp_path / "other", "lr: 0.001", "lr: 0.01")
    out, metrics = tmp_path / "new" / "er" / "both.png", tmp_path / "both.json"
    assert monge("compare", trained / "0", trained / "1", other, "-o", out, "--json", metrics) == 0
    text = capsys.readouterr().out
    assert "sinkhorn-gan, lr 0.001" in text
    assert f"look at {out}" in text
    assert Image.open(out).width > 1000
    assert [len(group["runs"]) for group in json.loads(metrics.read_text())] == [2, 1]


def test_default_and_chosen_metrics_are_drawn(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[list[str]] = []
    comparison = plots.comparison

    def spy(*args: Any) -> Any:
        figure = comparison(*args)
        titles.append([axis.get_title(loc="left") for axis in figure.axes])
        return figure

    monkeypatch.setattr(plots, "comparison", spy)
    for flags in ([], ["--metric", "modes"], ["--metric", "loss"]):
        assert monge("compare", trained / "0", trained / "1", "-o", tmp_path / "a.png", *flags) == 0
    panels = ["data", "sinkhorn-gan"]
    assert titles == [
        [*panels, "energy distance", "modes"],
        [*panels, "modes"],
        [*panels, "loss", "modes"],
    ]


def test_figures_of_the_same_runs_are_identical(trained: Path, tmp_path: Path) -> None:
    flags = ("--metric", "loss", "--against", "step")
    for name in ("a.png", "b.png"):
        assert monge("compare", trained / "0", "-o", tmp_path / name, *flags) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_invalid_runs_and_flags_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error_for(*args: object) -> str:
        return refusal(capsys, "compare", trained / "0", *args, "-o", tmp_path / "no.png")

    rings = copy_with_change(trained / "0", tmp_path / "rings", "name: 8gaussians", "name: rings")
    assert f"{trained / '0'} is on '8gaussians', {rings} on 'rings'" in error_for(rings)
    assert "hold the same run (recipe and seed 0): name one" in error_for(trained / "0")
    assert "has no 'los'; did you mean 'loss'?" in error_for("--metric", "los")
    assert "has no 'gpu_seconds'; did you mean 'cpu_seconds'?" in error_for(
        "--against", "gpu_seconds"
    )
    assert "is not a run folder" in error_for(tmp_path)
    assert "--out must end in .png, .pdf or .svg" in refusal(
        capsys, "compare", trained / "0", "-o", tmp_path / "no.gif"
    )
    bare = copy_with_change(trained / "0", tmp_path / "bare", "seed: 0", "seed: 5")
    (bare / "metrics.json").write_text("{")
    assert f"is not valid JSON: run 'monge eval {bare}' to write it again" in error_for(bare)
    (bare / "metrics.json").unlink()
    assert f"has no metrics.json: run 'monge eval {bare}'" in error_for(bare)
    silent = copy_with_change(trained / "0", tmp_path / "silent", "seed: 0", "seed: 6")
    (silent / "log.jsonl").unlink()
    assert f"{silent / 'log.jsonl'} has no 'energy_distance'; its log is empty" in error_for(silent)
    assert not (tmp_path / "no.png").exists()


def test_runs_on_missing_data_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = copy_with_change(trained / "0", tmp_path / "gone", "name: 8gaussians", "name: lost.npy")
    assert "no data set, file or folder 'lost.npy'" in refusal(
        capsys, "compare", gone, "-o", tmp_path / "no.png"
    )
