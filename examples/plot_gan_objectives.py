"""
Five objectives for one generator
=================================

A generator turns noise into samples; what differs between the methods is the distance to the data
that it descends. The classifier's loss of a GAN, the Wasserstein distance W₁ of a WGAN-GP, the
energy distance of a Cramér GAN, and the transport costs between mini-batches of OT-GAN and the
Sinkhorn GAN are given the same small networks and the same number of steps.
"""

import matplotlib.pyplot as plt

import monge

# %%
# Settings that all share, and those that make a method what it is. Only the Sinkhorn GAN has no
# critic: it compares points as they are.

shared = {"steps": 250, "every": 250, "batch": 128, "eval": {"samples": 512, "draws": 4}}
game = {"nets": {"width": 64, "critic_width": 64}, "adam": {"lr": 0.001, "critic_lr": 0.002}}
methods = {
    "gan": game,
    "wgan_gp": game | {"penalty": 0.1, "critic_steps": 2},
    "cramer_gan": game | {"penalty": 0.1, "critic_steps": 2, "features": 32},
    "ot_gan": game | {"epsilon": 0.02, "features": 64, "weight_norm": False},
    "sinkhorn_gan": {"nets": {"width": 64}, "adam": {"lr": 0.001}, "epsilon": 0.1},
}

# %%
# `monge.train` trains, measures and stores each run in a folder of its own.

runs = {}
for name, settings in methods.items():
    folder = f"runs/objectives-{name}"
    runs[name] = monge.train(name, "8gaussians", out=folder, fresh=True, **shared, **settings)

# %%
# Below each cloud is W₂² to held-out data over its floor, the W₂² of as many samples of the data
# itself: 1 is as good as it gets, up to chance. After so few steps this says which objective is
# quick, not which one is best in the end.

data = runs["gan"].data.held_out(1000)
figure, axes = plt.subplots(1, 5, figsize=(14, 3.5), layout="constrained")
for axis, (name, run) in zip(axes, runs.items(), strict=True):
    axis.scatter(*data.T, s=3, color="#9aa5b1", alpha=0.6, linewidths=0)
    axis.scatter(*run.sample(1000).T, s=3, color="#d1495b", alpha=0.7, linewidths=0)
    axis.set_title(name, loc="left")
    ratio, share = run.metrics["w2_squared"].ratio, run.metrics["share_within_3_sigma"].value
    axis.set_xlabel(f"W₂² = {ratio:.2f} × floor, {share:.0%} within 3σ")
    axis.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal", xticks=[], yticks=[])
plt.savefig("gan_objectives.png", dpi=110)
