"""
A wallpaper from a corner of a photograph
=========================================

Two pictures have the same texture if their small patches have the same distribution, at several
scales. `monge.TextureSynthesizer` begins with noise and moves its patches onto those of an exemplar
by semi-discrete optimal transport. With ``tile`` the result continues at its opposite side.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_image

import monge
from monge.images.texture.copying import copying
from monge.images.texture.origins import origin_colors
from monge.methods.texture import Config

# %%
# The exemplar is a part of the dahlia that comes with scikit-learn. Fewer steps and patches than
# usual keep this short.

exemplar = load_sample_image("flower.jpg")[180:308, 190:318]
config = Config(steps=20, targets=1500, batch=4096)
synthesizer = monge.TextureSynthesizer(tile=True, seed=3, config=config)
wall = synthesizer.fit(exemplar).make((128, 192)).colors

# %%
# Is it a new picture, or a collage? For each place the nearest patch of the exemplar is looked up,
# and a color stands for its position there. A large area with the gradient of the key is a copy.


def channels(picture):
    return torch.from_numpy(picture / 255).float().permute(2, 0, 1)


copies = copying(channels(wall), channels(exemplar))
rows, columns = copies.nearest
origins = origin_colors(rows * 128 + columns, (128, 128))
key = origin_colors(torch.arange(128 * 128).reshape(128, 128), (128, 128))

# %%
# Laid out twice in both directions, the picture shows no seam.

panels = {
    "A": ("exemplar", exemplar),
    "B": ("synthesized", wall),
    "C": ("key", key),
    "D": (f"nearest patches, {copies.score:.0%} in copies", origins),
    "E": ("laid out 2×2", np.tile(wall, (2, 2, 1))),
}
look = {"figsize": (14, 5.3), "width_ratios": [2, 3, 6.3], "layout": "constrained"}
figure, axes = plt.subplot_mosaic("ABE;CDE", **look)
for name, (title, picture) in panels.items():
    axes[name].imshow(picture)
    axes[name].set_title(title, loc="left", fontsize=11)
    axes[name].axis("off")
plt.savefig("texture.png", dpi=110)
