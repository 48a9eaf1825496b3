"""The figure of a color transfer: its pictures, captions and clouds of colors."""

from __future__ import annotations

import numpy as np
import pytest

from monge.images.color.plots import color_figure


def test_columns_hold_pictures_captions_and_clouds() -> None:
    red, green, blue = (np.full((30, 40, 3), 40, np.uint8) for _ in range(3))
    red[..., 0], green[..., 1], blue[..., 2] = 240, 240, 240
    figure = color_figure(red, [green, blue], {"W2 map": green}, {"W2 map": "near"})
    above, below = figure.axes[:4], figure.axes[4:]
    assert [axis.get_title(loc="left") for axis in above] == [
        "source",
        "palette 1",
        "palette 2",
        "W2 map",
    ]
    assert [axis.get_xlabel() for axis in above] == ["", "", "", "near"]
    for axis, picture in zip(above, (red, green, blue, green), strict=True):
        np.testing.assert_array_equal(axis.get_images()[0].get_array(), picture)
    places = [axis.collections[-1].get_offsets()[0] for axis in below]
    across = 200 / 255
    expected = [(across, across / 2), (-across, across / 2), (0, -across), (-across, across / 2)]
    np.testing.assert_allclose(places, expected, atol=1e-6)
    assert [len(axis.collections) for axis in below] == [1, 1, 1, 2]
    for axis, place in zip(below, places, strict=True):
        assert axis.get_xlim()[0] < place[0] < axis.get_xlim()[1]
        assert axis.get_ylim()[0] < place[1] < axis.get_ylim()[1]


def test_bit_depths_are_drawn_alike_and_wrong_shapes_are_refused() -> None:
    deep = np.full((4, 4, 3), 51 * 256 + 7, np.uint16)
    figure = color_figure(deep, [deep / 65535], {"a": np.full((4, 4, 3), 51, np.uint8)})
    assert {int(axis.get_images()[0].get_array()[0, 0, 0]) for axis in figure.axes[:3]} == {51}
    with pytest.raises(ValueError, match="palettes and results must not be empty"):
        color_figure(deep, [], {"a": deep})
    with pytest.raises(ValueError, match="a must have shape"):
        color_figure(deep, [deep], {"a": deep[..., 0]})
