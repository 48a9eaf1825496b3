"""
Laguerre cells, sharp and blurred
=================================

Semi-discrete transport carries a density to finitely many weighted points. At the optimum each
point takes all places of one cell. The cells are a Voronoi diagram with shifted borders, so that
each cell has the mass that its point should receive. `monge.ot.SemiDiscrete` finds the shifts, one
number ψ for each point, and a parameter ε blurs the borders.
"""

import matplotlib.pyplot as plt
import torch

from monge import ot, plots
from monge.data import rng

# %%
# A uniform population in a square, and nine bakeries that bake the same amount. If everyone goes to
# the nearest one (ψ = 0), some bakeries are overrun.

square = ot.Box((0.0, 0.0), (1.0, 1.0))
bakeries = 0.08 + 0.84 * torch.rand(9, 2, generator=torch.Generator().manual_seed(184))
voronoi = torch.zeros(9)

# %%
# ``fit`` maximizes the dual problem, here by Newton's method on the exact cells. ψ is a discount: a
# bakery with a large one attracts people from further away.

optimal = ot.SemiDiscrete(bakeries).fit(square)
print("ψ =", [round(value, 3) for value in optimal.potential.tolist()])

# %%
# With ε > 0 the people of one place are shared among several bakeries, in proportion to
# exp((ψ − c) / ε) with c the squared distance. The dual problem becomes smooth, and is solved with
# samples of the density, in any dimension.

soft = [
    ot.SemiDiscrete(bakeries, epsilon=epsilon).fit(square, generator=rng(0))
    for epsilon in (0.003, 0.03)
]

# %%
# Upper row: areas of cells, and arrows from some homes to the bakery that serves them. Lower row:
# colors mixed in the proportions above, and what each bakery should receive; the titles say what it
# does receive of 20,000 random people.

figure, axes = plt.subplots(2, 2, figsize=(9, 9.4), layout="constrained")
homes, people = square(120, rng(1)), square(20_000, rng(2)).float()
cells = {"ψ = 0: the nearest bakery": voronoi, "optimal ψ: equal areas": optimal.potential}
for axis, (title, psi) in zip(axes[0], cells.items(), strict=True):
    plots.laguerre(bakeries, psi, square, x=homes, title=title, axis=axis)
for axis, sd in zip(axes[1], soft, strict=True):
    received = sd.marginals(people)
    title = f"ε = {sd.epsilon}: {received.min():.1%} to {received.max():.1%} each"
    plots.assignment(sd, square, title=title, axis=axis)
plt.savefig("laguerre_cells.png", dpi=110)
