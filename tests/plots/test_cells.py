"""Figures of cells and assignments: colors, areas, labels and arrows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from torch import Tensor
from torch.nn.functional import cosine_similarity

from monge import ot, plots
from monge.plots.pictures import _ACCENT

BOX = ot.Box((-1.0, -1.0), (2.0, 1.0))


@pytest.fixture
def y(generator: torch.Generator) -> Tensor:
    return BOX(6, generator)


def arrows(figure: Figure) -> tuple[Tensor, Tensor, np.ndarray]:
    """Return the starts, the ends and the colors of all arrows."""
    (quiver,) = (c for c in figure.axes[0].collections if isinstance(c, Quiver))
    starts = np.asarray(quiver.get_offsets())
    ends = starts + np.stack([quiver.U, quiver.V], 1)
    return torch.tensor(starts), torch.tensor(ends), quiver.get_facecolors()


def polygons(figure: Figure) -> PolyCollection:
    (cells,) = (c for c in figure.axes[0].collections if type(c) is PolyCollection)
    return cells


def test_laguerre_cells_have_different_colors_and_labels_of_their_areas(y: Tensor) -> None:
    # the last cell is empty
    psi = torch.tensor([0.0, 0.1, -0.2, 0.3, 0.0, -9.0], dtype=torch.float64)
    figure = plots.laguerre(y, psi, BOX)
    (axis,) = figure.axes
    cells = polygons(figure)
    assert len(cells.get_paths()) == 5
    assert len({tuple(color) for color in cells.get_facecolors()}) == 5
    x = BOX(20_000, torch.Generator().manual_seed(1))
    owner = ((x[:, None] - y).square().sum(-1) - psi).argmin(1)
    shares = torch.bincount(owner, minlength=6) / len(x)
    labels = [float(text.get_text().removesuffix(" %")) / 100 for text in axis.texts]
    np.testing.assert_allclose(labels, shares, atol=0.012)
    assert sum(labels) == pytest.approx(1, abs=0.03)
    for j, path in enumerate(cells.get_paths()):
        assert path.contains_points(x[owner == j][:50], radius=1e-9).all()
    assert axis.get_xlim() == (-1, 2)


def test_arrows_lead_to_the_target_of_the_cell(y: Tensor) -> None:
    sd = ot.SemiDiscrete(y).fit(BOX)
    x = BOX(30, torch.Generator().manual_seed(2))
    starts, ends, _ = arrows(plots.laguerre(y, sd.potential, BOX, x=x, mass=sd.b))
    torch.testing.assert_close(starts, x)
    goal = y[sd.assign(x)]
    distance = (goal - starts).norm(dim=1)
    gap = (goal - ends).norm(dim=1)
    assert (gap <= 0.0751 + 1e-9).all(), "arrows end just before the dot"
    torch.testing.assert_close(distance, (ends - starts).norm(dim=1) + gap)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_red_arrows_lead_to_all_cells_that_meet_at_a_sample(y: Tensor, dtype: torch.dtype) -> None:
    theta = torch.tensor([0.3, 0.1], dtype=dtype)
    psi = (theta - y.to(dtype)).square().sum(1)
    x = torch.stack([theta, torch.tensor([1.9, 0.9], dtype=dtype)])
    starts, ends, colors = arrows(plots.laguerre(y.to(dtype), psi, BOX, x=x))
    assert len(starts) == 7
    red = np.isclose(colors[:, :3], to_rgb(_ACCENT)).all(1)
    assert red.tolist() == [True] * 6 + [False]
    assert (cosine_similarity(ends[:6] - starts[:6], y - theta) > 1 - 1e-6).all()


def test_assignment_without_regularization_equals_the_cells(y: Tensor) -> None:
    sd = ot.SemiDiscrete(y).fit(BOX)
    figure = plots.assignment(sd, BOX, resolution=60)
    image = figure.axes[0].get_images()[0]
    pixels = np.asarray(image.get_array())
    assert pixels.shape == (40, 60, 3)
    assert image.get_extent() == [-1, 2, -1, 1]
    assert image.origin == "lower"
    up, across = np.mgrid[:40, :60]
    centers = np.stack([(across + 0.5) / 20 - 1, (up + 0.5) / 20 - 1], -1)
    owner = sd.assign(torch.tensor(centers.reshape(-1, 2))).numpy()
    colors = [np.unique(pixels.reshape(-1, 3)[owner == j].round(6), axis=0) for j in range(6)]
    assert [len(c) for c in colors] == [1] * 6
    cells = polygons(plots.laguerre(y, sd.potential, BOX))
    np.testing.assert_allclose(np.concatenate(colors), cells.get_facecolors()[:, :3], atol=1e-6)
    assert [t.get_text() for t in figure.axes[0].texts] == ["17 %"] * 6


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
def test_assignment_mixes_colors_by_shares(y: Tensor, cost: str) -> None:
    """At equal distance to two targets of equal weight, the color is the mean of their colors."""
    pair = torch.tensor([[-0.5, 0.0], [0.5, 0.0]], dtype=torch.float64)
    figure = plots.assignment(ot.SemiDiscrete(pair, epsilon=0.1, cost=cost), BOX, resolution=60)
    pixels = np.asarray(figure.axes[0].get_images()[0].get_array())
    left, middle, right = pixels[20, 0], pixels[20, 19:21].mean(0), pixels[20, -1]
    np.testing.assert_allclose(middle, (left + right) / 2, atol=0.03)
    assert np.abs(left - right).max() > 0.1
    b = torch.tensor([0.7, 0.2, 0.1, 0.0, 0.0, 0.0], dtype=torch.float64)
    sd = ot.SemiDiscrete(y, b=b, epsilon=1.0, cost=cost)
    x = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    sd.potential.copy_(ot.as_cost(cost).matrix(x, y)[0])
    starts, ends, colors = arrows(plots.assignment(sd, BOX, resolution=10, x=x))
    torch.testing.assert_close(starts, x.expand(3, 2))
    assert (cosine_similarity(ends - starts, y[:3] - x) > 1 - 1e-6).all()
    np.testing.assert_allclose(colors[:, 3], 0.25 + 0.65 * b[:3].numpy(), rtol=1e-6)


def test_figures_are_drawn_on_a_given_axis(y: Tensor) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.laguerre(y, torch.zeros(6, dtype=y.dtype), BOX, axis=left, title="a") is figure
    sd = ot.SemiDiscrete(y, epsilon=0.5)
    assert plots.assignment(sd, BOX, resolution=8, axis=right) is figure
    assert [axis.get_title(loc="left") for axis in (left, right)] == ["a", "ε = 0.5"]


def test_wrong_shapes_and_resolutions_are_refused(y: Tensor) -> None:
    psi = torch.zeros(6, dtype=y.dtype)
    with pytest.raises(ValueError, match="mass has shape"):
        plots.laguerre(y, psi, BOX, mass=torch.ones(5))
    with pytest.raises(ValueError, match="x must be points"):
        plots.laguerre(y, psi, BOX, x=torch.ones(5))
    with pytest.raises(ValueError, match="assignment requires two dimensions"):
        plots.assignment(ot.SemiDiscrete(torch.ones(2, 3)), BOX)
    with pytest.raises(ValueError, match="resolution"):
        plots.assignment(ot.SemiDiscrete(y), BOX, resolution=1)
