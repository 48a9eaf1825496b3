"""Pictures of lines, and the two metrics of interpolations between them."""

from __future__ import annotations

from math import cos, isnan, pi, sin

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monge.data import InfiniteDataset, load
from monge.data.sets.lines import (
    DISTANCE,
    SMOOTHNESS,
    decoded_paths,
    draw_lines,
    interpolated_lines,
    line_quality,
    nearest_lines,
    smoothness,
)
from monge.metrics import EvalConfig
from monge.nets import Autoencoder
from monge.training.evaluate import known_metrics
from tests.helpers.commands import monge
from tests.helpers.measured import measured

EVERY = torch.arange(10_000).double() * (2 * pi / 10_000)


def draw_by_counting(angle: float, size: int, k: int) -> np.ndarray:
    """Draw a line by counting k×k points in each pixel."""
    p = (np.arange(size * k) + 0.5) / k - size / 2
    along = p[None] * cos(angle) + p[:, None] * sin(angle)
    across = p[:, None] * cos(angle) - p[None] * sin(angle)
    half_width = max(abs(cos(angle)), abs(sin(angle)))
    inside = (along >= 0) & (along <= size / 2 - 1) & (np.abs(across) <= half_width)
    return 2 * inside.reshape(size, k, size, k).mean((1, 3)) - 1


@pytest.mark.parametrize("size", [8, 15])
@pytest.mark.parametrize("angle", [0.0, 5e-4, 0.02, 0.15, 0.3, pi / 4, 1.57, 2.0, 3.5, 5.9])
def test_pixels_have_the_share_that_the_line_covers(size: int, angle: float) -> None:
    line = draw_lines(torch.tensor([angle]).double(), size)[0, 0].numpy()
    error = np.abs(line - draw_by_counting(angle, size, 2048 // size))
    assert (error > 2e-3).sum() <= 12, "only pixels at the four corners of a line are approximate"
    assert error.sum() < 0.2


def test_lines_have_the_symmetries_of_the_square() -> None:
    angles = torch.linspace(0, 1.5, 7).double()
    lines = draw_lines(angles)
    torch.testing.assert_close(draw_lines(angles + pi / 2), lines.rot90(-1, (2, 3)))
    torch.testing.assert_close(draw_lines(-angles), lines.flip(2))
    torch.testing.assert_close(draw_lines(pi - angles), lines.flip(3))
    torch.testing.assert_close(draw_lines(angles + 2 * pi), lines)


def test_lines_turn_continuously() -> None:
    angles = torch.linspace(-0.002, 0.002, 401).double()
    steps = draw_lines(torch.cat([angles, angles + pi / 4])).flatten(1).diff(dim=0).abs().amax(1)
    # a turn by 1e-5 moves the far end by 1.5e-4 pixels
    assert torch.cat([steps[:400], steps[401:]]).max() < 2e-3


def test_pictures_of_less_than_four_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 4 pixels"):
        draw_lines(torch.zeros(1), 3)


def test_lines32_has_uniform_angles_and_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    dataset = load("lines32")
    assert isinstance(dataset, InfiniteDataset)
    assert (dataset.name, dataset.shape) == ("lines32", (1, 32, 32))
    x = dataset.train(800)
    assert x.shape == (800, 1, 32, 32)
    assert x.min() >= -1
    assert x.max() <= 1
    distance, angle = nearest_lines(x)
    assert distance.max() < 1e-5
    octants = torch.bincount((angle / (pi / 4)).long(), minlength=8)
    assert ((octants - 100).abs() < 4 * 100**0.5).all()
    assert torch.equal(dataset.batch(1, 8, 4), dataset.batch(1, 8, 4))
    assert not torch.equal(dataset.batch(1, 8, 4), dataset.batch(1, 12, 4))
    assert monge("data", "ls") == 0
    assert "lines32        generated" in capsys.readouterr().out


def brute_force(path: Tensor, lines: np.ndarray) -> tuple[float, list[float]]:
    """Return the mean distance to ``lines`` and the angles, by a loop in double precision."""
    distances, angles = [], []
    for picture in path.double().flatten(1).numpy():
        cosine = lines @ picture / (np.linalg.norm(lines, axis=1) * np.linalg.norm(picture))
        distances.append(1 - cosine.max())
        angles.append(float(EVERY[cosine.argmax()]))
    return float(np.mean(distances)), angles


def fade(a: float, b: float, n: int, size: int = 16) -> Tensor:
    x, y = draw_lines(torch.tensor([a, b]), size)
    return torch.stack([torch.lerp(x, y, t) for t in torch.linspace(0, 1, n)])


def test_a_turn_at_constant_speed_has_distance_and_smoothness_zero() -> None:
    ends = (0.3, 2.5), (5.5, 7.5), (1.0, -1.9)
    turns = torch.stack([draw_lines(torch.linspace(a, b, 16)) for a, b in ends])
    quality = line_quality(turns)
    assert quality[DISTANCE].value < 1e-5
    assert quality[SMOOTHNESS].value == pytest.approx(0, abs=2e-3)  # half a step of the dictionary


def test_line_quality_of_cross_fades_agrees_with_brute_force() -> None:
    paths = torch.stack([fade(0.2, 1.9, 9), fade(6.1, 7.0, 9), fade(3.0, 0.5, 9)])
    lines = draw_lines(EVERY, 16).flatten(1).numpy()
    expected = [brute_force(path, lines) for path in paths]
    quality = line_quality(paths)
    assert quality[DISTANCE].value == pytest.approx(np.mean([d for d, _ in expected]), rel=1e-3)
    assert quality[DISTANCE].value > 5e-3
    values = []
    for _, angles in expected:
        steps = np.diff(np.unwrap(angles))
        values.append(np.abs(steps).max() / abs(steps.sum()) - 1 / len(steps))
    assert quality[SMOOTHNESS].value == pytest.approx(np.mean(values), rel=1e-2)
    assert quality[SMOOTHNESS].value > 0.4


def test_smoothness_of_a_single_jump_is_one_minus_the_mean_step() -> None:
    a, b = draw_lines(torch.tensor([1.0, 2.0]), 16)
    path = torch.stack([a] * 5 + [b] * 6)[None]
    quality = line_quality(path)
    assert quality[DISTANCE].value < 1e-5
    assert quality[SMOOTHNESS].value == pytest.approx(1 - 1 / 10, abs=1e-6)


def test_smoothness_of_known_angles() -> None:
    through_zero, turning_back = [6.0, 6.2, 0.1, 0.3], [0.0, 2.0, 1.0]
    assert smoothness(torch.tensor([through_zero])) == pytest.approx(0, abs=0.02)
    assert smoothness(torch.tensor([turning_back])) == pytest.approx(2 / 1 - 1 / 2)
    assert smoothness(torch.tensor([[1.0, 0.0, -1.0, -3.0]])) == pytest.approx(2 / 4 - 1 / 3)
    even, late = torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    constant = torch.full((1, 4), 2.0)
    assert smoothness(torch.cat([constant, even])) == pytest.approx(0), "constant is left out"
    assert smoothness(torch.cat([even, late])) == pytest.approx((0 + 2 / 3) / 2)
    assert isnan(smoothness(constant))


def test_blank_pictures_are_measured_and_wrong_shapes_refused() -> None:
    distance, _ = nearest_lines(torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)]))
    assert distance[0] == 1
    assert distance[1] > 1
    wide, color, short = (2, 5, 1, 16, 8), (2, 5, 3, 16, 16), (2, 1, 1, 16, 16)
    for shape in (wide, color, short, (5, 1, 16, 16), (0, 5, 1, 16, 16)):
        with pytest.raises(ValueError, match="paths must be"):
            line_quality(torch.zeros(shape))


class AngleEncoder(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nearest_lines(x)[1].float()[:, None]


class LineDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return draw_lines(z.flatten() + self.zero)


class PixelDecoder(LineDecoder):
    def forward(self, z: Tensor) -> Tensor:
        return z.reshape(-1, 1, 32, 32) + self.zero


class AutoencoderOnly:
    """A method that consists of an autoencoder."""

    prior = None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        self.autoencoder = Autoencoder(encoder, decoder, latent)


def test_angles_as_codes_are_perfect_and_pixels_as_codes_are_cross_fades(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monge.data.sets.lines._PATHS", 40)
    dataset, config = load("lines32"), EvalConfig(seed=1)
    angles = AutoencoderOnly(AngleEncoder(), LineDecoder(), 1)
    perfect = measured(interpolated_lines, angles, dataset, config)
    assert perfect["lines_mean_distance"] < 1e-5
    # some pairs have close angles, and the dictionary is discrete
    assert perfect["lines_smoothness"] == pytest.approx(0, abs=0.05)
    flat = AutoencoderOnly(nn.Flatten(), PixelDecoder(), 1024)
    pixels = measured(interpolated_lines, flat, dataset, config)
    start, end = dataset.held_out(80, 1).chunk(2)
    fades = line_quality(torch.stack([torch.lerp(start, end, n / 15) for n in range(16)], 1))
    assert pixels["lines_mean_distance"] == pytest.approx(fades[DISTANCE].value, rel=1e-3)
    assert pixels["lines_smoothness"] == pytest.approx(fades[SMOOTHNESS].value, rel=1e-2)
    assert fades[DISTANCE].value > 5e-3


def test_decoded_paths_lead_from_the_first_half_to_the_second() -> None:
    ends = draw_lines(torch.tensor([0.5, 1.0, 2.5, 2.0]))
    autoencoder = AutoencoderOnly(AngleEncoder(), LineDecoder(), 1).autoencoder
    paths = decoded_paths(autoencoder, ends, 3)
    # in float32, cosines of lines that differ by 1e-3 radians are equal, which is 0.02 at the rim
    near = {"atol": 0.03, "rtol": 0}
    torch.testing.assert_close(paths[:, 1], draw_lines(torch.tensor([1.5, 1.5])), **near)
    torch.testing.assert_close(paths[0, 0], ends[0], **near)
    torch.testing.assert_close(paths[1, 2], ends[3], **near)


def test_lines_are_not_measured_on_other_data_or_without_autoencoder() -> None:
    assert DISTANCE in known_metrics(load("lines32"))
    assert DISTANCE not in known_metrics(load("8gaussians"))
    assert measured(interpolated_lines, object(), load("lines32")) == {}
