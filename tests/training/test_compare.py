"""Groups of runs and their table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monge.metrics import Metric
from monge.metrics.lenet import QUALITY
from monge.metrics.samples import MODES, ON_MODES, W2
from monge.training.compare import Group, MeanStd, Run, as_json, columns, read_groups, table
from tests.helpers.runs import copy_with_change, train_two_seeds


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_two_seeds(tmp_path_factory.mktemp("compare"))


class TestGroups:
    def test_seeds_of_one_recipe_make_one_group(self, trained: Path, tmp_path: Path) -> None:
        other = copy_with_change(trained / "0", tmp_path / "other", "lr: 0.001", "lr: 0.01")
        groups = read_groups([trained / "1", other, trained / "0"])
        assert [[run.recipe.run.seed for run in group.runs] for group in groups] == [[0, 1], [0]]
        assert [group.label for group in groups] == [
            "sinkhorn-gan, lr 0.001",
            "sinkhorn-gan, lr 0.01",
        ]

    def test_a_single_group_is_labeled_by_its_method(self, trained: Path, tmp_path: Path) -> None:
        # another title does not make another recipe
        renamed = copy_with_change(trained / "1", tmp_path / "renamed", "title: ", "title: Again, ")
        (group,) = read_groups([trained / "0", renamed])
        assert (group.label, len(group.runs)) == ("sinkhorn-gan", 2)

    def test_groups_with_many_differences_are_labeled_by_their_folder(
        self, trained: Path, tmp_path: Path
    ) -> None:
        other = copy_with_change(trained / "0", tmp_path / "other", "lr: 0.001", "lr: 0.01")
        config = (other / "config.yaml").read_text()
        (other / "config.yaml").write_text(
            config.replace("width: 8", "width: 9").replace("batch: 16", "batch: 32")
        )
        assert [g.label for g in read_groups([trained / "0", other])][1] == f"sinkhorn-gan, {other}"

    def test_metrics_are_mean_and_sample_deviation_over_seeds(self, trained: Path) -> None:
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
    """Return the table of the given metrics, by label, as cells."""
    run = read_groups([trained / "0"])[0].runs[0]
    groups = [
        Group(label, tuple(Run(run.folder, run.recipe, m, run.history) for m in seeds))
        for label, seeds in metrics.items()
    ]
    lines = table(groups, KNOWN).splitlines()
    assert len({len(line) for line in lines}) == 1, "aligned"
    cells = [line.split("  ") for line in (lines[0], *lines[2:])]
    return [[cell.strip() for cell in row if cell.strip()] for row in cells]


class TestTable:
    def test_the_best_of_each_column_is_marked(self, trained: Path) -> None:
        modes = {"modes": 8, "modes_total": 8}
        slow = {"w2_ratio": 1.5, "share_within_3_sigma": 0.9, "cpu_seconds": 60.0}
        fast = {"w2_ratio": 1.2, "share_within_3_sigma": 0.8, "cpu_seconds": 30.0}
        header, a, b = rows(trained, a=[slow | modes], b=[fast | modes])
        assert header == ["method", "W2²/floor", "modes", "of", "within 3σ, %", "CPU-min", "seeds"]
        assert a == ["a", "1.50", "8.0", "8", "90.0 *", "1.00", "1"]
        assert b == ["b", "1.20 *", "8.0", "8", "80.0", "0.50 *", "1"]

    def test_cells_show_mean_and_deviation_over_seeds(self, trained: Path) -> None:
        _, a, b = rows(
            trained,
            a=[{"w2_ratio": 1.0, "modes_total": 8}, {"w2_ratio": 2.0, "modes_total": 8}],
            b=[{"w2_ratio": 1.6, "modes_total": 8}],
        )
        assert a == ["a", "1.50 ± 0.71 *", "8", "2"]
        assert b == ["b", "1.60", "8", "1"]

    def test_cells_of_missing_metrics_are_empty(self, trained: Path) -> None:
        header, a, b = rows(
            trained,
            a=[{"w2_ratio": 1.0, "recall_lenet": 0.5}],
            b=[{"w2_ratio": 1.0, "lenet_sha256": "abc"}],
        )
        assert header == ["method", "W2²/floor", "recall", "seeds"]
        assert (a, b) == (["a", "1.00", "0.500", "1"], ["b", "1.00", "1"])

    def test_columns_have_keys_titles_and_directions(self) -> None:
        share = Metric("share", "on modes", 1, "high", "%", 100, table="on modes, %")
        hidden = Metric("score_silence_sample", "silence", 3, "low", stem="score_silence")
        result = columns([W2, MODES, share, hidden])
        assert [(c.key, c.title, c.better) for c in result] == [
            ("w2_ratio", "W2²/floor", "low"),
            ("modes", "modes", "high"),
            ("modes_total", "of", None),
            ("share", "on modes, %", "high"),
            ("cpu_minutes", "CPU-min", "low"),
        ]
