"""`monge transform RUN INPUT -o FILE`: map points or a picture by a trained map or its inverse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monge.errors import MongeError

from ._inputs import ARRAYS, PICTURES, read_picture, write_array


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge transform", description="Map points or a picture by the map of a run."
    )
    parser.add_argument(
        "run", help="run folder of a method that has a map, such as w2gn, amortised_w2 or w2_cycle"
    )
    parser.add_argument("input", type=Path, help="points (n, d) in .npy or .npz, or a picture")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help=".npy or .npz for points, .png for a picture"
    )
    parser.add_argument("--inverse", action="store_true", help="map the target to the source")
    args = parser.parse_args(argv)
    arrays = args.input.suffix.lower() in ARRAYS
    if not arrays and args.input.suffix.lower() not in PICTURES:
        raise MongeError(
            f"'{args.input}' is neither an array (.npy, .npz) nor a picture ({', '.join(PICTURES)})"
        )
    if args.out.suffix not in (ARRAYS if arrays else (".png",)):
        endings = ".npy or .npz" if arrays else ".png"
        raise MongeError(f"--out must end in {endings} for this input, got '{args.out}'")
    if not args.input.is_file():
        raise MongeError(f"no file '{args.input}': give an array or a picture")
    import torch

    from monge.data import SourceTarget, apply_map
    from monge.data.subject import apply_batched, on_cpu, to_model
    from monge.methods.protocols import InvertibleMap, Map
    from monge.training import RunFolder, load_run

    method, dataset = load_run(RunFolder(args.run))
    if not isinstance(method, Map):
        raise MongeError(
            f"the method of '{args.run}' has no map: it draws samples from noise, see 'monge "
            "sample'"
        )
    if args.inverse and not isinstance(method, InvertibleMap):
        raise MongeError(
            f"--inverse: the method of '{args.run}' has no inverse, it only maps the source to the "
            "target"
        )
    shape = dataset.shape
    if isinstance(dataset, SourceTarget) and not args.inverse:
        shape = dataset.source.shape
    x = _read_points(args.input, shape) if arrays else read_picture(args.input, shape)
    with torch.no_grad():
        if args.inverse and isinstance(method, InvertibleMap):
            images = on_cpu(apply_batched(method.inverse_transform, to_model(x, method)))
        else:
            images = on_cpu(apply_map(method, x))
    if arrays:
        write_array(args.out, images.numpy())
    else:
        from PIL import Image

        from monge import plots

        args.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plots.grid(images, columns=1)).save(args.out)
    print(f"{args.out}: {len(images)} mapped, shape {tuple(images.shape[1:])}")
    return 0


def _read_points(path: Path, shape: tuple[int, ...]) -> Any:
    import numpy as np
    import torch

    from monge.data import read_array

    x = read_array(path)
    if x.shape[1:] != shape or not len(x):
        expected = ", ".join(map(str, shape))
        raise MongeError(
            f"'{path}' has shape {x.shape}, the run maps samples of shape ({expected}): give (n, "
            f"{expected})"
        )
    if not (np.issubdtype(x.dtype, np.number) and np.isfinite(x).all()):
        raise MongeError(
            f"'{path}' holds values that are not finite numbers: remove or replace them"
        )
    return torch.from_numpy(x.astype(np.float32))
