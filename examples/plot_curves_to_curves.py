"""
From flowers to eights: what relations are for
==============================================

The method behind music-to-dance, MDOT-Net, learns from two collections of sequences, and is not
told which sequence belongs to which. Optimal transport asks that the generated sequences look like
the targets. A Gromov-Wasserstein term asks that similar sources become similar targets. On the data
set "curves" the right answer is known: one map from flowers to eights keeps all distances.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge.data.sets.curves import counterpart

# %%
# The recipe "mdot-curves", shortened. ``gw`` is the weight of the Gromov-Wasserstein term; the
# second run goes without it.

short = {"steps": 250, "every": 250, "clips": (64,), "batch": 16, "eval": {"samples": 256}}
runs = {
    gw: monge.train("mdot-curves", out=f"runs/curves-gw-{gw}", gw=gw, fresh=True, **short)
    for gw in (1, 0)
}

# %%
# 200 held-out flowers and what becomes of them, moved to the origin: positions are random.

flowers = runs[1].data.source_held_out(200)
eights = {gw: run.model.transform(flowers) for gw, run in runs.items()}
eights = {gw: x - x.mean(1, keepdim=True) for gw, x in eights.items()}

# %%
# Without relations each curve is a plausible eight, but which flower gets it is arbitrary: the
# distances between flowers and between their eights are hardly correlated. With relations the
# eights are those of the map that keeps distances, although no pair was ever shown.

figure = plt.figure(figsize=(11, 5.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[2.3, 1])
rows = (("flowers", "#9aa5b1", flowers), ("with relations", "#d1495b", eights[1]))
rows += (("right answer", "#33658a", counterpart(flowers)), ("without", "#d1495b", eights[0]))
chosen = flowers.diff(dim=1).norm(dim=2).sum(1).argsort()[::33]  # by their perimeter
for row, (name, color, curves) in zip(left.subplots(4, 7), rows, strict=True):
    row[0].text(-0.1, 0.5, name, ha="right", va="center", transform=row[0].transAxes)
    for axis, curve in zip(row, curves[chosen], strict=True):
        axis.plot(*torch.cat([curve, curve[:1]]).T, color=color)
        axis.set(xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), aspect="equal")
        axis.axis("off")

pairs = np.triu_indices(200, 1)
distances = torch.cdist(flowers.flatten(1), flowers.flatten(1))[pairs]
for axis, (gw, x) in zip(right.subplots(2, 1, sharex=True), eights.items(), strict=True):
    others = torch.cdist(x.flatten(1), x.flatten(1))[pairs]
    axis.scatter(distances[::10], others[::10], s=4, alpha=0.4, linewidths=0, color="#d1495b")
    correlation = np.corrcoef(distances, others)[0, 1]
    axis.set_title(f"{'with' if gw else 'without'} relations: correlation {correlation:.2f}")
    axis.set(xlabel="" if gw else "distance between flowers", ylabel="between their eights")
plt.savefig("curves_to_curves.png", dpi=110)
