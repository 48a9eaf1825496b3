"""Pictures of lines, and the two figures of interpolations between them."""

from __future__ import annotations

from math import cos, isnan, pi, sin

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monge.cli.main import main
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
from monge.training.evaluate import known
from tests.helpers.measured import measured

EVERY = torch.arange(10_000).double() * (2 * pi / 10_000)


def sampled(angle: float, size: int, k: int) -> np.ndarray:
    """The line by counting k×k points in each pixel."""
    at = (np.arange(size * k) + 0.5) / k - size / 2
    along = at[None] * cos(angle) + at[:, None] * sin(angle)
    across = at[:, None] * cos(angle) - at[None] * sin(angle)
    inside = (
        (along >= 0)
        & (along <= size / 2 - 1)
        & (np.abs(across) <= max(abs(cos(angle)), abs(sin(angle))))
    )
    return 2 * inside.reshape(size, k, size, k).mean((1, 3)) - 1


@pytest.mark.parametrize("size", [8, 15])
@pytest.mark.parametrize("angle", [0.0, 5e-4, 0.02, 0.15, 0.3, pi / 4, 1.57, 2.0, 3.5, 5.9])
def test_a_pixel_is_as_white_as_the_line_covers_it(size: int, angle: float) -> None:
    k = 2048 // size
    error = np.abs(
        draw_lines(torch.tensor([angle]).double(), size)[0, 0].numpy() - sampled(angle, size, k)
    )
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


def test_too_small_a_picture() -> None:
    with pytest.raises(ValueError, match="size must be at least 4 pixels"):
        draw_lines(torch.zeros(1), 3)


def test_lines32_is_a_stream_at_uniform_angles(capsys: pytest.CaptureFixture[str]) -> None:
    source = load("lines32")
    assert isinstance(source, InfiniteDataset)
    assert (source.name, source.shape) == ("lines32", (1, 32, 32))
    x = source.train(800)
    assert x.shape == (800, 1, 32, 32)
    assert x.min() >= -1
    assert x.max() <= 1
    distance, angle = nearest_lines(x)
    assert distance.max() < 1e-5
    octants = torch.bincount((angle / (pi / 4)).long(), minlength=8)
    assert ((octants - 100).abs() < 4 * 100**0.5).all()
    assert torch.equal(source.batch(1, 8, 4), source.batch(1, 8, 4))
    assert not torch.equal(source.batch(1, 8, 4), source.batch(1, 12, 4))
    with pytest.raises(SystemExit) as ended:
        main(["data", "ls"])
    assert ended.value.code == 0
    assert "lines32        generated" in capsys.readouterr().out


def brute(way: Tensor, lines: np.ndarray) -> tuple[float, list[float]]:
    """Mean least cosine distance to ``lines``, and the angles, by a loop in double precision."""
    distances, angles = [], []
    for picture in way.double().flatten(1).numpy():
        cosine = lines @ picture / (np.linalg.norm(lines, axis=1) * np.linalg.norm(picture))
        distances.append(1 - cosine.max())
        angles.append(float(EVERY[cosine.argmax()]))
    return float(np.mean(distances)), angles


def fade(a: float, b: float, n: int, size: int = 16) -> Tensor:
    x, y = draw_lines(torch.tensor([a, b]), size)
    return torch.stack([torch.lerp(x, y, t) for t in torch.linspace(0, 1, n)])


def test_a_turn_at_constant_speed_is_perfect() -> None:
    turns = torch.stack(
        [draw_lines(torch.linspace(a, b, 16)) for a, b in ((0.3, 2.5), (5.5, 7.5), (1.0, -1.9))]
    )
    found = line_quality(turns)
    assert found[DISTANCE].value < 1e-5
    assert found[SMOOTHNESS].value == pytest.approx(0, abs=2e-3)  # half a step of the dictionary


def test_a_cross_fade_scores_as_by_brute_force() -> None:
    several = torch.stack([fade(0.2, 1.9, 9), fade(6.1, 7.0, 9), fade(3.0, 0.5, 9)])
    lines = draw_lines(EVERY, 16).flatten(1).numpy()
    by_hand = [brute(way, lines) for way in several]
    found = line_quality(several)
    assert found[DISTANCE].value == pytest.approx(np.mean([d for d, _ in by_hand]), rel=1e-3)
    assert found[DISTANCE].value > 5e-3
    scores = []
    for _, angles in by_hand:
        steps = np.diff(np.unwrap(angles))
        scores.append(np.abs(steps).max() / abs(steps.sum()) - 1 / len(steps))
    assert found[SMOOTHNESS].value == pytest.approx(np.mean(scores), rel=1e-2)
    assert found[SMOOTHNESS].value > 0.4


def test_a_single_jump_scores_one_but_for_the_mean_step() -> None:
    a, b = draw_lines(torch.tensor([1.0, 2.0]), 16)
    way = torch.stack([a] * 5 + [b] * 6)[None]
    found = line_quality(way)
    assert found[DISTANCE].value < 1e-5
    assert found[SMOOTHNESS].value == pytest.approx(1 - 1 / 10, abs=1e-6)


def test_smoothness_of_known_angles() -> None:
    assert smoothness(torch.tensor([[6.0, 6.2, 0.1, 0.3]])) == pytest.approx(0, abs=0.02), (
        "through 2π"
    )
    assert smoothness(torch.tensor([[0.0, 2.0, 1.0]])) == pytest.approx(2 / 1 - 1 / 2), (
        "a way that turns back"
    )
    assert smoothness(torch.tensor([[1.0, 0.0, -1.0, -3.0]])) == pytest.approx(2 / 4 - 1 / 3)
    still, even = torch.full((1, 4), 2.0), torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    assert smoothness(torch.cat([still, even])) == pytest.approx(0), (
        "no mean over a way without an angle"
    )
    assert smoothness(torch.cat([even, torch.tensor([[0.0, 0.0, 0.0, 1.0]])])) == pytest.approx(
        (0 + 2 / 3) / 2
    )
    assert isnan(smoothness(still))


def test_odd_pictures_are_measured_or_refused() -> None:
    distance, _ = nearest_lines(torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)]))
    assert distance[0] == 1
    assert distance[1] > 1
    for shape in (
        (2, 5, 1, 16, 8),
        (2, 5, 3, 16, 16),
        (2, 1, 1, 16, 16),
        (5, 1, 16, 16),
        (0, 5, 1, 16, 16),
    ):
        with pytest.raises(ValueError, match="paths must be"):
            line_quality(torch.zeros(shape))


class Angle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nearest_lines(x)[1].float()[:, None]


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return draw_lines(z.flatten() + self.zero)


class Pixels(Line):
    def forward(self, z: Tensor) -> Tensor:
        return z.reshape(-1, 1, 32, 32) + self.zero


class Holder:
    """A method with nothing but an autoencoder."""

    prior = None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        self.autoencoder = Autoencoder(encoder, decoder, latent)


def test_a_method_that_knows_the_angle_is_perfect_and_pixels_fade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monge.data.sets.lines._PATHS", 40)
    source, config = load("lines32"), EvalConfig(seed=1)
    perfect = measured(interpolated_lines, Holder(Angle(), Line(), 1), source, config)
    assert perfect["lines_mean_distance"] < 1e-5
    # a few pairs are near, and the dictionary has steps
    assert perfect["lines_smoothness"] == pytest.approx(0, abs=0.05)
    pixels = measured(interpolated_lines, Holder(nn.Flatten(), Pixels(), 1024), source, config)
    start, end = source.held_out(80, 1).chunk(2)
    fades = line_quality(torch.stack([torch.lerp(start, end, n / 15) for n in range(16)], 1))
    assert pixels["lines_mean_distance"] == pytest.approx(fades[DISTANCE].value, rel=1e-3)
    assert pixels["lines_smoothness"] == pytest.approx(fades[SMOOTHNESS].value, rel=1e-2)
    assert fades[DISTANCE].value > 5e-3


def test_paths_lead_from_one_half_to_the_other() -> None:
    ends = draw_lines(torch.tensor([0.5, 1.0, 2.5, 2.0]))
    found = decoded_paths(Holder(Angle(), Line(), 1).autoencoder, ends, 3)
    # float32 does not tell cosines of lines 1e-3 radians apart, which is 0.02 at the rim
    near = {
        "atol": 0.03,
        "rtol": 0,
    }
    torch.testing.assert_close(found[:, 1], draw_lines(torch.tensor([1.5, 1.5])), **near)
    torch.testing.assert_close(found[0, 0], ends[0], **near)
    torch.testing.assert_close(found[1, 2], ends[3], **near)


def test_other_data_and_other_methods_are_not_measured() -> None:
    assert DISTANCE in known(load("lines32"))
    assert DISTANCE not in known(load("8gaussians"))
    assert measured(interpolated_lines, object(), load("lines32")) == {}
