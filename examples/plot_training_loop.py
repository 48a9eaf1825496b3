"""
A training loop of your own
===========================

`monge.data.iterate` yields batches and noise, `monge.ot` has the losses, and the loop is PyTorch.
Here a generator learns a NumPy array of points, two moons, by descent of the Sinkhorn divergence: a
transport cost between a batch of generated points and a batch of data, 0 only if they are equal.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import nn

from monge import ot
from monge.data import from_array, iterate, rng

# %%
# The data can be any array of points (n, d). A fifth is held out. The generator is any module.

moons = from_array(make_moons(5000, noise=0.05, random_state=0)[0])
torch.manual_seed(1)
layers = [nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)]
generator = nn.Sequential(*layers)
adam = torch.optim.Adam(generator.parameters())

# %%
# ``inputs.data`` and ``inputs.noise`` depend on the seed and the step only. With ``state`` each
# Sinkhorn solver begins with the potentials of the step before.

z, state = torch.randn(1000, 2, generator=rng(0)), ot.SinkhornState()
losses, snapshots = [], {}
for inputs in iterate(moons, steps=800, seed=0):
    adam.param_groups[0]["lr"] = 5e-3 * min(1, 2 - 2 * inputs.progress)
    fake, real = generator(inputs.noise(256, 2)), inputs.data(256)
    loss = ot.sinkhorn_divergence(fake, real, epsilon=0.05, state=state)
    adam.zero_grad()
    loss.backward()
    adam.step()
    losses.append(loss.item())
    if inputs.step + 1 in (1, 40, 800):
        snapshots[inputs.step + 1] = generator(z).detach()

# %%
# The loss falls to what two batches of data have. The generator is continuous and cannot leave the
# gap between the moons empty. The color of a point is the first coordinate of its noise.

data = moons.held_out(1000)
floor = ot.sinkhorn_divergence(*moons.train(3584).reshape(2, 7, 256, 2), epsilon=0.05).mean()
figure, axes = plt.subplots(1, 4, figsize=(14, 3.3), layout="constrained")
axes[0].semilogy(losses, color="#33658a", linewidth=0.8)
axes[0].axhline(floor, color="#d1495b", label="two batches of data")
axes[0].set(xlabel="step", title="Sinkhorn divergence")
axes[0].legend()
for axis, (step, x) in zip(axes[1:], snapshots.items(), strict=True):
    axis.scatter(*data.T, s=3, color="#c5ccd3")
    axis.scatter(*x.T, s=4, c=z[:, 0], cmap="plasma")
    axis.set(xlim=(-1.5, 2.5), ylim=(-1.1, 1.5), aspect="equal")
    axis.set_title(f"step {step}: W₂ = {ot.wasserstein(x, data):.2f}")
plt.savefig("training_loop.png", dpi=110)
