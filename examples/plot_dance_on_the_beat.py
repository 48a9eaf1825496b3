"""
Retiming a dance to the beat of a song
======================================

A dance keeps the beat if the body slows down where the music has its beats. ``beat_warp`` moves the
beats of a dance onto those of the music and stretches what lies between, by a quarter at most; the
dances of `monge.Dancer` go through it. Here song and dance are made up, without a network.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from monge.dance import audio, metrics, motion, plots
from monge.dance.motion import MELODY

# %%
# A song of 12 seconds, 96 beats a minute: a bass drum on each beat, a hi-hat between two. Its beats
# are found from its sound, as those of any song, and measured in frames of the dance.

rate, seconds, period = 25, 12, 60 / 96
t = np.arange(seconds * audio.RATE) / audio.RATE
drum = np.sin(340 * (t % period) * np.exp(-8 * (t % period))) * np.exp(-18 * (t % period))
hiss = np.random.default_rng(0).normal(size=len(t)) * np.exp(-60 * ((t + period / 2) % period))
onset = audio.onset(audio.mel(torch.from_numpy(drum + 0.3 * hiss)))
beats = audio.beats(onset, rate)

# %%
# A body that sways: legs lean to one side, the trunk to the other, and the arms wave. It turns back
# every 0.66 seconds, now a little sooner, now later.

frame = torch.arange(seconds * rate) / rate
sway = torch.sin(torch.pi / 0.66 * (frame + 0.1 * torch.sin(1.3 * frame)))
parts = {"knee": 0.16, "ankle": 0.16, "neck": -0.12, "elbow": 0.8, "forearm": 1.2, "wrist": 1.6}
weights = torch.tensor([parts.get(MELODY.joints[j].split()[-1], 0.0) for j in MELODY.bones])
turns = motion.exp(torch.stack([0 * sway, 0 * sway, sway], 1)[:, None] * weights[:, None])
body = motion.rest(MELODY)
bones = (turns @ motion.directions(body, MELODY)[..., None]).squeeze(-1)
hips = body[MELODY.root] + torch.stack([-0.15 * sway, 0 * sway, 0 * sway], 1)
dance = motion.place(bones, hips, MELODY)

# %%
# The poses are those at eight beats in a row: before, the body is anywhere; after, it turns back at
# the far left or right. Two turns near 7 seconds miss the beat: a quarter is not enough.

own = metrics.motion_beats(dance, rate, seconds=1 / 12)
dances = {"before": dance, "after": motion.beat_warp(dance, own, beats, MELODY)}
heights = {"height_ratios": [5, 2, 5, 2], "layout": "constrained"}
figure, axes = plt.subplots(4, 1, figsize=(11, 8.5), **heights)
begin, end = round((beats[2] - 8).item()), round((beats[10] - 8).item())
for (name, moves), (above, below) in zip(dances.items(), axes.reshape(2, 2), strict=True):
    score = metrics.beat_alignment_of(moves, beats, rate, seconds=1 / 12)
    above.imshow(plots.dance_strip(moves[begin:end], MELODY, rate, width=200)[:300])
    above.set_title(f"{name}: beat alignment {score:.2f}", loc="left")
    above.axis("off")
    below.plot(frame[1:] - 0.5 / rate, moves.diff(dim=0).norm(dim=2).mean(1) * rate)
    below.vlines(beats / rate, 0, 1, color="#d1495b", linewidth=1.5)
    below.set(xlim=(0, seconds), ylabel="speed, m/s")
below.set_xlabel("seconds; the beats of the song in red")
plt.savefig("dance_on_the_beat.png", dpi=110)
