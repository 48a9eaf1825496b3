"""`monge adapt SOURCE TARGET -o MOVED`: map features of a source domain to a target domain."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from monge.errors import MongeError

from ._inputs import ARRAYS, write_array

if TYPE_CHECKING:
    import numpy as np

_MAX_SAMPLES = 2000  # samples, at most, of each side in an exact distance


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge adapt", description="Map features of a source domain to a target domain."
    )
    parser.add_argument("source", type=Path, help="features (n, d): .npy, or .npz with the array x")
    parser.add_argument(
        "target", type=Path, help="features (m, d) of the target; rows need not correspond"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="moved.npy or moved.npz")
    parser.add_argument(
        "--inverse",
        action="store_true",
        help="map the target to the source by the inverse map",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=500,
        help="training steps; 0: the map between two Gaussians (500)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the map (0)")
    parser.add_argument(
        "--labels",
        type=Path,
        help="labels (n,) of the source, .npy: also label the target by nearest neighbor",
    )
    args = parser.parse_args(argv)
    if args.out.suffix not in ARRAYS:
        raise MongeError(f"--out must end in .npy or .npz, got '{args.out}'")
    from monge.adapt import DomainAdapter

    source, target = _read_features(args.source), _read_features(args.target)
    labels = _read_labels(args.labels, len(source)) if args.labels else None
    adapter = DomainAdapter(steps=args.steps, seed=args.seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            adapter.fit(source, target)
        except ValueError as error:
            raise MongeError(str(error)) from error
    for warning in caught:
        print(f"note: {warning.message}")
    before, goal = (target, source) if args.inverse else (source, target)
    moved = adapter.inverse_transform(target) if args.inverse else adapter.transform(source)
    print(_describe_distances(before, moved, goal))
    write_array(args.out, moved)
    print(f"{args.out}: {len(moved)} samples with {moved.shape[1]} features")
    if labels is not None:
        from sklearn.neighbors import KNeighborsClassifier

        labeled, unlabeled = (source, moved) if args.inverse else (moved, target)
        file = args.out.with_name(f"{args.out.stem}-labels.npy")
        write_array(file, KNeighborsClassifier(1).fit(labeled, labels).predict(unlabeled))
        print(f"{file}: a label for each of the {len(target)} samples of {args.target}")
    return 0


def _read_features(path: Path) -> np.ndarray:
    import numpy as np

    from monge.data import FiniteDataset, load

    if not path.is_file():
        raise MongeError(f"no file '{path}': give features as .npy or .npz")
    dataset = load(str(path))
    if not isinstance(dataset, FiniteDataset) or len(dataset.shape) != 1:
        raise MongeError(
            f"'{path}' holds pictures of shape {dataset.shape}: give features (n, d), one row per "
            "sample"
        )
    n = len(dataset.train_indices) + len(dataset.held_out_indices)
    return dataset.fetch(np.arange(n)).numpy()


def _read_labels(path: Path, n: int) -> np.ndarray:
    import numpy as np

    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MongeError(
            f"--labels '{path}' cannot be read as an array ({error}): save it with numpy.save"
        ) from error
    if not isinstance(labels, np.ndarray) or labels.shape != (n,):
        received = getattr(labels, "shape", "several arrays")
        raise MongeError(
            f"--labels must hold one label for each of the {n} samples of the source, ({n},), got "
            f"{received}"
        )
    return labels


def _describe_distances(before: np.ndarray, after: np.ndarray, goal: np.ndarray) -> str:
    """Describe W₂² to the goal before and after the map; the floor is that of two halves of it."""
    import numpy as np
    import torch

    from monge.metrics import w2_squared

    k = min(_MAX_SAMPLES, len(before), len(goal) // 2)
    rng = np.random.default_rng(0)
    rows, goal_rows = rng.permutation(len(before))[:k], rng.permutation(len(goal))
    held_out = torch.from_numpy(goal[goal_rows[:k]])
    reference = torch.from_numpy(goal[goal_rows[k : 2 * k]])
    first, last = (
        w2_squared(torch.from_numpy(x[rows]), held_out, reference) for x in (before, after)
    )
    return (
        f"W2² on {k} samples: {first.value:.4g} before, {last.value:.4g} after; floor "
        f"{last.floor:.4g}"
    )
