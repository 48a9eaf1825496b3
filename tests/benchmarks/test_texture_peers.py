"""Peer methods of the texture benchmark: nearest patches, quilting and Gram matrices."""

from __future__ import annotations

import torch

from benchmarks.textures.peers import _cut, gram, nearest_neighbor, quilting
from monge.images.texture.copying import nearest_patches
from monge.images.texture.metrics import gram_distance, patch_w2
from monge.nets import patches
from tests.helpers.images import texture


def test_peers_follow_the_seed_and_are_near_the_floor() -> None:
    v = texture(48, 48)
    few = ({16: 1, 8: 2}, {16: 2, 8: 2})
    for make in (
        lambda seed: nearest_neighbor(v, 48, seed, sweeps=few),
        lambda seed: quilting(v, 48, seed, block=16, overlap=4),
    ):
        x = make(0)
        assert x.shape == (3, 48, 48)
        assert 0 <= x.min() < x.max() <= 1
        assert torch.equal(x, make(0))
        assert not torch.equal(x, make(1))
        assert patch_w2(x, v, n=150, scales=1, draws=1)[0].ratio < 2
    small, large = (quilting(v, size, 0, block=16, overlap=4) for size in (16, 48))
    assert torch.equal(small[:, :12, :12], large[:, :12, :12])


def test_matching_gram_matrices_lowers_their_distance() -> None:
    v = texture(128, 128)
    none, some = (gram(v, 128, 0, filters=16, steps=(steps,) * 4) for steps in (1, 60))
    assert gram_distance(some, v, scales=2) < 0.3 * gram_distance(none, v, scales=2)


def test_quilting_cut_has_the_least_error() -> None:
    error = torch.ones(5, 4)
    path = [1, 2, 2, 1, 0]
    error[torch.arange(5), path] = 0
    assert torch.equal(_cut(error), torch.arange(4) >= torch.tensor(path)[:, None])


def test_quilting_takes_blocks_that_fit_exactly() -> None:
    v = texture(24, 24, torus=True).repeat(1, 3, 3)  # every block has a perfect neighbor
    x = quilting(v, 60, 0, block=16, overlap=4, slack=0)
    assert nearest_patches(patches(x[None], 6)[0], v, 6)[1].max() < 1e-6
