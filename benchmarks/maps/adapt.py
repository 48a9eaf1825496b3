"""Domain adaptation between USPS and MNIST: nearest-neighbor accuracy on three seeds.

    python -m benchmarks adapt --seeds 0,1,2

Compares raw features, the Gaussian map and the W2 map, and writes results/adapt.json. Only one
domain has labels: they train the LeNet that computes the 84 features, and they are the labels of
the neighbors. The labels of the other domain score its test pictures and are used for nothing else.
Maps are fitted to training pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.nn.functional import interpolate

from benchmarks.common.command import add_seeds, make_parser
from benchmarks.common.cost import timed
from benchmarks.common.paths import shown_path
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result
from monge.adapt import DomainAdapter
from monge.data import FiniteDataset, from_array, load
from monge.metrics.lenet import classifier

DOMAINS = (("usps", "mnist"), ("mnist", "usps"))  # with labels, without
LAYOUTS = {
    "like MNIST": "enlarged to 20 of 28 pixels, centered by mass",
    "rescaled": "16×16 stretched to 28×28, as in the papers",
}

Features = np.ndarray[Any, np.dtype[Any]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("adapt", __doc__)
    add_seeds(parser)
    args = parser.parse_args(argv)
    origin = provenance()
    runs = [
        run(layout, labeled, other, seed)
        for layout in LAYOUTS
        for labeled, other in DOMAINS
        for seed in args.seeds
    ]
    settings = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in DomainAdapter().get_params().items()
    }
    path = results_file("adapt")
    write_result(path, {"settings": settings, "runs": runs, **origin})
    print(f"wrote {shown_path(path)}; make tables writes docs/adapt.md")


def run(layout: str, labeled: str, other: str, seed: int) -> dict[str, Any]:
    """Measure one direction; the LeNet and the maps have this seed."""
    measured, cost = timed(measure, layout, labeled, other, seed)
    about = {"layout": layout, "labelled": labeled, "unlabelled": other, "seed": seed}
    result: dict[str, Any] = {**about, **measured, "cpu_seconds": round(cost["cpu_seconds"], 1)}
    shown = {key: round(value, 4) for key, value in result["accuracy"].items()}
    print(layout, labeled, "->", other, seed, shown, result["cpu_seconds"], flush=True)
    return result


def measure(layout: str, labeled: str, other: str, seed: int) -> dict[str, Any]:
    """Return the accuracy of each map, applied to the labeled and to the other domain."""
    datasets = {"mnist": load_finite("mnist"), "usps": load_usps(layout)}
    lenet = classifier(datasets[labeled], seed=seed)
    (L, labels), (U, _), (test, truth) = (
        features(lenet, datasets[name], split)
        for name, split in ((labeled, "train"), (other, "train"), (other, "held_out"))
    )
    accuracy = {"raw": score(L, labels, test, truth)}
    for name, steps in (("gaussian", 0), ("w2", DomainAdapter().steps)):
        there = DomainAdapter(steps=steps, seed=seed).fit(L, U)
        back = DomainAdapter(steps=steps, seed=seed).fit(U, L)
        accuracy[f"labelled_{name}"] = score(there.transform(L), labels, test, truth)
        accuracy[f"unlabelled_{name}"] = score(L, labels, back.transform(test), truth)
    about = {"lenet_accuracy": lenet.accuracy, "lenet_sha256": lenet.digest}
    return about | {"accuracy": accuracy}


def load_finite(name: str, **options: Any) -> FiniteDataset:
    dataset = load(name, **options)
    assert isinstance(dataset, FiniteDataset)
    return dataset


def load_usps(layout: str) -> FiniteDataset:
    """Return USPS in one of the `LAYOUTS`."""
    if layout == "like MNIST":
        return load_finite("usps", size=28)
    small = load_finite("usps")
    pictures = torch.cat([small.labeled(split)[0] for split in ("train", "held_out")])
    large = interpolate(pictures, size=(28, 28), mode="bilinear", align_corners=False)
    n_held_out = len(small.held_out_indices)
    return from_array(
        large, "usps_rescaled", n_held_out=n_held_out, labels=small.labels, ordered_split=True
    )


def features(lenet: Any, dataset: FiniteDataset, split: str) -> tuple[Features, Features]:
    """Return the features (n, 84) and labels (n,) of a split."""
    pictures, labels = dataset.labeled(split)
    return lenet(pictures)[0].numpy(), labels.numpy()


def score(points: Features, labels: Features, test: Features, truth: Features) -> float:
    """Return the accuracy of one nearest neighbor."""
    return float(KNeighborsClassifier(1).fit(points, labels).score(test, truth))
