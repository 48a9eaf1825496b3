"""Textures: distributions of patches, tiles, inpainting, mixtures, and restored states."""

import pytest
import torch
from torch import Tensor

from monge.images.texture.metrics import patch_w2, seam_score
from monge.methods.texture import TINY, Config, Texture, memory_estimate
from monge.nets import RandomFilters, patches


def stripes(h: int = 48, w: int = 48, seed: int = 0) -> Tensor:
    """Return slanted waves from blue to yellow with a little grain, (3, h, w)."""
    down, right = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    over = 0.5 + 0.5 * torch.sin((2 * down + right) * 0.55 + seed)
    over = over + 0.03 * torch.randn(over.shape, generator=torch.Generator().manual_seed(seed))
    yellow, blue = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0.1, 0.3, 0.7])
    return over * yellow[:, None, None] + (1 - over) * blue[:, None, None]


def finished(texture: Texture) -> Tensor:
    while not texture.done:
        texture.step()
    return texture.image


@pytest.fixture(scope="module")
def exemplar() -> Tensor:
    return stripes()


@pytest.mark.parametrize("tile", [True, False])
def test_patches_are_distributed_as_those_of_the_exemplar(exemplar: Tensor, tile: bool) -> None:
    texture = Texture(
        [exemplar], (48, 48), config=Config(steps=10, scales=2, targets=400, batch=1600), tile=tile
    )
    start = texture.image
    end = finished(texture)
    before, after = (patch_w2(image, exemplar, scales=2, torus=tile) for image in (start, end))
    assert all(a.value < 0.15 for a in after)
    assert all(b.value > 5 * a.value for b, a in zip(before, after, strict=True))


def test_tile_has_no_seam(exemplar: Tensor) -> None:
    tiled = seam_score(finished(Texture([exemplar], (48, 48), config=TINY, tile=True)))
    cut = seam_score(finished(Texture([exemplar], (48, 48), config=TINY, tile=False)))
    assert tiled.seam < 1.5 * tiled.interior < cut.seam


@pytest.mark.parametrize("tile", [True, False])
def test_step_of_rate_one_minimizes_the_distance_to_the_targets(
    exemplar: Tensor, tile: bool
) -> None:
    texture = Texture(
        [exemplar], (24, 20), config=TINY.model_copy(update={"rate": 1.0, "scales": 1}), tile=tile
    )
    before = patches(texture.image[None], 4, torus=tile)[0]
    texture.step()
    w = texture._window
    aims = texture._measures[0].y[texture._measures[0].assign(before * w)]
    x = texture.image.clone().requires_grad_()
    (patches(x[None], 4, torus=tile)[0] * w - aims).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e-4


@pytest.mark.parametrize("features", [False, True])
def test_restored_state_continues_to_the_same_bits(exemplar: Tensor, features: bool) -> None:
    def make() -> Texture:
        extractor = RandomFilters(3, scales=2, filters=8, size=3) if features else None
        return Texture([exemplar], (40, 40), config=TINY, extractor=extractor, seed=3)

    whole, first, second = make(), make(), make()
    for _ in range(7):
        first.step()
    second.load_state_dict(first.state_dict())
    for _ in range(9):
        whole.step()
    for _ in range(2):
        second.step()
    assert torch.equal(whole.image, second.image)
    assert whole.progress == second.progress
    assert not torch.equal(whole.image, first.image)


def test_inpainting_keeps_known_pixels_bit_by_bit(exemplar: Tensor) -> None:
    mask = torch.zeros(48, 48, dtype=torch.bool)
    mask[10:26, 12:30] = True
    broken = torch.where(mask, torch.tensor(5.0), exemplar)
    texture = Texture([broken], (48, 48), config=TINY, image=broken, mask=mask)
    # also in a preview, which is enlarged from a coarse scale
    assert torch.equal(texture.image[:, ~mask], exemplar[:, ~mask])
    image = finished(texture)
    assert torch.equal(image[:, ~mask], exemplar[:, ~mask])
    assert image[:, mask].max() < 1.1  # the pixels under the mask were 5
    inside = patch_w2(image, image, scales=1, mask=mask, region=~mask)[0]
    assert inside.value < 2.5 * inside.floor


def test_inpainting_uses_patches_of_the_region_only() -> None:
    picture = torch.zeros(3, 48, 48)
    picture[0, :, :30], picture[2, :, 30:] = 1.0, 1.0
    picture += 0.02 * torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    mask, region = torch.zeros(48, 48, dtype=torch.bool), torch.zeros(48, 48, dtype=torch.bool)
    mask[16:32, 34:44] = True
    region[:, :28] = True
    texture = Texture([picture], (48, 48), config=TINY, image=picture, mask=mask, region=region)
    image = finished(texture)
    assert image[0, mask].min() > 0.8 > 0.2 > image[2, mask].max()


def test_mean_color_of_a_mixture_lies_between_those_of_the_exemplars(exemplar: Tensor) -> None:
    other = stripes(seed=1).flip(0) * 0.5
    means = []
    for weight in (0.0, 0.5, 1.0):
        weights = [1 - weight, weight]
        texture = Texture([exemplar, other], (32, 32), weights=weights, config=TINY, tile=True)
        means.append(finished(texture).mean((1, 2)))
    assert torch.allclose(means[0], exemplar.mean((1, 2)), atol=0.06)
    assert torch.allclose(means[2], other.mean((1, 2)), atol=0.06)
    assert torch.allclose(means[1], (exemplar + other).mean((1, 2)) / 2, atol=0.06)


def test_feature_loss_decreases(exemplar: Tensor) -> None:
    extractor = RandomFilters(3, scales=2, filters=16, size=3, torus=True)
    texture = Texture([exemplar], (32, 32), config=TINY, tile=True, extractor=extractor)
    losses = [texture.step()["loss"] for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_progress_rises_from_0_to_1_and_results_depend_on_the_seed(exemplar: Tensor) -> None:
    texture, again = (Texture([exemplar], (33, 47), config=TINY, seed=5) for _ in range(2))
    progress = [texture.progress]
    while not texture.done:
        texture.step()
        progress.append(texture.progress)
    assert (progress[0], progress[-1]) == (0, 1)
    assert progress == sorted(progress)
    assert texture.image.shape == (3, 33, 47)
    assert torch.equal(finished(again), texture.image)
    assert not torch.equal(
        finished(Texture([exemplar], (33, 47), config=TINY, seed=6)), texture.image
    )
    with pytest.raises(RuntimeError, match="finished"):
        texture.step()


def test_wrong_arguments_raise_value_error(exemplar: Tensor) -> None:
    empty = torch.zeros(48, 48, dtype=torch.bool)
    for arguments, message in [
        ({"exemplars": [exemplar, exemplar[:1]]}, "exemplars"),
        ({"weights": [0.5, 0.5]}, "weights"),
        ({"image": exemplar}, "belong together"),
        ({"image": exemplar, "mask": empty[:40]}, "mask has size"),
        ({"image": exemplar, "mask": empty}, "empty"),
        ({"image": exemplar, "mask": ~empty}, "full"),
        ({"exemplars": [exemplar[:, :3, :3]]}, "do not fit"),
    ]:
        with pytest.raises(ValueError, match=message):
            Texture(**({"exemplars": [exemplar], "size": (48, 48), "config": TINY} | arguments))


def test_memory_estimate_grows_with_the_picture() -> None:
    small, large = (memory_estimate([(3, 256, 256)], (n, n), Config()) for n in (256, 4096))
    assert small < 2**30 < large
