"""
A path from one melody to another
=================================

An autoencoder turns two bars of music into 32 numbers. A path between two such codes is decoded to
music in between, which keeps to one scale better than a cross-fade of the piano rolls does. The
melodies are made up; the path can be heard in the sound file that is written, melody_paths.wav.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import monge
from monge.methods import acai
from monge.music import chip, metrics, nesmdb, rolls

# %%
# A song has two voices and a bass in one pentatonic scale, and a drum. Key and tune are random.

scale, songs, rng = np.array([0, 2, 4, 7, 9]), [], np.random.default_rng(0)
for _ in range(2000):
    tones = 36 + rng.integers(12) + (12 * np.arange(5)[:, None] + scale).ravel()
    length = rng.choice([2, 4])
    tune = rng.integers(9, 13) + np.cumsum(rng.choice([-2, -1, 1, 2], 16 // length))
    high, low = (tones[np.tile(np.clip(tune - k, 5, 24), 2)].repeat(length) for k in (0, 3))
    voices = [high, low, tones[[0, 3, 2, 0]].repeat(8), np.tile([2, 0, 9, 0], 8)]
    songs.append(rolls.to_classes(np.stack(voices, 1)))
data = nesmdb.from_songs(songs, size=32, rate=8)

# %%
# ACAI without its critic is the plain autoencoder. Each ``step`` of a method is one update.

nets = {"kind": "sequence", "latent": 32, "width": 16}
config = acai.Config(batch=32, adam={"lr": 0.008}, nets=nets, interpolation={"weight": 0})
torch.manual_seed(0)
method = acai.build(config, data.shape)
for inputs in monge.data.iterate(data, steps=800):
    method.step(inputs)

# %%
# 100 paths between held-out songs, and cross-fades, which take each note from one of the two. The
# titles say how many notes fit into one scale half-way. The ends of a path are reconstructions.

between, pairs = monge.Interpolator(method), data.held_out(200).unflatten(0, (2, 100))
path = torch.stack([rolls.most_likely(between.interpolate(*p, 5)) for p in pairs.unbind(1)])
ends = [rolls.most_likely(x) for x in pairs]
fade = torch.stack([metrics.coin_fade(*ends, 0, t / 4) for t in range(5)], 1)
chip.write_wav("melody_paths.wav", chip.render(path[2].mT.flatten(0, 1), rate=8))
scales = torch.tensor([[float((n - key) % 12 in scale) for key in range(12)] for n in range(12)])
_, axes = plt.subplots(2, 5, figsize=(14, 5), layout="constrained", sharex=True, sharey=True)
for row, (name, music) in zip(axes, (("path of codes", path), ("cross-fade", fade)), strict=True):
    fitting = (metrics.pitch_classes(music[:, 2]) @ scales).amax(1).mean()
    row[0].set_title(f"{name}: {fitting:.0%} of the notes in one scale", loc="left")
    for axis, roll in zip(row, music[2].numpy(), strict=True):
        for voice, color in zip(roll, ("#d1495b", "#33658a", "#3a7d44"), strict=False):
            start, end, note = np.array(rolls.runs(voice)).T
            axis.hlines(note + 20, start / 8, end / 8, color=color, linewidth=4)
axes[1, 0].set(xlabel="seconds", ylabel="MIDI pitch")
plt.savefig("melody_paths.png", dpi=110)
