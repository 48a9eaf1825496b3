"""The figure of a comparison: panels, colors, scales and bands."""

from __future__ import annotations

import numpy as np
import torch

from monge import plots

LOG = [{"step": s, "cpu_seconds": s / 2, "frechet_lenet": 100.0 / s, "modes": s} for s in (1, 2, 4)]


def test_panels_have_titles_equal_axes_and_colors_of_their_lines() -> None:
    points = {name: torch.randn(30, 3) for name in "abcdefg"}
    logs, names = {name: [LOG] for name in points}, {"frechet_lenet": "Fréchet-LeNet"}
    metrics = ["frechet_lenet", "modes"]
    figure = plots.comparison(torch.randn(30, 3), points, logs, metrics, "step", titles=names)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["data", *"abcdefg", "Fréchet-LeNet", "modes"]
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes[:8]}) == 1
    colors = [axis._left_title.get_color() for axis in figure.axes[1:8]]
    assert len(set(colors)) == 7
    lines = [line.get_color() for line in figure.axes[8].lines if line.get_marker() == "o"]
    assert lines == colors


def test_points_of_the_plane_are_not_projected() -> None:
    data, points = torch.rand(40, 2), torch.rand(30, 2)
    _, panel, _ = plots.comparison(data, {"a": points}, {"a": [LOG]}, ["modes"]).axes
    behind, front = (np.asarray(dots.get_offsets()) for dots in panel.collections)
    np.testing.assert_allclose(behind, data, atol=1e-6)
    np.testing.assert_allclose(front, points, atol=1e-6)


def test_pictures_have_captions() -> None:
    black, white = (np.full((47, 47, 3), value, np.uint8) for value in (0, 255))
    figure = plots.comparison(black, {"a": white}, {"a": [LOG]}, ["modes"], captions={"a": "7"})
    data, a, _ = figure.axes
    assert data.images[0].get_array().shape == a.images[0].get_array().shape == (47, 47, 3)
    assert a.images[0].get_array().max() == 255
    assert (data.get_xlabel(), a.get_xlabel()) == ("", "7")


def test_axis_is_logarithmic_beyond_a_decade() -> None:
    def scale(values: list[float]) -> str:
        log = [{"step": i, "cpu_seconds": i, "loss": v} for i, v in enumerate(values)]
        points = torch.randn(9, 2)
        figure = plots.comparison(points, {"a": points}, {"a": [log]}, ["loss"])
        return figure.axes[-1].get_yscale()

    assert scale([1, 9]) == scale([0, -1]) == "linear"
    assert scale([1, 11]) == scale([-0.1, 1, 11]) == "log"


def test_band_covers_the_steps_that_all_seeds_logged() -> None:
    one = [{"step": s, "cpu_seconds": float(s), "loss": 10.0 - s} for s in (1, 2, 3, 4)]
    two = [{"step": s, "cpu_seconds": 3.0 * s, "loss": 20.0 - s} for s in (2, 4)]
    two.append({"step": 5, "warning": "no loss here"})
    band = plots.compare.band([one, two], "loss", "cpu_seconds")
    np.testing.assert_allclose(band, [[4, 8], [13, 11], [8, 6], [18, 16]])


def test_points_outside_the_panel_are_counted() -> None:
    data = torch.rand(100, 2)
    far = data.clone()
    far[:7] += 50
    logs = {"a": [LOG], "b": [LOG]}
    figure = plots.comparison(data, {"a": far, "b": data}, logs, ["modes"])
    texts = [[text.get_text() for text in axis.texts] for axis in figure.axes[:3]]
    notes = [[text for text in panel if "outside" in text] for panel in texts]
    assert notes == [[], ["7.0% outside"], []]
