"""Runs side by side: which runs make a row, what the row says, and what the figure shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monge import plots
from monge.metrics.lenet import QUALITY
from monge.metrics.samples import MODES, ON_MODES, W2
from monge.training import RunFolder, find, read, train
from monge.training.compare import Group, MeanStd, Run, as_json, read_groups, table
from tests.cli.test_cli import monge, refusal


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of one recipe in a folder: a/0 and a/1."""
    root = tmp_path_factory.mktemp("compare")
    recipe = read(find("sinkhorn-gan-8gaussians"))
    for seed in (0, 1):
        run = recipe.run.model_copy(
            update={"steps": 4, "every": 2, "seed": seed, "out": str(root / str(seed))}
        )
        narrow = recipe.method.nets.model_copy(update={"width": 8})
        small = recipe.method.model_copy(update={"batch": 16, "nets": narrow})
        evaluation = recipe.eval.model_copy(update={"samples": 64, "draws": 1})
        train(
            recipe.model_copy(update={"run": run, "method": small, "eval": evaluation}),
            RunFolder(root / str(seed)),
        )
    return root


def changed(trained: Path, copy: Path, old: str, new: str, seed: int = 0) -> Path:
    """A copy of a run with another configuration."""
    shutil.copytree(trained / str(seed), copy)
    config = (copy / "config.yaml").read_text()
    assert old in config
    (copy / "config.yaml").write_text(config.replace(old, new))
    return copy


class TestGroups:
    def test_seeds_of_one_recipe_make_one_group(self, trained: Path, tmp_path: Path) -> None:
        other = changed(trained, tmp_path / "other", "lr: 0.001", "lr: 0.01")
        groups = read_groups([trained / "1", other, trained / "0"])
        assert [[run.recipe.run.seed for run in group.runs] for group in groups] == [[0, 1], [0]]
        assert [group.label for group in groups] == [
            "sinkhorn-gan, lr 0.001",
            "sinkhorn-gan, lr 0.01",
        ]

    def test_a_lone_recipe_is_called_by_its_method(self, trained: Path, tmp_path: Path) -> None:
        # prose does not make another recipe
        told = changed(trained, tmp_path / "told", "title: ", "title: Once more, ", seed=1)
        (group,) = read_groups([trained / "0", told])
        assert (group.label, len(group.runs)) == ("sinkhorn-gan", 2)

    def test_many_differences_are_called_by_the_folder(self, trained: Path, tmp_path: Path) -> None:
        other = changed(trained, tmp_path / "other", "lr: 0.001", "lr: 0.01")
        config = (other / "config.yaml").read_text()
        (other / "config.yaml").write_text(
            config.replace("width: 8", "width: 9").replace("batch: 16", "batch: 32")
        )
        assert [g.label for g in read_groups([trained / "0", other])][1] == f"sinkhorn-gan, {other}"

    def test_mean_and_sample_deviation(self, trained: Path) -> None:
        (group,) = read_groups([trained / "0", trained / "1"])
        values = [
            json.loads((trained / seed / "metrics.json").read_text())["w2_ratio"] for seed in "01"
        ]
        assert group.metrics["w2_ratio"].mean == pytest.approx(np.mean(values))
        assert group.metrics["w2_ratio"].sd == pytest.approx(np.std(values, ddof=1))
        assert group.metrics["w2_ratio"].sd > 0
        assert MeanStd((3.0,)).sd == 0
        seconds = [run.metrics["cpu_seconds"] for run in group.runs]
        assert group.metrics["cpu_minutes"].mean == pytest.approx(np.mean(seconds) / 60)
        (written,) = as_json([group])
        assert written["metrics"]["w2_ratio"]["values"] == values
        assert (written["method"], written["data"], written["seeds"]) == (
            "sinkhorn_gan",
            "8gaussians",
            [0, 1],
        )


KNOWN = [W2, MODES, ON_MODES, *QUALITY]


def rows(trained: Path, **metrics: list[dict[str, float]]) -> list[list[str]]:
    """The table of made-up metrics by label, as cells."""
    run = read_groups([trained / "0"])[0].runs[0]
    groups = [
        Group(label, tuple(Run(run.folder, run.recipe, m, run.history) for m in of))
        for label, of in metrics.items()
    ]
    lines = table(groups, KNOWN).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()]
        for line in (lines[0], *lines[2:])
    ]


class TestTable:
    def test_best_marks(self, trained: Path) -> None:
        header, a, b = rows(
            trained,
            a=[
                {
                    "w2_ratio": 1.5,
                    "modes": 8,
                    "modes_total": 8,
                    "share_within_3_sigma": 0.9,
                    "cpu_seconds": 60.0,
                }
            ],
            b=[
                {
                    "w2_ratio": 1.2,
                    "modes": 8,
                    "modes_total": 8,
                    "share_within_3_sigma": 0.8,
                    "cpu_seconds": 30.0,
                }
            ],
        )
        assert header == ["method", "W2²/floor", "modes", "of", "within 3σ, %", "CPU-min", "seeds"]
        assert a == ["a", "1.50", "8.0", "8", "90.0 *", "1.00", "1"]
        assert b == ["b", "1.20 *", "8.0", "8", "80.0", "0.50 *", "1"]

    def test_mean_and_deviation_over_seeds(self, trained: Path) -> None:
        _, a, b = rows(
            trained,
            a=[{"w2_ratio": 1.0, "modes_total": 8}, {"w2_ratio": 2.0, "modes_total": 8}],
            b=[{"w2_ratio": 1.6, "modes_total": 8}],
        )
        assert a == ["a", "1.50 ± 0.71 *", "8", "2"]
        assert b == ["b", "1.60", "8", "1"]

    def test_a_column_that_some_runs_lack(self, trained: Path) -> None:
        header, a, b = rows(
            trained,
            a=[{"w2_ratio": 1.0, "recall_lenet": 0.5}],
            b=[{"w2_ratio": 1.0, "lenet_sha256": "abc"}],
        )
        assert header == ["method", "W2²/floor", "recall", "seeds"]
        assert (a, b) == (["a", "1.00", "0.500", "1"], ["b", "1.00", "1"])


LOG = [{"step": s, "cpu_seconds": s / 2, "frechet_lenet": 100.0 / s, "modes": s} for s in (1, 2, 4)]


class TestFigure:
    def test_panels(self) -> None:
        points = {name: torch.randn(30, 3) for name in "abcdefg"}
        figure = plots.comparison(
            torch.randn(30, 3),
            points,
            {n: [LOG] for n in points},
            ["frechet_lenet", "modes"],
            "step",
            titles={"frechet_lenet": "Fréchet-LeNet"},
        )
        titles = [axis.get_title(loc="left") for axis in figure.axes]
        assert titles == ["data", *"abcdefg", "Fréchet-LeNet", "modes"]
        assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes[:8]}) == 1
        colors = [axis._left_title.get_color() for axis in figure.axes[1:8]]
        assert len(set(colors)) == 7
        lines = [line.get_color() for line in figure.axes[8].lines if line.get_marker() == "o"]
        assert lines == colors

    def test_points_of_the_plane_stay_where_they_are(self) -> None:
        data, points = torch.rand(40, 2), torch.rand(30, 2)
        _, panel, _ = plots.comparison(data, {"a": points}, {"a": [LOG]}, ["modes"]).axes
        behind, front = (np.asarray(drawn.get_offsets()) for drawn in panel.collections)
        np.testing.assert_allclose(behind, data, atol=1e-6)
        np.testing.assert_allclose(front, points, atol=1e-6)

    def test_pictures_and_captions(self) -> None:
        black, white = (np.full((47, 47, 3), value, np.uint8) for value in (0, 255))
        figure = plots.comparison(black, {"a": white}, {"a": [LOG]}, ["modes"], captions={"a": "7"})
        data, a, _ = figure.axes
        assert data.images[0].get_array().shape == a.images[0].get_array().shape == (47, 47, 3)
        assert a.images[0].get_array().max() == 255
        assert (data.get_xlabel(), a.get_xlabel()) == ("", "7")

    def test_log_scale_beyond_a_decade(self) -> None:
        def scale(values: list[float]) -> str:
            log = [{"step": i, "cpu_seconds": i, "loss": v} for i, v in enumerate(values)]
            points = torch.randn(9, 2)
            return (
                plots.comparison(points, {"a": points}, {"a": [log]}, ["loss"])
                .axes[-1]
                .get_yscale()
            )

        assert [scale([1, 9]), scale([1, 11]), scale([-0.1, 1, 11]), scale([0, -1])] == [
            "linear",
            "log",
            "log",
            "linear",
        ]

    def test_band_over_the_steps_that_all_seeds_logged(self) -> None:
        one = [{"step": s, "cpu_seconds": float(s), "loss": 10.0 - s} for s in (1, 2, 3, 4)]
        two = [{"step": s, "cpu_seconds": 3.0 * s, "loss": 20.0 - s} for s in (2, 4)] + [
            {"step": 5, "warning": "no loss here"}
        ]
        places, mean, least, greatest = plots.compare.band([one, two], "loss", "cpu_seconds")
        np.testing.assert_allclose(
            [places, mean, least, greatest], [[4, 8], [13, 11], [8, 6], [18, 16]]
        )

    def test_points_out_of_view_are_counted(self) -> None:
        data = torch.rand(100, 2)
        astray = data.clone()
        astray[:7] += 50
        figure = plots.comparison(
            data, {"a": astray, "b": data}, {"a": [LOG], "b": [LOG]}, ["modes"]
        )
        said = [
            [text.get_text() for text in axis.texts if "outside" in text.get_text()]
            for axis in figure.axes[:3]
        ]
        assert said == [[], ["7.0% outside"], []]


class TestCommand:
    def test_table_figure_and_json(
        self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = changed(trained, tmp_path / "other", "lr: 0.001", "lr: 0.01")
        out, metrics = tmp_path / "new" / "er" / "both.png", tmp_path / "both.json"
        assert (
            monge("compare", trained / "0", trained / "1", other, "-o", out, "--json", metrics) == 0
        )
        text = capsys.readouterr().out
        assert "sinkhorn-gan, lr 0.001" in text
        assert f"look at {out}" in text
        assert Image.open(out).width > 1000
        assert [len(group["runs"]) for group in json.loads(metrics.read_text())] == [2, 1]

    def test_what_the_figure_is_given(
        self, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[list[str]] = []

        def spy(*args: Any) -> Any:
            figure = whole(*args)
            drawn.append([axis.get_title(loc="left") for axis in figure.axes])
            return figure

        whole = plots.comparison
        monkeypatch.setattr(plots, "comparison", spy)
        for flags in ([], ["--metric", "modes"], ["--metric", "loss"]):
            assert (
                monge("compare", trained / "0", trained / "1", "-o", tmp_path / "a.png", *flags)
                == 0
            )
        panels = ["data", "sinkhorn-gan"]
        assert drawn == [
            [*panels, "energy distance", "modes"],
            [*panels, "modes"],
            [*panels, "loss", "modes"],
        ]

    def test_same_runs_same_bytes(self, trained: Path, tmp_path: Path) -> None:
        for name in ("a.png", "b.png"):
            assert (
                monge(
                    "compare",
                    trained / "0",
                    "-o",
                    tmp_path / name,
                    "--metric",
                    "loss",
                    "--against",
                    "step",
                )
                == 0
            )
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_refusals(
        self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def told(*args: object) -> str:
            return refusal(capsys, "compare", trained / "0", *args, "-o", tmp_path / "no.png")

        rings = changed(trained, tmp_path / "rings", "name: 8gaussians", "name: rings")
        assert f"{trained / '0'} is on '8gaussians', {rings} on 'rings'" in told(rings)
        assert "hold the same run (recipe and seed 0): name one" in told(trained / "0")
        assert "has no 'los'; did you mean 'loss'?" in told("--metric", "los")
        assert "has no 'gpu_seconds'; did you mean 'cpu_seconds'?" in told(
            "--against", "gpu_seconds"
        )
        assert "is not a run folder" in told(tmp_path)
        assert "--out must end in .png, .pdf or .svg" in refusal(
            capsys, "compare", trained / "0", "-o", tmp_path / "no.gif"
        )
        bare = changed(trained, tmp_path / "bare", "seed: 0", "seed: 5")
        (bare / "metrics.json").write_text("{")
        assert f"is torn: 'monge eval {bare}' makes it anew" in told(bare)
        (bare / "metrics.json").unlink()
        assert f"has no metrics.json: 'monge eval {bare}' makes one" in told(bare)
        silent = changed(trained, tmp_path / "silent", "seed: 0", "seed: 6")
        (silent / "log.jsonl").unlink()
        assert f"{silent / 'log.jsonl'} has no 'energy_distance'; its log is empty" in told(silent)
        assert not (tmp_path / "no.png").exists()

    def test_runs_on_data_that_is_gone(
        self, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gone = changed(trained, tmp_path / "gone", "name: 8gaussians", "name: lost.npy")
        assert "no data set, file or folder 'lost.npy'" in refusal(
            capsys, "compare", gone, "-o", tmp_path / "no.png"
        )
