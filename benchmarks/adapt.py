"""Adapt between USPS and MNIST on three seeds: nearest-neighbor accuracy raw, by the Gaussian map,
and by the W2 map.

    python benchmarks/adapt.py --seeds 0,1,2

Only one domain has labels. They train the LeNet whose 84 features are used, and they are what the
nearest neighbor is asked for; the other domain's labels score, on its test pictures, and are used
for nothing else. Maps are fitted to training pictures. Writes benchmarks/results/adapt.json and the
table in docs/adapt.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reproduce import RESULTS, ROOT, surroundings
from sklearn.neighbors import KNeighborsClassifier
from torch.nn.functional import interpolate

from monge.adapt import DomainAdapter
from monge.data import FiniteDataset, from_array, load
from monge.metrics.lenet import classifier

DOMAINS = (("usps", "mnist"), ("mnist", "usps"))  # with labels, without
LAYOUTS = {
    "like MNIST": "enlarged to 20 of 28 pixels, centered by mass",
    "rescaled": "16×16 stretched to 28×28, as in the papers",
}
FIGURES = ("raw", "labelled_gaussian", "labelled_w2", "unlabelled_gaussian", "unlabelled_w2")
PAGE = ROOT / "docs" / "adapt.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", default="0,1,2", help="comma-separated; of the LeNet and the maps"
    )
    parser.add_argument(
        "--page", action="store_true", help="only write the page's table from the stored figures"
    )
    args = parser.parse_args()
    target = RESULTS / "adapt.json"
    if not args.page:
        around = surroundings()
        runs = [
            one_run(layout, labeled, other, int(seed))
            for layout in LAYOUTS
            for labeled, other in DOMAINS
            for seed in args.seeds.split(",")
        ]
        target.write_text(
            json.dumps({"settings": settings(), "runs": runs, **around}, indent=2) + "\n"
        )
        print(f"wrote {target.relative_to(ROOT)}")
    write_table(PAGE, json.loads(target.read_text())["runs"])


def settings() -> dict[str, Any]:
    return {
        k: list(v) if isinstance(v, tuple) else v for k, v in DomainAdapter().get_params().items()
    }


def one_run(layout: str, labeled: str, other: str, seed: int) -> dict[str, Any]:
    began = time.process_time()
    sources = {"mnist": load("mnist"), "usps": usps(layout)}
    assert isinstance(sources["mnist"], FiniteDataset)
    lenet = classifier(sources[labeled], seed=seed)
    (L, labels), (U, _), (test, truth) = (
        features(lenet, sources[name], split)
        for name, split in ((labeled, "train"), (other, "train"), (other, "held_out"))
    )
    figures = {"raw": accuracy(L, labels, test, truth)}
    for name, steps in (("gaussian", 0), ("w2", DomainAdapter().steps)):
        there, back = (
            DomainAdapter(steps=steps, seed=seed).fit(*pair) for pair in ((L, U), (U, L))
        )
        figures[f"labelled_{name}"] = accuracy(there.transform(L), labels, test, truth)
        figures[f"unlabelled_{name}"] = accuracy(L, labels, back.transform(test), truth)
    run = {
        "layout": layout,
        "labelled": labeled,
        "unlabelled": other,
        "seed": seed,
        "lenet_accuracy": lenet.accuracy,
    }
    run |= {
        "lenet_sha256": lenet.digest,
        "cpu_seconds": round(time.process_time() - began, 1),
        "accuracy": figures,
    }
    print(
        layout,
        labeled,
        "->",
        other,
        seed,
        {k: round(v, 4) for k, v in figures.items()},
        run["cpu_seconds"],
        flush=True,
    )
    return run


def usps(layout: str) -> FiniteDataset:
    if layout == "like MNIST":
        source = load("usps", size=28)
        assert isinstance(source, FiniteDataset)
        return source
    small = load("usps")
    assert isinstance(small, FiniteDataset)
    assert small.labels is not None
    pictures = torch.cat([small.labeled(split)[0] for split in ("train", "held_out")])
    large = interpolate(pictures, size=(28, 28), mode="bilinear", align_corners=False)
    held = len(small.held_out_indices)
    return from_array(
        large, "usps_rescaled", n_held_out=held, labels=small.labels, ordered_split=True
    )


def features(lenet: Any, source: FiniteDataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = source.labeled(split)
    return lenet(pictures)[0].numpy(), labels.numpy()


def accuracy(points: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    return float(KNeighborsClassifier(1).fit(points, labels).score(test, truth))


def write_table(page: Path, runs: list[dict[str, Any]]) -> None:
    lines = [
        "| USPS at 28×28 | labels | scored on | raw | labeled moved: Gaussian | W2 | unlabeled "
        "moved: Gaussian | W2 | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for layout in LAYOUTS:
        for labeled, other in DOMAINS:
            group = [r for r in runs if (r["layout"], r["labelled"]) == (layout, labeled)]
            cells = [spread([100 * r["accuracy"][name] for r in group]) for name in FIGURES]
            seconds = round(statistics.mean(r["cpu_seconds"] for r in group))
            lines.append(
                f"| {layout} | {labeled.upper()} | {other.upper()} test | {' | '.join(cells)} | "
                f"{seconds} |"
            )
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    print(f"wrote {page.relative_to(ROOT)}")


def spread(values: list[float]) -> str:
    return (
        f"{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}"
    )


if __name__ == "__main__":
    main()
