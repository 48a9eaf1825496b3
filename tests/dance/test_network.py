"""The dance generator: what a frame depends on, and that a song in one piece is the song window by
window.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.motion import MELODY, channels, encode, rest
from monge.dance.network import CONTEXT, PACE, DanceGenerator

STILL = encode(rest(MELODY).expand(2, -1, -1), MELODY)[0]


def net(width: int = 8) -> DanceGenerator:
    torch.manual_seed(0)
    return DanceGenerator(80, STILL, noise=3, style=2, width=width).double()


def inputs(frames: int, n: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    cells = (frames + 2 * CONTEXT) // PACE
    shapes = (frames + 2 * CONTEXT, 80), (cells, 3), (cells, 2)
    music, noise, style = (
        torch.randn(n, *shape, generator=g, dtype=torch.float64) for shape in shapes
    )
    return music, noise, style[:, :1].expand(-1, cells, -1)


def test_a_song_in_one_piece_is_the_song_window_by_window() -> None:
    generator, (music, noise, style) = net(), inputs(64)
    whole = generator(music, noise, style)
    assert whole.shape == (1, 64, channels(MELODY))
    for start, frames in ((0, 16), (16, 32), (48, 16), (20, 4)):
        cells = slice(start // PACE, (start + frames + 2 * CONTEXT) // PACE)
        part = generator(
            music[:, start : start + frames + 2 * CONTEXT], noise[:, cells], style[:, cells]
        )
        torch.testing.assert_close(part, whole[:, start : start + frames], atol=1e-5, rtol=0)


@pytest.mark.parametrize("frame", [0, 13, 31])
def test_a_frame_depends_on_48_frames_before_and_after_it_and_no_more(frame: int) -> None:
    generator, (music, noise, style) = net(), inputs(32)
    music.requires_grad_()
    noise.requires_grad_()
    generator(music, noise, style)[0, frame].pow(2).sum().backward()
    assert music.grad is not None
    assert noise.grad is not None
    heard = music.grad[0].abs().sum(1).nonzero().flatten() - CONTEXT - frame
    assert -CONTEXT <= heard.min() < -20
    assert 20 < heard.max() <= CONTEXT
    cells = noise.grad[0].abs().sum(1).nonzero().flatten() * PACE - CONTEXT - frame
    assert cells.min() >= -CONTEXT
    assert cells.max() <= CONTEXT


def test_directions_have_norm_one_and_begin_at_rest() -> None:
    generator, given = net(32), inputs(32, n=4)
    out = generator(*given)
    norms = out[..., 4:].unflatten(-1, (-1, 3)).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    with torch.no_grad():
        generator.move.weight.zero_()
    quiet = generator(*given)
    torch.testing.assert_close(quiet, STILL.double().expand_as(quiet))


def test_music_noise_and_style_all_matter_and_rows_are_apart() -> None:
    generator, given = net(32), inputs(16, n=2)
    out = generator(*given)
    for k in range(3):
        other = [t.clone() for t in given]
        other[k][0] += 1
        changed = generator(*other)
        assert (changed[0] - out[0]).abs().max() > 1e-4
        torch.testing.assert_close(changed[1], out[1])


def test_it_cannot_shake() -> None:
    """Splines with a knot every four frames: what swings faster than a knot's half is a small share
    of the movement.
    """
    generator, given = net(32), inputs(256)
    with torch.no_grad():
        travel = generator(*given)[0, :, 3] - STILL[3]
    power = torch.fft.rfft(travel - travel.mean()).abs().square()
    assert power[len(power) // 2 :].sum() < 0.02 * power.sum()


def test_the_spline_of_constant_points_is_constant() -> None:
    spline = net().spline[0, 0]
    torch.testing.assert_close(
        spline.unflatten(0, (4, PACE)).sum(0), torch.ones(PACE, dtype=spline.dtype)
    )
    torch.testing.assert_close(spline, spline.flip(0))


@pytest.mark.parametrize("change", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_other_lengths_are_named(change: tuple[int, int, int]) -> None:
    given = [t[:, : t.shape[1] - less] for t, less in zip(inputs(16), change, strict=True)]
    with pytest.raises(
        ValueError,
        match=rf"a multiple of 4 frames.*got {given[0].shape[1]}, {given[1].shape[1]} and",
    ):
        net()(*given)


def test_a_wrong_resting_pose_is_named() -> None:
    for features in (4, 69):
        with pytest.raises(ValueError, match=rf"rest must have 4 \+ 3 B numbers .* got {features}"):
            DanceGenerator(80, torch.zeros(features))
