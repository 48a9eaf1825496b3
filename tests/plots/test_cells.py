"""Pictures of cells: every place has the color of its owner, and every arrow leads there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from torch import Tensor

from monge import ot, plots
from monge.images.texture.origins import origin_colors, origins
from monge.plots.pictures import _ACCENT

BOX = ot.Box((-1.0, -1.0), (2.0, 1.0))


@pytest.fixture
def y(generator: torch.Generator) -> Tensor:
    return BOX(6, generator)


def heads(figure: Figure) -> tuple[Tensor, Tensor, np.ndarray]:
    (quiver,) = (c for c in figure.axes[0].collections if isinstance(c, Quiver))
    starts = np.asarray(quiver.get_offsets())
    return (
        torch.tensor(starts),
        torch.tensor(starts + np.stack([quiver.U, quiver.V], 1)),
        quiver.get_facecolors(),
    )


def test_cells_have_one_color_each_and_their_areas(y: Tensor) -> None:
    # the last one is hidden
    psi = torch.tensor([0.0, 0.1, -0.2, 0.3, 0.0, -9.0], dtype=torch.float64)
    figure = plots.laguerre(y, psi, BOX)
    (axis,) = figure.axes
    (cells,) = (
        c for c in axis.collections if isinstance(c, PolyCollection) and not isinstance(c, Quiver)
    )
    assert len(cells.get_paths()) == 5
    assert len({tuple(color) for color in cells.get_facecolors()}) == 5
    x = BOX(20_000, torch.Generator().manual_seed(1))
    owner = ((x[:, None] - y).square().sum(-1) - psi).argmin(1)
    shares = torch.bincount(owner, minlength=6) / len(x)
    told = [float(text.get_text().removesuffix(" %")) / 100 for text in axis.texts]
    np.testing.assert_allclose(told, shares, atol=0.012)
    assert sum(told) == pytest.approx(1, abs=0.03)
    for j, path in enumerate(cells.get_paths()):
        assert path.contains_points(x[owner == j][:50], radius=1e-9).all()
    assert axis.get_xlim() == (-1, 2)


def test_arrows_lead_to_the_target_of_the_cell(y: Tensor) -> None:
    sd = ot.SemiDiscrete(y).fit(BOX)
    x = BOX(30, torch.Generator().manual_seed(2))
    starts, ends, _ = heads(plots.laguerre(y, sd.potential, BOX, x=x, mass=sd.b))
    torch.testing.assert_close(starts, x)
    goal = y[sd.assign(x)]
    away = (goal - starts).norm(dim=1)
    short = (goal - ends).norm(dim=1)
    assert (short <= 0.0751 + 1e-9).all(), "they end short of the dot"
    torch.testing.assert_close(away, (ends - starts).norm(dim=1) + short)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_red_arrows_lead_to_every_cell_that_meets_in_a_sample(
    y: Tensor, dtype: torch.dtype
) -> None:
    theta = torch.tensor([0.3, 0.1], dtype=dtype)
    psi = (theta - y.to(dtype)).square().sum(1)
    x = torch.stack([theta, torch.tensor([1.9, 0.9], dtype=dtype)])
    starts, ends, colors = heads(plots.laguerre(y.to(dtype), psi, BOX, x=x))
    assert len(starts) == 7
    red = np.isclose(colors[:, :3], to_rgb(_ACCENT)).all(1)
    assert red.tolist() == [True] * 6 + [False]
    assert (
        torch.nn.functional.cosine_similarity(ends[:6] - starts[:6], y - theta) > 1 - 1e-6
    ).all()


def test_hard_assignment_shows_the_cells(y: Tensor) -> None:
    sd = ot.SemiDiscrete(y).fit(BOX)
    figure = plots.assignment(sd, BOX, resolution=60)
    image = figure.axes[0].get_images()[0]
    pixels = np.asarray(image.get_array())
    assert pixels.shape == (40, 60, 3)
    assert image.get_extent() == [-1, 2, -1, 1]
    assert image.origin == "lower"
    up, across = np.mgrid[:40, :60]
    places = torch.tensor(
        np.stack([(across + 0.5) / 20 - 1, (up + 0.5) / 20 - 1], -1).reshape(-1, 2)
    )
    owner = sd.assign(places).numpy()
    colors = [np.unique(pixels.reshape(-1, 3)[owner == j].round(6), axis=0) for j in range(6)]
    assert [len(c) for c in colors] == [1] * 6
    (cells,) = (
        c
        for c in plots.laguerre(y, sd.potential, BOX).axes[0].collections
        if type(c) is PolyCollection
    )
    np.testing.assert_allclose(np.concatenate(colors), cells.get_facecolors()[:, :3], atol=1e-6)
    assert [t.get_text() for t in figure.axes[0].texts] == ["17 %"] * 6


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
def test_shares_mix_the_colors(y: Tensor, cost: str) -> None:
    """Where two targets of the same weight are equally near, both of their colors are equally near."""
    pair = torch.tensor([[-0.5, 0.0], [0.5, 0.0]], dtype=torch.float64)
    pixels = np.asarray(
        plots.assignment(ot.SemiDiscrete(pair, epsilon=0.1, cost=cost), BOX, resolution=60)
        .axes[0]
        .get_images()[0]
        .get_array()
    )
    left, middle, right = pixels[20, 0], pixels[20, 19:21].mean(0), pixels[20, -1]
    np.testing.assert_allclose(middle, (left + right) / 2, atol=0.03)
    assert np.abs(left - right).max() > 0.1
    b = torch.tensor([0.7, 0.2, 0.1, 0.0, 0.0, 0.0], dtype=torch.float64)
    sd = ot.SemiDiscrete(y, b=b, epsilon=1.0, cost=cost)
    x = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    sd.potential.copy_(ot.as_cost(cost).matrix(x, y)[0])
    starts, ends, colors = heads(plots.assignment(sd, BOX, resolution=10, x=x))
    torch.testing.assert_close(starts, x.expand(3, 2))
    assert (torch.nn.functional.cosine_similarity(ends - starts, y[:3] - x) > 1 - 1e-6).all()
    np.testing.assert_allclose(colors[:, 3], 0.25 + 0.65 * b[:3].numpy(), rtol=1e-6)


def test_a_given_axis_is_drawn_on(y: Tensor) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.laguerre(y, torch.zeros(6, dtype=y.dtype), BOX, axis=left, title="a") is figure
    assert (
        plots.assignment(ot.SemiDiscrete(y, epsilon=0.5), BOX, resolution=8, axis=right) is figure
    )
    assert [axis.get_title(loc="left") for axis in (left, right)] == ["a", "ε = 0.5"]


def test_what_does_not_fit_is_refused(y: Tensor) -> None:
    psi = torch.zeros(6, dtype=y.dtype)
    with pytest.raises(ValueError, match="mass has shape"):
        plots.laguerre(y, psi, BOX, mass=torch.ones(5))
    with pytest.raises(ValueError, match="x must have shape"):
        plots.laguerre(y, psi, BOX, x=torch.ones(5))
    with pytest.raises(ValueError, match="assignment draws the plane"):
        plots.assignment(ot.SemiDiscrete(torch.ones(2, 3)), BOX)
    with pytest.raises(ValueError, match="resolution"):
        plots.assignment(ot.SemiDiscrete(y), BOX, resolution=1)


# Origins


def quilt() -> Tensor:
    """(8, 8) places of a 10×12 exemplar: left half copied from (1, 2), right half from (2, 5)."""
    rows, columns = torch.arange(8)[:, None], torch.arange(4)
    return torch.cat([(1 + rows) * 12 + 2 + columns, (2 + rows) * 12 + 5 + columns], 1)


def test_places_have_colors_of_their_own() -> None:
    key = origin_colors(torch.arange(120).reshape(10, 12), (10, 12)).astype(int)
    flat = key.reshape(-1, 3)
    apart = np.abs(flat[:, None] - flat).max(-1) + 255 * np.eye(120, dtype=int)
    assert apart.min() > 3, "no two places look alike"
    steps = max(np.abs(np.diff(key, axis=0)).max(), np.abs(np.diff(key, axis=1)).max())
    assert steps < 75, "neighbors look like neighbors"
    luminance = key @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance, axis=0) < 0).all(), "darker further down"
    np.testing.assert_array_equal(
        origin_colors(quilt(), (10, 12)), key[quilt() // 12, quilt() % 12]
    )
    assert (
        len({tuple(c) for c in origin_colors(torch.full((2, 2), -1), (10, 12)).reshape(-1, 3)}) == 1
    )


def test_borders_lie_where_copies_end() -> None:
    def dark(index: Tensor) -> np.ndarray:
        plain, lined = (
            origins(index, (10, 12), borders=on).axes[0].get_images()[0].get_array()
            for on in (False, True)
        )
        return (np.asarray(plain) != np.asarray(lined)).any(-1)

    turned = (quilt().T % 12) * 12 + quilt().T // 12  # the copies one above the other
    for lines in (dark(quilt()), dark(turned).T):
        assert lines[:, 3].all()
        assert lines.sum() == 8
    smeared = (12 * torch.arange(8)).expand(8, 8)
    for index in (torch.arange(64).flip(0).reshape(8, 8), smeared, torch.arange(8).expand(8, 8)):
        assert not dark(index)[1:, 1:].any(), "where nothing is copied there are no borders"


def test_the_caption_counts_continued_neighbors() -> None:
    figure = origins(quilt(), (10, 12), picture=torch.rand(1, 8, 8), exemplar=torch.rand(3, 10, 12))
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "picture",
        "origins",
        "exemplar",
        "key",
    ]
    assert (
        figure.axes[1].get_xlabel()
        == f"{100 * (8 * 6 + 7 * 8) / (8 * 7 * 2):.0f} % of neighbors continue a copy"
    )
    # the end of a row and the beginning of the next are no neighbors
    wrapped = torch.tensor([[11, 12]])
    assert origins(wrapped, (10, 12)).axes[0].get_xlabel().startswith("0 %")
    assert origins(torch.full((3, 3), -1), (10, 12)).axes[0].get_xlabel().startswith("0 %")


def test_foreign_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"index must lie in −1\.\.119 .* got 0\.\.120"):
        origin_colors(torch.tensor([[0, 120]]), (10, 12))
    with pytest.raises(ValueError, match="integer map"):
        origins(torch.zeros(4, 4), (10, 12))
