"""Tests of the dance generator: its receptive field, its output and its errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.motion import MELODY, channels, encode, rest
from monge.dance.network import CONTEXT, PACE, DanceGenerator

STILL = encode(rest(MELODY).expand(2, -1, -1), MELODY)[0]


def network(width: int = 8) -> DanceGenerator:
    """Return an untrained generator in float64."""
    torch.manual_seed(0)
    return DanceGenerator(80, STILL, noise=3, style=2, width=width).double()


def inputs(frames: int, n: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return music, noise and a constant style for dances of some frames."""
    rng = torch.Generator().manual_seed(1)
    cells = (frames + 2 * CONTEXT) // PACE
    shapes = (frames + 2 * CONTEXT, 80), (cells, 3), (cells, 2)
    music, noise, style = (
        torch.randn(n, *shape, generator=rng, dtype=torch.float64) for shape in shapes
    )
    return music, noise, style[:, :1].expand(-1, cells, -1)


def test_whole_song_equals_its_windows() -> None:
    generator, (music, noise, style) = network(), inputs(64)
    whole = generator(music, noise, style)
    assert whole.shape == (1, 64, channels(MELODY))
    for start, frames in ((0, 16), (16, 32), (48, 16), (20, 4)):
        end = start + frames + 2 * CONTEXT
        cells = slice(start // PACE, end // PACE)
        part = generator(music[:, start:end], noise[:, cells], style[:, cells])
        torch.testing.assert_close(part, whole[:, start : start + frames], atol=1e-5, rtol=0)


@pytest.mark.parametrize("frame", [0, 13, 31])
def test_frame_depends_on_48_frames_before_and_after(frame: int) -> None:
    generator, (music, noise, style) = network(), inputs(32)
    music.requires_grad_()
    noise.requires_grad_()
    generator(music, noise, style)[0, frame].pow(2).sum().backward()
    assert music.grad is not None
    assert noise.grad is not None
    frames = music.grad[0].abs().sum(1).nonzero().flatten() - CONTEXT - frame
    assert -CONTEXT <= frames.min() < -20
    assert 20 < frames.max() <= CONTEXT
    cells = noise.grad[0].abs().sum(1).nonzero().flatten() * PACE - CONTEXT - frame
    assert cells.min() >= -CONTEXT
    assert cells.max() <= CONTEXT


def test_directions_have_norm_one_and_untrained_output_is_rest_pose() -> None:
    generator, given = network(32), inputs(32, n=4)
    out = generator(*given)
    norms = out[..., 4:].unflatten(-1, (-1, 3)).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    with torch.no_grad():
        generator.move.weight.zero_()
    untrained = generator(*given)
    torch.testing.assert_close(untrained, STILL.double().expand_as(untrained))


def test_output_depends_on_music_noise_and_style_row_by_row() -> None:
    generator, given = network(32), inputs(16, n=2)
    out = generator(*given)
    for k in range(3):
        other = [t.clone() for t in given]
        other[k][0] += 1
        changed = generator(*other)
        assert (changed[0] - out[0]).abs().max() > 1e-4
        torch.testing.assert_close(changed[1], out[1])


def test_output_has_little_power_at_high_frequencies() -> None:
    """The output is a spline with a knot every four frames."""
    generator, given = network(32), inputs(256)
    with torch.no_grad():
        travel = generator(*given)[0, :, 3] - STILL[3]
    power = torch.fft.rfft(travel - travel.mean()).abs().square()
    assert power[len(power) // 2 :].sum() < 0.02 * power.sum()


def test_spline_of_constant_points_is_constant() -> None:
    spline = network().spline[0, 0]
    total = spline.unflatten(0, (4, PACE)).sum(0)
    torch.testing.assert_close(total, torch.ones(PACE, dtype=spline.dtype))
    torch.testing.assert_close(spline, spline.flip(0))


@pytest.mark.parametrize("change", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_mismatched_lengths_raise(change: tuple[int, int, int]) -> None:
    given = [t[:, : t.shape[1] - less] for t, less in zip(inputs(16), change, strict=True)]
    message = rf"a multiple of 4 frames.*got {given[0].shape[1]}, {given[1].shape[1]} and"
    with pytest.raises(ValueError, match=message):
        network()(*given)


def test_rest_pose_of_wrong_size_raises() -> None:
    for features in (4, 69):
        with pytest.raises(ValueError, match=rf"rest must have 4 \+ 3 B numbers .* got {features}"):
            DanceGenerator(80, torch.zeros(features))
