"""Feature extractors for textures: names, weight files and VGG-19."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from monge.errors import MongeError
from monge.images.texture.features import VGG19, load_extractor


def test_extractors_are_built_by_name_and_bad_weights_are_refused(tmp_path: Path) -> None:
    assert load_extractor("none", 3, 32) is None
    assert load_extractor("random", 1, 32, tile=True).torus  # type: ignore[union-attr]
    (tmp_path / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pt")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(os.system))
    for call, message in (
        (lambda: load_extractor("vgg", 3, 32), "unknown features 'vgg'; did you mean 'vgg19'"),
        (
            lambda: load_extractor("vgg19", 3, 32),
            "need weights, which monge does not bring: give `weights`",
        ),
        (lambda: load_extractor("random", 3, 6), "random filters have 7 pixels and the picture 6"),
        (
            lambda: load_extractor("none", 3, 32, weights="a.pt"),
            "weights 'a.pt' are for features 'vgg19'",
        ),
    ):
        with pytest.raises(MongeError, match=message):
            call()
    for name, message in (
        ("none.pt", "the file does not exist"),
        ("torn.pt", "damaged or holds more than tensors"),
        ("evil.pt", "damaged or holds more than tensors"),
        ("other.pt", "has no 'features.0.bias'"),
    ):
        with pytest.raises(MongeError, match=message):
            load_extractor("vgg19", 3, 32, weights=tmp_path / name)


def test_vgg19_returns_the_first_convolution_of_each_block(tmp_path: Path) -> None:
    state = VGG19().state_dict()
    assert [k for k in state if k.endswith("bias")] == [
        f"features.{k}.bias" for k in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    ]
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, tmp_path / "vgg.pt")
    net = load_extractor("vgg19", 3, 32, weights=tmp_path / "vgg.pt")
    assert isinstance(net, VGG19)
    x = torch.rand(1, 3, 40, 32)
    assert [tuple(f.shape[1:]) for f in net(x)] == [
        (64, 40, 32),
        (128, 20, 16),
        (256, 10, 8),
        (512, 5, 4),
        (512, 2, 2),
    ]
    assert len(net(x[..., :24, :24])) == 4  # the fifth block would have 1 pixel
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    weight, bias = state["features.0.weight"], state["features.0.bias"]
    with torch.no_grad():
        first = torch.conv2d((x - mean) / std, weight, bias, padding=1).relu()
        torch.testing.assert_close(net(x)[0], first)
        torch.testing.assert_close(net(x[:, :1])[1], net(x[:, :1].expand(-1, 3, -1, -1))[1])
