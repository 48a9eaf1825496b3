"""Texture generator: learned patches, seams, sizes and seeds of pictures, and names of weights."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor

from monge.images.texture.metrics import patch_w2, seam_score
from monge.methods import texture_generator
from monge.methods.texture_generator import TINY, Config, TextureGenerator
from monge.nets import TextureNet
from tests.helpers.textures import (
    net_with_running_means,
    red_and_blue_stripes,
    texture_inputs,
    trained_generator,
)


@pytest.fixture(scope="module")
def net() -> TextureNet:
    return net_with_running_means()


@pytest.mark.parametrize("size", [(8, 8), (13, 30), (1, 5), (4, 100)])
def test_make_returns_pictures_of_any_size(net: TextureNet, size: tuple[int, int]) -> None:
    picture = texture_generator.make(net, size)
    assert picture.shape == (3, *size)
    assert picture.isfinite().all()


def test_tiles_need_sides_that_are_multiples_of_the_unit(net: TextureNet) -> None:
    assert texture_generator.make(net, (8, 12), tile=True).shape == (3, 8, 12)
    with pytest.raises(ValueError, match="multiples of 4 pixels"):
        texture_generator.make(net, (8, 13), tile=True)


def test_make_is_a_function_of_seed_and_index(net: TextureNet) -> None:
    one = texture_generator.make(net, (16, 16), 3)
    assert torch.equal(one, texture_generator.make(net, (16, 16), 3))
    for other in (
        texture_generator.make(net, (16, 16), 4),
        texture_generator.make(net, (16, 16), 3, 1),
    ):
        assert (one - other).abs().mean() > 0.02


@pytest.fixture(scope="module")
def learned() -> TextureGenerator:
    return trained_generator(TINY.model_copy(update={"width": 8, "points": 256, "lr": 0.01}), 200)


def test_training_learns_the_patches_of_two_colors(learned: TextureGenerator) -> None:
    """Half of the pixels are red, half blue, and few purple; before training W₂² is 3.6."""
    pictures = learned.sample(2, size=(64, 64))
    red = pictures[:, 0] / 0.9
    assert 0.4 < red.mean() < 0.6
    assert ((red - red.round()).abs() < 0.2).float().mean() > 0.8
    stripes = red_and_blue_stripes(64)
    assert patch_w2(pictures[0], stripes, scales=1, n=300, draws=1)[0].value < 1.5


def test_tile_has_no_seam(learned: TextureGenerator) -> None:
    tile = learned.sample(1, size=(64, 64), tile=True)[0]
    assert seam_score(tile).ratio < 2 < seam_score(tile[:, :-3, :-3]).ratio


def test_loss_is_the_sum_of_the_logged_terms() -> None:
    method = texture_generator.build(TINY, red_and_blue_stripes())
    scalars = {k: float(v) for k, v in method.step(texture_inputs(0, 1)).items()}
    assert scalars["loss"] == pytest.approx(
        sum(scalars[f"{kind}_{k}"] for kind in ("loss", "detail") for k in (0, 1))
    )
    assert scalars["generator_grad"] > 0


def test_targets_are_patches_of_the_exemplar() -> None:
    exemplar = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
    y = cast(Any, texture_generator.build(TINY, exemplar).matchings[0]).law.y
    every = exemplar.unfold(1, 4, 1).unfold(2, 4, 1).movedim(0, 2).reshape(-1, 32)
    assert {tuple(row) for row in y.tolist()} <= {tuple(row) for row in every.tolist()}
    assert len(y.unique(dim=0)) == 100


def test_coarse_scales_use_patches_of_earlier_steps() -> None:
    """A picture of 16² has 8² patches at the second scale, and 36 more make the 100 wanted."""
    config = TINY.model_copy(update={"side": 16, "points": 100})
    method = texture_generator.build(config, red_and_blue_stripes())
    matching, recent = cast(Any, method.matchings[1]), []
    for step in range(3):
        method.step(texture_inputs(step, 3))
        assert int(matching.known) == 36
        recent.append(matching.recent.clone())
    assert not torch.equal(recent[0], recent[1])


def test_weights_have_the_names_of_version_0_1_0() -> None:
    """Stored generators and checkpoints of that version load."""
    state = texture_generator.build(TINY, red_and_blue_stripes()).state_dict()
    potentials = ("count", "iterate", "potential")
    expected = {f"matchings.{k}.law.{name}" for k in range(4) for name in potentials}
    expected |= {f"matchings.{k}.{name}" for k in range(4) for name in ("known", "recent")}
    expected |= {f"generator.colours.{name}" for name in ("weight", "bias")}
    expected |= {f"average.net.colours.{name}" for name in ("weight", "bias")}
    assert expected <= set(state)
    others = {key for key in state if key not in expected}
    assert all(".blocks." in key or key == "average.updates" for key in others)


@pytest.mark.parametrize(
    ("config", "exemplar", "message"),
    [
        (TINY, torch.zeros(32, 32), "floats"),
        (TINY, torch.zeros(3, 32, 32, dtype=torch.uint8), "floats"),
        (TINY, torch.zeros(3, 7, 32), "fewer scales"),
        (TINY.model_copy(update={"side": 30}), torch.zeros(3, 32, 32), "multiple of 4"),
    ],
)
def test_wrong_exemplars_and_settings_raise_value_error(
    config: Config, exemplar: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        texture_generator.build(config, exemplar)
