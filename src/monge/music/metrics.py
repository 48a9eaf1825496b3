r"""Distances of a set of piano rolls to music, and cross-fades as baselines of an interpolation.

Piano rolls are classes (n, 4, frames) as in `monge.music.rolls`. Each metric is the 1-Wasserstein
distance between the distributions of a quantity on the set and on held-out windows:

=================  =================================================================================
metric             quantity; unit
=================  =================================================================================
``pitch_class``    the twelve shares of the pitch classes in a window, by duration, over P1, P2 and
                   TR; total variation
``onset_density``  notes struck per second in a window, mean of the distances of the four voices;
                   notes per second
``voice_leading``  size of the step from each note of a pitched voice to its next one; semitones
``silence``        share of a window's frames in which a voice rests, mean of the distances of the
                   four voices; a share
=================  =================================================================================

``pitch_class`` is a distance between distributions *of histograms*, not between two histograms
pooled over all windows: the pooled histogram of a cross-fade is by construction that of the data,
although its windows have two keys at once. The histograms of single windows show this.
"""

from __future__ import annotations

import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from monge import ot
from monge.rng import rng

from .rolls import LOWEST

TITLES = {
    "pitch_class": "pitch classes, distance to music",
    "onset_density": "notes a second, distance to music",
    "voice_leading": "steps in semitones, distance to music",
    "silence": "silence, distance to music",
}
_PITCHED = 3  # P1, P2 and TR come first


def note_accuracy(piano_rolls: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the share of (voice, frame) cells with the true class.

    The first result is over all cells, the second over those in which a note sounds.

    >>> note_accuracy(torch.tensor([[[0, 5, 5, 6]]]), torch.tensor([[[0, 5, 6, 6]]]))
    (0.75, 0.6666666865348816)
    """
    equal, sounding = piano_rolls == truth, truth > 0
    return equal.float().mean().item(), equal[sounding].float().mean().item()


def piano_roll_distances(piano_rolls: Tensor, held_out: Tensor, rate: float) -> dict[str, float]:
    """Return every metric of the table above, at ``rate`` frames per second.

    A metric without notes to compare is NaN.

    >>> slow, fast = (torch.arange(5, 17)[torch.arange(24) // n].repeat(5, 4, 1) for n in (4, 2))
    >>> {name: round(value, 2) for name, value in piano_roll_distances(slow, fast, rate=24).items()}
    {'pitch_class': 0.5, 'onset_density': 6.26, 'voice_leading': 0.0, 'silence': 0.0}
    """
    densities = [onset_density(rolls, rate) for rolls in (piano_rolls, held_out)]
    return {
        "pitch_class": _between_histograms(pitch_classes(piano_rolls), pitch_classes(held_out)),
        "onset_density": _voice_by_voice(*densities),
        "voice_leading": _between_numbers(steps(piano_rolls), steps(held_out)),
        "silence": _voice_by_voice(silence(piano_rolls), silence(held_out)),
    }


def pitch_classes(piano_rolls: Tensor) -> Tensor:
    """Return the shares of the twelve pitch classes from C on, (m, 12).

    Only the m windows in which a pitch sounds count.

    >>> rolls = torch.tensor([[[49, 49], [0, 40], [0, 0], [3, 3]]])  # A twice and C once
    >>> pitch_classes(rolls)[0, [0, 9]]
    tensor([0.3333, 0.6667])
    """
    pitched = piano_rolls[:, :_PITCHED].flatten(1).long()
    sounding = (pitched > 0).float()
    counts = torch.zeros(len(piano_rolls), 12)
    counts.scatter_add_(1, (pitched + LOWEST - 1) % 12, sounding)
    total = counts.sum(1, keepdim=True)
    return (counts / total)[total[:, 0] > 0]


def onsets(piano_rolls: Tensor) -> Tensor:
    """Return where a note is struck, bool (n, voices, frames).

    The class there is not silence, and differs from the class of the frame before.

    >>> onsets(torch.tensor([[[5, 5, 0, 5, 6]]])).int().tolist()
    [[[1, 0, 0, 1, 1]]]
    """
    before = torch.nn.functional.pad(piano_rolls[..., :-1], (1, 0))
    return (piano_rolls != before) & (piano_rolls > 0)


def onset_density(piano_rolls: Tensor, rate: float) -> Tensor:
    """Return the notes struck per second, (n, voices), without those struck in the first frame."""
    return onsets(piano_rolls)[..., 1:].sum(2).double() * (rate / max(1, piano_rolls.shape[2] - 1))


def steps(piano_rolls: Tensor) -> Tensor:
    """Return the sizes (m,), in semitones, of the steps from note to note within P1, P2 and TR.

    They are those of all windows; rests are skipped.

    >>> steps(torch.tensor([[[40, 40, 0, 47], [0, 0, 0, 0], [8, 6, 6, 6]]])).tolist()
    [7, 2]
    """
    pitched = piano_rolls[:, :_PITCHED].long()
    # sorted by window, voice and time
    window, voice, frame = onsets(pitched).nonzero(as_tuple=True)
    pitch, line = pitched[window, voice, frame], window * _PITCHED + voice
    return (pitch[1:] - pitch[:-1]).abs()[line[1:] == line[:-1]]


def silence(piano_rolls: Tensor) -> Tensor:
    """Return the share of the frames in which a voice rests, (n, voices)."""
    return (piano_rolls == 0).double().mean(2)


def coin_fade(a: Tensor, b: Tensor, seed: int = 0, weight: float = 0.5) -> Tensor:
    """Cross-fade two piano rolls at random: each cell is b's with probability ``weight``, else a's.

    The expected one-hot roll is the linear cross-fade (1 − t) a + t b at t = ``weight``.

    >>> a, b = torch.zeros(1, 4, 8), torch.ones(1, 4, 8)
    >>> torch.equal(coin_fade(a, b, weight=0.0), a)
    True
    """
    return torch.where(torch.rand(a.shape, generator=rng(seed)) < weight, b, a)


def latest_fade(a: Tensor, b: Tensor, seed: int = 0) -> Tensor:
    """Cross-fade two piano rolls: of two notes at once, the one struck last sounds.

    This is a mixture at equal loudness for voices that play one note at a time; when the later note
    ends, the other one sounds again. A coin for each window and voice decides between notes struck
    in the same frame.

    >>> latest_fade(torch.tensor([[[5, 5, 5, 5]]]), torch.tensor([[[0, 7, 0, 0]]])).tolist()
    [[[5, 7, 5, 5]]]
    """
    coin = torch.rand(*a.shape[:2], 1, generator=rng(seed)) < 0.5
    first, second = _struck(a), _struck(b)
    return torch.where((second > first) | ((second == first) & coin), b, a)


def _struck(piano_rolls: Tensor) -> Tensor:
    """Return the frame in which the sounding note was struck, −1 in silence."""
    frames = torch.arange(piano_rolls.shape[2]).expand(piano_rolls.shape)
    latest = torch.where(onsets(piano_rolls), frames, -1).cummax(2).values
    return torch.where(piano_rolls > 0, latest, -1)


def _between_histograms(x: Tensor, y: Tensor) -> float:
    """Return the exact W₁ between equal numbers of histograms under total variation, half of L1."""
    n = min(len(x), len(y))
    if not n:
        return float("nan")
    cost = torch.cdist(x[:n].double(), y[:n].double(), p=1) / 2
    return (ot.transport(cost) * cost).sum().item()


def _voice_by_voice(x: Tensor, y: Tensor) -> float:
    """Return the mean over voices of W₁ between numbers (n, voices)."""
    return sum(_between_numbers(a, b) for a, b in zip(x.T, y.T, strict=True)) / x.shape[1]


def _between_numbers(x: Tensor, y: Tensor) -> float:
    """Return W₁ between two sets of numbers, NaN if one is empty."""
    return float(wasserstein_distance(x.numpy(), y.numpy())) if len(x) and len(y) else float("nan")
