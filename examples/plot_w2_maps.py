"""
Four pictures of one optimal map
================================

Normal noise is moved onto eight Gaussians by the map of least squared distance, the gradient of a
convex potential. The pictures show where each point goes, the level sets of the potential, the
clouds before and after, and the way between.

    python examples/plot_w2_maps.py --out figures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from monge import plots
from monge.data import rng
from monge.data.sets.toy import draw_toy
from monge.maps import OTMap


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Four pictures of the map from normal noise to eight Gaussians."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder for the pictures (figures)"
    )
    parser.add_argument(
        "--steps", type=int, default=2000, help="training steps (2000, under a CPU-minute)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    x, y = torch.randn(20_000, 2, generator=rng(0)), draw_toy("8gaussians", 20_000, rng(1))
    found = OTMap(steps=args.steps, progress=True).fit(x, y)
    print(f"W2² is {found.w2_squared():.3f}")

    points, target = x[:2000], y[:2000]
    moved = found.transform(points)
    figures = {
        "arrows": plots.arrows(points, moved, target=target),
        "level-sets": plots.level_sets(found.potential, points, resolution=120),
        "before-after": plots.before_after(points, moved, target),
    }
    for name, figure in figures.items():
        (args.out / f"w2-{name}.png").write_bytes(plots.to_png(figure))
    (args.out / "w2-displacement.gif").write_bytes(
        plots.displacement_gif(points, moved, target=target)
    )
    print(f"look at {args.out}")


if __name__ == "__main__":
    main()
