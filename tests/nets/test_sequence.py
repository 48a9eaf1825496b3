"""Networks of piano rolls: codes of any size, independent samples, wrong shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.music.rolls import one_hot
from monge.nets import build_autoencoder, build_encoder
from monge.nets.sequence import Mix
from tests.helpers.music import melody

SHAPE = (4, 89, 16)


@pytest.mark.parametrize("latent", [1, 2, 7, 24, 33])
def test_autoencoder_has_codes_of_any_size(latent: int) -> None:
    autoencoder = build_autoencoder("sequence", SHAPE, latent, 4)
    x = one_hot(torch.from_numpy(np.stack([melody(30), melody(35)])))
    z = autoencoder.encode(x)
    assert z.shape == (2, latent)
    assert autoencoder.classes
    decoded = autoencoder.decode(z)
    assert decoded.shape == x.shape
    torch.testing.assert_close(decoded.sum(2), torch.ones(2, 4, 16))


def test_samples_do_not_depend_on_each_other() -> None:
    x = one_hot(torch.from_numpy(np.stack([melody(30, seed=s) for s in range(4)])))
    critic = build_encoder("sequence", SHAPE, 4, 3)
    autoencoder = build_autoencoder("sequence", SHAPE, 6, 4)
    for net in (critic, autoencoder.encoder, lambda x: autoencoder.decode(autoencoder.encode(x))):
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_critic_compares_patches() -> None:
    """Exchanging the second patches of two piano rolls changes the sum of the critic's values."""
    torch.manual_seed(0)
    critic = build_encoder("sequence", SHAPE, 8, 1)
    a, b = (one_hot(torch.from_numpy(melody(key)[None])) for key in (30, 37))
    ab, ba = torch.cat([a[..., :8], b[..., 8:]], 3), torch.cat([b[..., :8], a[..., 8:]], 3)
    assert (critic(a) + critic(b) - critic(ab) - critic(ba)).abs() > 1e-4


def test_mix_begins_as_the_identity_and_has_gradients() -> None:
    mix, x = Mix(3, 5), torch.randn(4, 3)
    torch.testing.assert_close(mix(x), torch.cat([x, torch.zeros(4, 2)], 1))
    mix(x).square().sum().backward()
    last = mix.change[2]
    assert isinstance(last, torch.nn.Linear)
    assert last.weight.grad is not None
    assert last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("shape", [(4, 89, 20), (4, 89, 0), (1, 8, 8, 8)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    takes = r"net 'sequence' takes piano rolls \(voices, classes, frames\)"
    message = f"{takes} with a multiple of 8 frames"
    for make in (
        lambda: build_autoencoder("sequence", shape, 4, 4),
        lambda: build_encoder("sequence", shape, 4, 1),
    ):
        with pytest.raises(ValueError, match=message):
            make()
