"""
Four paths between two digits
=============================

A mixture of two pictures is a cross-fade. A mixture of their codes in an autoencoder is a new
picture, if the path stays where codes are. ACAI trains an autoencoder such that a critic cannot
tell decoded mixtures from data, and `monge.Interpolator` knows three paths: straight, along a great
circle, and along an optimal map, which preserves the distribution of the codes.
"""

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression

import monge
from monge.metrics import cross_fade

# %%
# ACAI on the 8×8 digits of scikit-learn, with codes of eight numbers. With ``steps`` the
# interpolator fits an optimal map from normal noise to the codes of the training data.

nets = {"kind": "mlp", "latent": 8, "width": 128}
critic = {"weight": 0.5, "critic_width": 64}
settings = {"steps": 1000, "every": 1000, "nets": nets, "interpolation": critic}
run = monge.train("acai", "digits", out="runs/digit-paths", fresh=True, **settings)
interpolator = monge.Interpolator.load(run.folder, steps=200)
modes, decode = ("cross-fade", "linear", "slerp", "transport"), run.model.autoencoder.decode_all


def path(a, b, n, mode):
    """Pictures (m, n, 1, 8, 8) from each of the pictures a (m, 1, 8, 8) to its partner in b."""
    if mode == "cross-fade":
        return cross_fade(a, b, n)
    codes = interpolator.path(*map(run.model.autoencoder.encode_all, (a, b)), n, mode)
    return decode(codes.flatten(0, 1)).unflatten(0, (len(a), n))


# %%
# No right answer exists half-way between two digits, but one can ask how sure a classifier is
# that it sees a digit: its largest probability, on average over 180 random pairs.

x, labels = run.data.labeled("train")
classifier = LogisticRegression(max_iter=300).fit(x.flatten(1), labels)
a, b = run.data.held_out(360).split(180)
middles = {mode: path(a, b, 3, mode)[:, 1] for mode in modes} | {"data": a}
sure = {k: classifier.predict_proba(v.flatten(1)).max(1).mean() for k, v in middles.items()}

# %%
# Cross-fades show two digits at once. The other paths pass through shapes that could be digits.

digits, labels = run.data.labeled("held_out")
figure, axes = plt.subplots(4, 3, figsize=(14, 4.8), layout="constrained")
for column, pair in zip(axes.T, ((3, 6), (9, 4), (0, 5)), strict=True):
    ends = [digits[labels == label][3:4] for label in pair]
    for axis, mode in zip(column, modes, strict=True):
        strip = path(*ends, 8, mode)[0, :, 0].permute(1, 0, 2).flatten(1)
        axis.imshow(strip, cmap="gray_r", vmin=-1, vmax=1, interpolation="bicubic")
        axis.set(xticks=[], yticks=[])
for axis, mode in zip(axes[:, 0], modes, strict=True):
    axis.set_title(f"{mode}: {sure[mode]:.0%} sure (of data: {sure['data']:.0%})", loc="left")
plt.savefig("digit_paths.png", dpi=110)
