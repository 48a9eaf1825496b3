"""Flowers and eights: equal distances in both domains, unpaired rows, and the known map."""

from __future__ import annotations

import io

import torch
from PIL import Image
from torch import Tensor

from monge.data import SourceTarget, load
from monge.data.sets.curves import counterpart, eights, flowers, plot_curves


def distances(x: Tensor) -> Tensor:
    return (x[:, None] - x).square().sum(-1).mean(-1).sqrt()


def curves() -> SourceTarget:
    dataset = load("curves")
    assert isinstance(dataset, SourceTarget)
    return dataset


def test_flowers_and_their_eights_have_the_same_distances() -> None:
    y = curves().source_held_out(50)
    torch.testing.assert_close(distances(counterpart(y)), distances(y), atol=1e-5, rtol=1e-4)


def test_targets_are_translated_counterparts_of_sources_in_other_rows() -> None:
    dataset = curves()
    y, x = dataset.source_train(4000), dataset.train(4000)
    centered = x - x.mean(1, keepdim=True)
    offset = x.mean(1)
    torch.testing.assert_close(offset.std(0), torch.full((2,), 0.1), atol=0.01, rtol=0)
    torch.testing.assert_close(centered.mean(0), counterpart(y).mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(centered.var(0), counterpart(y).var(0), atol=0.02, rtol=0.2)
    assert (centered - counterpart(y)).square().sum(-1).mean() > 0.05


def test_extreme_latent_variables_give_a_circle_and_an_eight() -> None:
    circle, eight = eights(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(circle.norm(dim=1), torch.ones(64))
    torch.testing.assert_close(eight[[16, 48]].norm(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    assert flowers(torch.tensor([[1.0, 0.0]])).norm(dim=-1).min() < 1e-5


def test_plot_curves_has_a_cell_for_each_curve() -> None:
    assert Image.open(io.BytesIO(plot_curves(curves().held_out(7), columns=5))).size == (500, 200)
