"""What several benchmarks share: results, sections of pages, cells of tables, cost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.common import markdown
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.images import save_jpeg, to_image
from benchmarks.common.pages import opening, replace_sections, write_sections
from benchmarks.common.provenance import provenance
from benchmarks.common.results import (
    add_row,
    load_result,
    mean_and_deviation,
    read_result,
    write_result,
)
from monge.errors import MongeError

PAGE = f"before\n{opening('one')}\nold\n<!-- end of one -->\nafter\n"


def test_sections_are_replaced_between_their_marks() -> None:
    text = replace_sections(PAGE, {"one": "new\nlines"})
    assert text == PAGE.replace("old", "new\nlines")
    assert replace_sections(text, {"one": "new\nlines"}) == text


def test_missing_mark_is_an_error_that_names_the_page() -> None:
    with pytest.raises(MongeError, match=r"docs/a\.md must have '<!-- two: written by"):
        replace_sections(PAGE, {"two": "text"}, "docs/a.md")


def test_check_reports_a_stale_page_and_leaves_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert write_sections(page, {"one": "new"}, check=True)
    assert page.read_text() == PAGE
    assert write_sections(page, {"one": "new"})
    assert not write_sections(page, {"one": "new"}, check=True)


def test_deviation_is_shown_only_where_there_is_one() -> None:
    one, two = mean_and_deviation([0.5]), mean_and_deviation([0.25, 0.75])
    assert markdown.with_deviation(one, 2) == "0.50"
    assert markdown.with_deviation(two, 1, 100) == "50.0 ± 35.4"
    assert markdown.with_deviation(two, ".4g") == "0.5 ± 0.3536"
    assert markdown.header(["a", "b"]) == ["| a | b |", "|---|---|"]
    assert markdown.cpu_minutes(90) == "1.5 CPU-min"


def test_rows_are_stored_with_their_commit(tmp_path: Path) -> None:
    path = tmp_path / "results" / "study.json"
    result = read_result(path, {"rows": {}})
    add_row(result["rows"], "ε", {"value": 1.0}, result, provenance(), path)
    stored = read_result(path, None)
    assert stored["rows"]["ε"]["value"] == 1.0
    assert stored["rows"]["ε"]["commit"]
    assert "commit" not in stored
    assert {"machine", "versions"} < stored.keys()
    assert [file.name for file in path.parent.iterdir()] == ["study.json"]
    write_result(path, {"rows": {}})
    assert read_result(path, None) == {"rows": {}}


def test_missing_results_are_none() -> None:
    assert load_result("never-measured") is None
    assert load_result("solvers") is not None


def test_cost_has_both_clocks_and_the_peak_is_monotone() -> None:
    before = peak_memory_mib()
    result, cost = timed(torch.ones, 3_000_000)
    assert result.sum() == 3_000_000
    assert cost.keys() == {"wall_seconds", "cpu_seconds"}
    assert peak_memory_mib() >= before > 0


def test_jpeg_is_at_most_as_large_as_asked(tmp_path: Path) -> None:
    gray = to_image(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert gray.mode == "L"
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    save_jpeg(gray, large, 10**6)
    save_jpeg(gray, small, large.stat().st_size - 1)
    assert 0 < small.stat().st_size < large.stat().st_size


def test_tables_say_which_results_come_from_an_uncommitted_tree() -> None:
    clean, stale = {"commit": "1a2b3c4"}, {"rows": [{"commit": "1a2b3c4-dirty"}]}
    assert markdown.with_provenance("table", clean, None) == "table"
    note = "Measured with uncommitted changes; to be measured again."
    assert markdown.with_provenance("table", stale) == f"table\n\n{note}"
    assert "(1 of 2 results)" in markdown.with_provenance("table", clean, stale)
