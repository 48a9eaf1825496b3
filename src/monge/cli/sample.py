"""`monge sample RUN -o FILE`: draw samples from a trained run."""

from __future__ import annotations

import argparse
from pathlib import Path

from monge.errors import MongeError

from ._inputs import ARRAYS, write_array


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge sample", description="Draw samples from a run.")
    parser.add_argument("run", help="run folder")
    parser.add_argument("--n", type=int, default=100, help="number of samples (100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (0)")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="samples.npy, samples.npz or samples.png"
    )
    args = parser.parse_args(argv)
    if args.n < 1:
        raise MongeError(f"--n must be at least 1, got {args.n}")
    if args.out.suffix not in (*ARRAYS, ".png"):
        raise MongeError(f"--out must end in .npy, .npz or .png, got '{args.out}'")
    import torch

    from monge.data import sample_from
    from monge.training import RunFolder, load_run, picture_of

    method, data = load_run(RunFolder(args.run))
    with torch.no_grad():
        samples = sample_from(method, data, args.n, args.seed).float().cpu()
    if args.out.suffix in ARRAYS:
        write_array(args.out, samples.numpy())
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(picture_of(samples, data))
    print(f"{args.out}: {args.n} samples of shape {tuple(samples.shape[1:])}")
    return 0
