r"""How far a set of piano rolls is from music, and the cross-fades that an interpolation has to
beat.

Piano rolls are classes (n, 4, frames) as in `monge.music.rolls`. Each figure is a 1-Wasserstein
distance of what is measured on a set and on held-out windows:

==================  ================================================================================
figure              of what, and its unit
==================  ================================================================================
``pitch_class``     the twelve shares of the pitch classes in a window, by duration, over P1, P2 and
                    TR; total variation
``onset_density``   notes struck per second in a window, voice by voice, the four distances
                    averaged; notes per second
``voice_leading``   size of the step from each note of a pitched voice to its next one; semitones
``silence``         share of a window's frames in which a voice rests, voice by voice, averaged; a
                    share
==================  ================================================================================

``pitch_class`` is a distance between distributions *of histograms* and not between two histograms
pooled over all windows: the pooled one of a cross-fade is by construction the data's own, however
two keys at once may sound. In single windows it shows.
"""

from __future__ import annotations

import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from monge import ot
from monge.rng import rng

from .rolls import LOWEST

FIGURES = {
    "pitch_class": "pitch classes, distance to music",
    "onset_density": "notes a second, distance to music",
    "voice_leading": "steps in semitones, distance to music",
    "silence": "silence, distance to music",
}
_PITCHED = 3  # P1, P2 and TR come first


def note_accuracy(piano_rolls: Tensor, truth: Tensor) -> tuple[float, float]:
    """Share of (voice, frame) cells with the true class, of all cells and of those in which
    something sounds.

    >>> note_accuracy(torch.tensor([[[0, 5, 5, 6]]]), torch.tensor([[[0, 5, 6, 6]]]))
    (0.75, 0.6666666865348816)
    """
    equal, sounding = piano_rolls == truth, truth > 0
    return equal.float().mean().item(), equal[sounding].float().mean().item()


def piano_roll_distances(piano_rolls: Tensor, held_out: Tensor, rate: float) -> dict[str, float]:
    """Every figure of the table above, of piano rolls to held-out ones, at ``rate`` frames a
    second; NaN where there is no note.

    >>> slow, fast = (torch.arange(5, 17)[torch.arange(24) // n].repeat(5, 4, 1) for n in (4, 2))
    >>> {name: round(value, 2) for name, value in piano_roll_distances(slow, fast, rate=24).items()}
    {'pitch_class': 0.5, 'onset_density': 6.26, 'voice_leading': 0.0, 'silence': 0.0}
    """
    return {
        "pitch_class": _between_histograms(pitch_classes(piano_rolls), pitch_classes(held_out)),
        "onset_density": _voice_by_voice(
            onset_density(piano_rolls, rate), onset_density(held_out, rate)
        ),
        "voice_leading": _between_numbers(steps(piano_rolls), steps(held_out)),
        "silence": _voice_by_voice(silence(piano_rolls), silence(held_out)),
    }


def pitch_classes(piano_rolls: Tensor) -> Tensor:
    """Shares of the twelve pitch classes from C on, (m, 12), of the m windows in which a pitch
    sounds.

    >>> pitch_classes(torch.tensor([[[49, 49], [0, 40], [0, 0], [3, 3]]]))[0, [0, 9]]  # A twice and C once
    tensor([0.3333, 0.6667])
    """
    pitched = piano_rolls[:, :_PITCHED].flatten(1).long()
    sounding = (pitched > 0).float()
    counts = torch.zeros(len(piano_rolls), 12).scatter_add_(
        1, (pitched + LOWEST - 1) % 12, sounding
    )
    total = counts.sum(1, keepdim=True)
    return (counts / total)[total[:, 0] > 0]


def onsets(piano_rolls: Tensor) -> Tensor:
    """Where a note is struck: a class that is not silence and was not there a frame before; (n,
    voices, frames), bool.

    >>> onsets(torch.tensor([[[5, 5, 0, 5, 6]]])).int().tolist()
    [[[1, 0, 0, 1, 1]]]
    """
    before = torch.nn.functional.pad(piano_rolls[..., :-1], (1, 0))
    return (piano_rolls != before) & (piano_rolls > 0)


def onset_density(piano_rolls: Tensor, rate: float) -> Tensor:
    """Notes struck per second, (n, voices); those that sound from the first frame on are not
    counted.
    """
    return onsets(piano_rolls)[..., 1:].sum(2).double() * (rate / max(1, piano_rolls.shape[2] - 1))


def steps(piano_rolls: Tensor) -> Tensor:
    """Sizes in semitones of the steps from note to note within P1, P2 and TR, over all windows,
    (m,); rests are passed over.

    >>> steps(torch.tensor([[[40, 40, 0, 47], [0, 0, 0, 0], [8, 6, 6, 6]]])).tolist()
    [7, 2]
    """
    pitched = piano_rolls[:, :_PITCHED].long()
    # in the order of time within each voice
    window, voice, frame = onsets(pitched).nonzero(as_tuple=True)
    pitch, line = pitched[window, voice, frame], window * _PITCHED + voice
    return (pitch[1:] - pitch[:-1]).abs()[line[1:] == line[:-1]]


def silence(piano_rolls: Tensor) -> Tensor:
    """Share of the frames in which a voice rests, (n, voices)."""
    return (piano_rolls == 0).double().mean(2)


def coin_fade(a: Tensor, b: Tensor, seed: int = 0, weight: float = 0.5) -> Tensor:
    """Linear cross-fade of two piano rolls, made piano rolls again by chance: each cell is b's with
    probability ``weight``, else a's.

    In the mean over coins this is the mixture of the rolls, (1 − t) a + t b.

    >>> torch.equal(coin_fade(torch.zeros(1, 4, 8), torch.ones(1, 4, 8), weight=0.0), torch.zeros(1, 4, 8))
    True
    """
    return torch.where(torch.rand(a.shape, generator=rng(seed)) < weight, b, a)


def latest_fade(a: Tensor, b: Tensor, seed: int = 0) -> Tensor:
    """Both rolls at half loudness, for voices that play one note at a time: the one struck last,
    and when it ends the other.

    Notes struck in the same frame are chosen between by a coin for each window and voice.

    >>> latest_fade(torch.tensor([[[5, 5, 5, 5]]]), torch.tensor([[[0, 7, 0, 0]]])).tolist()
    [[[5, 7, 5, 5]]]
    """
    coin = torch.rand(*a.shape[:2], 1, generator=rng(seed)) < 0.5
    since = [_struck(piano_rolls) for piano_rolls in (a, b)]
    return torch.where((since[1] > since[0]) | ((since[1] == since[0]) & coin), b, a)


def _struck(piano_rolls: Tensor) -> Tensor:
    """The frame in which what sounds was struck, −1 in silence."""
    frames = torch.arange(piano_rolls.shape[2]).expand(piano_rolls.shape)
    return torch.where(
        piano_rolls > 0, torch.where(onsets(piano_rolls), frames, -1).cummax(2).values, -1
    )


def _between_histograms(x: Tensor, y: Tensor) -> float:
    """Exact W₁ between two sets of histograms under total variation, half the L1 distance; of equal
    numbers of each.
    """
    n = min(len(x), len(y))
    if not n:
        return float("nan")
    cost = torch.cdist(x[:n].double(), y[:n].double(), p=1) / 2
    return (ot.transport(cost) * cost).sum().item()


def _voice_by_voice(x: Tensor, y: Tensor) -> float:
    return sum(_between_numbers(a, b) for a, b in zip(x.T, y.T, strict=True)) / x.shape[1]


def _between_numbers(x: Tensor, y: Tensor) -> float:
    """W₁ on the line."""
    return float(wasserstein_distance(x.numpy(), y.numpy())) if len(x) and len(y) else float("nan")
