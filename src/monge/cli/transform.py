"""`monge transform RUN INPUT -o FILE`: move points or a picture by a trained map, or back with
--inverse.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monge.errors import MongeError

from ._inputs import ARRAYS, PICTURES, picture, write_array


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge transform", description="Move points or a picture by the map of a run."
    )
    parser.add_argument(
        "run", help="run folder of a method that has a map, such as w2gn, amortised_w2 or w2_cycle"
    )
    parser.add_argument("input", type=Path, help="points (n, d) in .npy or .npz, or a picture")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help=".npy or .npz for points, .png for a picture"
    )
    parser.add_argument("--inverse", action="store_true", help="from the data back to the origin")
    args = parser.parse_args(argv)
    arrays = args.input.suffix.lower() in ARRAYS
    if not arrays and args.input.suffix.lower() not in PICTURES:
        raise MongeError(
            f"'{args.input}' is neither an array (.npy, .npz) nor a picture ({', '.join(PICTURES)})"
        )
    if args.out.suffix not in (ARRAYS if arrays else (".png",)):
        raise MongeError(
            f"--out must end in {'.npy or .npz' if arrays else '.png'} for this input, got "
            f"'{args.out}'"
        )
    if not args.input.is_file():
        raise MongeError(f"there is no file '{args.input}'")
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
            f"--inverse: the method of '{args.run}' has no way back, it only goes from the origin "
            "to the data"
        )
    shape = (
        dataset.source.shape
        if isinstance(dataset, SourceTarget) and not args.inverse
        else dataset.shape
    )
    x = _points(args.input, shape) if arrays else picture(args.input, shape)
    with torch.no_grad():
        if args.inverse and isinstance(method, InvertibleMap):
            there = on_cpu(apply_batched(method.inverse_transform, to_model(x, method)))
        else:
            there = on_cpu(apply_map(method, x))
    if arrays:
        write_array(args.out, there.numpy())
    else:
        from PIL import Image

        from monge import plots

        args.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plots.grid(there, columns=1)).save(args.out)
    print(f"{args.out}: {len(there)} moved, shape {tuple(there.shape[1:])}")
    return 0


def _points(path: Path, shape: tuple[int, ...]) -> Any:
    import numpy as np
    import torch

    from monge.data import read_array

    x = read_array(path)
    if x.shape[1:] != shape or not len(x):
        wanted = ", ".join(map(str, shape))
        raise MongeError(
            f"'{path}' has shape {x.shape}, the run moves samples of shape ({wanted}): give (n, "
            f"{wanted})"
        )
    if not (np.issubdtype(x.dtype, np.number) and np.isfinite(x).all()):
        raise MongeError(
            f"'{path}' holds values that are not finite numbers: remove or replace them"
        )
    return torch.from_numpy(x.astype(np.float32))
