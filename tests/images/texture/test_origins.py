"""Figures of the origins of a synthesized texture: colors, borders and captions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.images.texture.origins import origin_colors, origins


def quilt() -> Tensor:
    """Return an 8×8 map into a 10×12 exemplar: left half from (1, 2), right half from (2, 5)."""
    rows, columns = torch.arange(8)[:, None], torch.arange(4)
    return torch.cat([(1 + rows) * 12 + 2 + columns, (2 + rows) * 12 + 5 + columns], 1)


def test_origin_colors_are_distinct_smooth_and_darker_further_down() -> None:
    key = origin_colors(torch.arange(120).reshape(10, 12), (10, 12)).astype(int)
    flat = key.reshape(-1, 3)
    distances = np.abs(flat[:, None] - flat).max(-1) + 255 * np.eye(120, dtype=int)
    assert distances.min() > 3, "all colors are different"
    steps = max(np.abs(np.diff(key, axis=0)).max(), np.abs(np.diff(key, axis=1)).max())
    assert steps < 75, "neighbors have similar colors"
    luminance = key @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance, axis=0) < 0).all(), "darker further down"
    colors = origin_colors(quilt(), (10, 12))
    np.testing.assert_array_equal(colors, key[quilt() // 12, quilt() % 12])
    unknown = origin_colors(torch.full((2, 2), -1), (10, 12)).reshape(-1, 3)
    assert len({tuple(color) for color in unknown}) == 1


def test_borders_are_drawn_where_copies_end() -> None:
    def pixels(index: Tensor, borders: bool) -> np.ndarray:
        figure = origins(index, (10, 12), borders=borders)
        return np.asarray(figure.axes[0].get_images()[0].get_array())

    def lines(index: Tensor) -> np.ndarray:
        return (pixels(index, False) != pixels(index, True)).any(-1)

    transposed = (quilt().T % 12) * 12 + quilt().T // 12  # the copies are one above the other
    for vertical in (lines(quilt()), lines(transposed).T):
        assert vertical[:, 3].all()
        assert vertical.sum() == 8
    smeared = (12 * torch.arange(8)).expand(8, 8)
    for index in (torch.arange(64).flip(0).reshape(8, 8), smeared, torch.arange(8).expand(8, 8)):
        assert not lines(index)[1:, 1:].any(), "without copies there are no borders"


def test_caption_shows_the_share_of_neighbors_that_continue_a_copy() -> None:
    figure = origins(quilt(), (10, 12), picture=torch.rand(1, 8, 8), exemplar=torch.rand(3, 10, 12))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["picture", "origins", "exemplar", "key"]
    share = 100 * (8 * 6 + 7 * 8) / (8 * 7 * 2)
    assert figure.axes[1].get_xlabel() == f"{share:.0f} % of neighbors continue a copy"
    # the end of a row and the beginning of the next are not neighbors
    wrapped = torch.tensor([[11, 12]])
    assert origins(wrapped, (10, 12)).axes[0].get_xlabel().startswith("0 %")
    assert origins(torch.full((3, 3), -1), (10, 12)).axes[0].get_xlabel().startswith("0 %")


def test_invalid_indices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"index must lie in −1\.\.119 .* got 0\.\.120"):
        origin_colors(torch.tensor([[0, 120]]), (10, 12))
    with pytest.raises(ValueError, match="integer map"):
        origins(torch.zeros(4, 4), (10, 12))
