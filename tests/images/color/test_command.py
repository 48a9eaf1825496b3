"""`monge color`, end to end on a small picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monge.errors import MongeError
from monge.images.color import command as color


def test_command_recolors_a_picture_and_refuses_bad_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = [[[[0]]], [[[120]]]], [[[[120]]], [[[255]]]]
    x, y = np.random.default_rng(0).integers(low, high, (2, 30, 20, 3), dtype=np.uint8)
    for name, pixels in (("x.png", x), ("y.png", y)):
        Image.fromarray(pixels).save(tmp_path / name)
    given = [str(tmp_path / "x.png"), "--palette", str(tmp_path / "y.png")]
    assert color.main([*given, "-o", str(tmp_path / "out.png"), "--steps", "3"]) == 0
    output = capsys.readouterr().out
    assert "sliced W2" in output
    assert "clipped: " in output
    assert abs(np.asarray(Image.open(tmp_path / "out.png")).mean() - y.mean()) < 5
    with pytest.raises(MongeError, match="would overwrite an input"):
        color.main([*given, "-o", str(tmp_path / "x.png")])
    with pytest.raises(MongeError, match="inverse needs a map with an inverse"):
        color.main([*given, "-o", str(tmp_path / "out.png"), "--inverse", "--method", "exact"])
    figure = str(tmp_path / "figure.txt")
    with pytest.raises(MongeError, match="figures are written as"):
        color.main([*given, "-o", str(tmp_path / "out.png"), "--figure", figure])


def test_command_draws_the_methods_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = np.random.default_rng(0).integers(0, 255, (2, 12, 20, 3), dtype=np.uint8)
    for name, pixels in (("x.png", x), ("y.png", y)):
        Image.fromarray(pixels).save(tmp_path / name)
    path = tmp_path / "new" / "figure.png"
    given = [str(tmp_path / "x.png"), "--palette", str(tmp_path / "y.png"), "--steps", "2"]
    assert color.main([*given, "-o", str(tmp_path / "out.png"), "--figure", str(path)]) == 0
    assert "figure.png" in capsys.readouterr().out
    with Image.open(path) as figure:
        assert figure.width > 1500
