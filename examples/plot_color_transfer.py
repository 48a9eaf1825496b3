"""
A pavilion in the colors of a dahlia
====================================

The colors of a picture are a cloud of points in the cube of red, green and blue.
`monge.ColorTransfer` moves the cloud of one picture onto that of another by the optimal map, which
changes each color as little as possible and never reverses a gradient. The usual shortcut is the
affine map between two Gaussians: it matches mean and covariance only.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import monge
from monge.images.color.transfer import palette_distance

# %%
# Two pictures that come with scikit-learn, at half size. Paths of files are accepted as well.

source, palette = (load_sample_image(name)[::2, ::2] for name in ("china.jpg", "flower.jpg"))

# %%
# "gaussian" is a formula; "w2" trains a convex network, and the map is its gradient. ``smooth``
# keeps it from magnifying the noise of flat regions such as the sky.

results = {}
for method in ("gaussian", "w2"):
    transfer = monge.ColorTransfer(method=method, smooth=12, steps=400).fit(source, palette)
    results[method] = transfer.transform(source)

# %%
# The palette has two groups of colors, so the full map has to tear the sky in two. ``strength``
# leaves a share of the way out.

transfer.strength = 0.6
results["w2, strength 0.6"] = transfer.transform(source)

# %%
# Percentages are what is left of the distance between the two clouds, a sliced W₂. The clouds are
# below the pictures, that of the palette in gray: the Gaussian map does not find its shape.


def distance(picture):
    return palette_distance(picture, palette, samples=10_000, n_projections=128)


pictures = {"source": source, "palette": palette} | results
figure, axes = plt.subplots(2, 5, figsize=(15, 4.9), layout="constrained", height_ratios=[2, 3])
for (name, picture), (above, below) in zip(pictures.items(), axes.T, strict=True):
    left = f": {distance(picture) / distance(source):.0%} of W₂ left"
    above.imshow(picture)
    above.set_title(name + left * (name in results), loc="left", fontsize=11)
    above.axis("off")
    few, gray = (image[::4, ::4].reshape(-1, 3) / 255 for image in (picture, palette))
    for (red, green, blue), color in ((gray.T, "#c5ccd3"), (few.T, few)):
        below.scatter(red - green, (red + green) / 2 - blue, s=2, c=color, linewidths=0)
    below.set(xlim=(-0.6, 1), ylim=(-0.5, 0.8), aspect="equal", xticks=[], yticks=[])
axes[1, 0].set(xlabel="green – red", ylabel="blue – yellow")
plt.savefig("color_transfer.png", dpi=110)
