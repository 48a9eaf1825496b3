"""Figures of transport maps show the points where the map sends them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.quiver import Quiver
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from monge import plots


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.randn(400, 2, generator=generator)


def test_arrows_end_at_the_images(x: Tensor) -> None:
    moved = 2 * x + torch.tensor([1.0, -3.0])
    figure = plots.arrows(x, moved, target=moved + 0.1, n=100)
    (axis,) = figure.axes
    (quiver,) = (c for c in axis.collections if isinstance(c, Quiver))
    starts = quiver.get_offsets()
    heads = starts + np.stack([quiver.U, quiver.V], 1)
    assert len(starts) == 100
    rows = torch.cdist(torch.tensor(np.asarray(starts)), x.double()).argmin(1)
    assert rows.unique().numel() == 100
    np.testing.assert_allclose(starts, x[rows].numpy(), atol=1e-6)
    np.testing.assert_allclose(heads, moved[rows].numpy(), atol=1e-6)
    assert (quiver.angles, quiver.scale_units, quiver.scale) == ("xy", "xy", 1)
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["target", "x", "T(x)"]


def test_points_are_projected_onto_the_principal_axes_of_the_target(
    generator: torch.Generator,
) -> None:
    spread = torch.tensor([0.1, 5.0, 0.2, 2.0])
    target = torch.randn(500, 4, generator=generator) * spread
    x = torch.zeros(2, 4)
    moved = x.clone()
    moved[0, 1] = 3.0  # along the first principal axis
    moved[1, 0] = 3.0  # almost orthogonal to the plane of the figure
    figure = plots.arrows(x, moved, target=target)
    (quiver,) = (c for c in figure.axes[0].collections if isinstance(c, Quiver))
    lengths = np.hypot(quiver.U, quiver.V)
    assert lengths[0] > 2.99
    assert lengths[1] < 0.3


def test_points_of_one_dimension_are_drawn_on_a_line() -> None:
    x = np.linspace(0, 1, 10)[:, None]
    figure = plots.before_after(x, 2 * x, x + 5)
    offsets = np.asarray(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(offsets[:, 0], x[:, 0])
    np.testing.assert_allclose(offsets[:, 1], 0)


def test_before_after_shows_three_clouds_on_equal_axes(x: Tensor) -> None:
    y = torch.eye(2) * 9
    figure = plots.before_after(x, x + 3, y)
    source, moved, target = figure.axes
    assert [a.get_title(loc="left") for a in figure.axes] == ["source", "moved", "target"]
    assert source.get_xlim() == moved.get_xlim() == target.get_xlim()
    assert source.get_ylim() == moved.get_ylim() == target.get_ylim()
    for axis, cloud in zip(figure.axes, (x, x + 3, y), strict=True):
        np.testing.assert_allclose(axis.collections[-1].get_offsets(), cloud.numpy(), rtol=1e-6)


@pytest.mark.parametrize("center", [(0.0, 0.0), (0.4, -0.3)])
def test_level_sets_of_half_the_square_are_evenly_spaced_circles(
    center: tuple[float, float],
) -> None:
    c = torch.tensor(center)
    figure = plots.level_sets(
        lambda p: (p - c).square().sum(1) / 2, [-2, 2, -2, 2], levels=10, resolution=161
    )
    (axis,) = figure.axes
    assert axis.get_title(loc="left") == "level sets of the potential"
    radii = []
    for path in axis.collections[1].get_paths()[:4]:  # these are closed in the box
        radius = np.linalg.norm(path.vertices - c.numpy(), axis=1)
        assert np.ptp(radius) < 0.03
        radii.append(radius.mean())
    steps = np.diff(radii)
    assert np.ptp(steps) < 0.02
    assert steps[0] > 0.1


def test_level_sets_show_the_points(x: Tensor) -> None:
    figure = plots.level_sets(lambda p: p.sum(1), x, resolution=8)
    np.testing.assert_allclose(figure.axes[0].collections[-1].get_offsets(), x.numpy(), rtol=1e-6)


def frame(gif: bytes, k: int) -> NDArray[np.float64]:
    image = Image.open(io.BytesIO(gif))
    image.seek(k)
    return np.asarray(image.convert("RGB"), dtype=float)


def center_of(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the center of mass of a drawing, in pixels from the left and the top."""
    ink = 255 - picture.min(-1)
    up, across = np.indices(ink.shape)
    return np.array([(ink * across).sum(), (ink * up).sum()]) / ink.sum()


def test_gif_goes_from_the_points_to_their_images_and_back(x: Tensor) -> None:
    moved = 0.3 * x + torch.tensor([8.0, 4.0])
    gif = plots.displacement_gif(x, moved, frames=20, size=200)
    image = Image.open(io.BytesIO(gif))
    assert (image.size, image.n_frames, image.info["loop"]) == ((200, 200), 20, 0)
    both = torch.cat([x, moved]).numpy()
    middle, reach = (both.max(0) + both.min(0)) / 2, 0.54 * np.ptp(both, axis=0).max()
    for k, cloud, color in ((0, x, "#33658a"), (10, moved, "#d1495b")):
        offset = (cloud.mean(0).numpy() - middle) * [1, -1] * 100 / reach
        np.testing.assert_allclose(center_of(frame(gif, k)), 99.5 + offset, atol=2.5)
        pixels = frame(gif, k).reshape(-1, 3)
        assert np.abs(pixels - 255 * np.array(to_rgba(color)[:3])).max(1).min() < 12
    across = [center_of(frame(gif, k))[0] for k in range(20)]
    assert np.all(np.diff(across[:11]) > 0)
    np.testing.assert_allclose(across[1:10], across[:10:-1], atol=1e-9)
    assert across[1] - across[0] < 0.5 * (across[6] - across[5])  # it starts slowly


def test_gif_of_two_thousand_points_is_small(generator: torch.Generator) -> None:
    x, moved = torch.randn(2, 2000, 2, generator=generator)
    assert len(plots.displacement_gif(x, moved, target=moved)) <= 1_000_000


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: plots.arrows(x, x[:-1]), "same shape"),
        (lambda x: plots.arrows(x, x, target=x[:, :1]), "2 coordinates"),
        (lambda x: plots.arrows(x, x, n=0), "n must be"),
        (lambda x: plots.arrows(x[:1], x[:1]), "at least two points"),
        (lambda x: plots.before_after(x, x * torch.nan, x), "moved holds NaN"),
        (lambda _: plots.level_sets(lambda p: p.sum(1), [1, 0, 0, 1]), "where must be"),
        (lambda x: plots.level_sets(lambda p: 0 * p.sum(1), x), "constant"),
        (lambda _: plots.level_sets(lambda p: p.sum(1), torch.zeros(5, 3)), "3 coordinates"),
        (lambda x: plots.displacement_gif(x, x, frames=1), "frames must"),
    ],
)
def test_invalid_arguments_are_refused(x: Tensor, draw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(x)  # type: ignore[operator]
