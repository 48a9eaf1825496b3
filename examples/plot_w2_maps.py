"""
From noise to eight Gaussians by one optimal map
================================================

`monge.OTMap` fits the map T that moves one sample to another at the least mean squared distance.
This map is the gradient of a convex function ψ, its potential, so that no two points meet on their
way. Here normal noise becomes a ring of eight Gaussians.
"""

import matplotlib.pyplot as plt
import torch

import monge
from monge.data import draw_toy, rng

# %%
# The two samples need not be paired, nor of equal size. ``fit`` finds ψ, an input-convex neural
# network, by stochastic ascent of the dual problem.

x, y = torch.randn(20_000, 2, generator=rng(0)), draw_toy("8gaussians", 20_000, rng(1))
T = monge.OTMap(steps=1000, batch=256, lr=0.01).fit(x, y)

# %%
# The certificate tells how far T is from optimal. The cost of T and the value of the dual both
# equal W₂² at the optimum. This T costs a little less, because it is continuous: it leaves some
# points between the Gaussians. Its inverse, which is fitted as well, leads back.

c = T.certificate()
print(f"there and back, T⁻¹(T(x)) differs from x by {c.cycle:.1g} % of the variance")

# %%
# On the left, some points with arrows to their images. On the right, the level sets of ψ. They are
# octagons: on a side the gradient points to one Gaussian, and at a corner the noise is torn apart.

points, target = x[:1000], y[:4000]
images = T.transform(points)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
left.scatter(*target.T, s=4, color="#9aa5b1", alpha=0.5, linewidths=0, label="target")
start, end = points[::3], images[::3]
look = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0022, "alpha": 0.5}
left.quiver(*start.T, *(end - start).T, color="#d1495b", **look)
left.scatter(*start.T, s=9, color="#33658a", label="x", zorder=3)
left.scatter(*end.T, s=9, color="#d1495b", label="T(x)", zorder=3)
left.legend(loc="upper right", ncols=3, fontsize=9, markerscale=1.6, columnspacing=0.8)
left.set_title(f"cost of T {c.primal:.3f}, dual value {c.dual:.3f}", loc="left")

side = torch.linspace(-3.2, 3.2, 200)
psi = T.potential(torch.cartesian_prod(side, side)).reshape(200, 200).T
levels = psi.min() + (psi.max() - psi.min()) * torch.linspace(0, 1, 19) ** 2
right.contourf(side, side, psi, levels, cmap="Blues", alpha=0.7)
right.contour(side, side, psi, levels, colors="#33658a", linewidths=0.7, alpha=0.7)
right.scatter(*points.T, s=5, color="#33658a", linewidths=0)
right.set_title("level sets of ψ, and the noise", loc="left")
for axis in (left, right):
    axis.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")
plt.savefig("w2_maps.png", dpi=110)
