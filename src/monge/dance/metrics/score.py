r"""How far generated dances are from real ones, and whether they keep the beat, the feet on the
floor and the bones their length.

    Onuma, Faloutsos & Hodgins, "FMDistance", Eurographics 2008 [onuma2008]
    Müller, Röder & Clausen, "Efficient content-based retrieval of motion capture data", ACM ToG
        2005 [muller2005]
    Li, Yang, Ross & Kanazawa, "AI choreographer: music conditioned 3D dance generation with
        AIST++", ICCV 2021 [li2021]
    Siyao et al., "Bailando: 3D dance generation by actor-critic GPT with choreographic memory",
        CVPR 2022 [siyao2022]
    Lee et al., "Dancing to music", NeurIPS 2019 [lee2019]

Features are those of windows of equal length, `kinetic_features` or `geometric_features`, and
z-scored: minus the mean and divided by the standard deviation over real dances, a set that is the
same for all figures of a table. A feature that hardly varies among real dances would count without
bound, so a standard deviation is at least 0.01 (geometric: one frame in a hundred) or 10⁻⁶
(kinetic: m²/s², m/s²); published evaluators add 10⁻¹⁰. Figures depend on the windows' length and
number, on the rate and on the joints: compare those that share all.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Literal

import torch
from torch import Tensor

from monge.dance.motion.skeleton import Skeleton
from monge.metrics import Measured
from monge.metrics.features import frechet

from .beats import beat_alignment, beat_alignment_of, motion_beats, within
from .features import kinetic_features, windows
from .physics import bone_length_error, jerk, physical_foot_contact, skating
from .relations import geometric_features

__all__ = [
    "Kind",
    "beat_alignment_of",
    "bone_length_error",
    "diversity",
    "frechet_dance",
    "jerk",
    "motion_beats",
    "skating",
]

Kind = Literal["kinetic", "geometric"]
_LEAST = {"kinetic": 1e-6, "geometric": 1e-2}  # of a standard deviation


def frechet_dance(
    made: Tensor,
    real: Tensor,
    reference: Tensor | None = None,
    *,
    kind: Kind,
    skeleton: Skeleton,
    rate: float,
) -> Measured:
    """Fréchet distance between the z-scored features of windows of made and of real dances, with
    its floor.

    Source: [li2021] with the z-scores of [siyao2022]. A few windows make covariances of low rank
    and a distance that is too long: with 3J kinetic features have some hundreds.

    Raises ValueError for fewer than two windows of a set (four of ``real`` without reference),
    another kind, and what the features raise.

    Parameters
    ----------
    made, real : Tensor (n, T, J, 3), (m, T, J, 3)
        Windows of dances in meters, see `windows`; real ones are best of songs that the maker
        hasn't learnt from.
    reference : Tensor (k, T, J, 3), optional
        Other real windows, those learnt from. Their statistics give the z-scores (those of ``real``
        without them).
    kind : "kinetic" or "geometric"
    skeleton : Skeleton
    rate : float
        Frames per second.

    Returns
    -------
    Measured
        The distance, without unit, and that of real dances: of as many windows of ``reference``,
        evenly spaced, as there are made ones (of all if there are fewer) to ``real``; without
        reference, of one half of ``real`` to the other.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> x = rest(MELODY) + 0.1 * torch.randn(12, 20, 23, 3, generator=torch.Generator().manual_seed(0))
    >>> found = frechet_dance(2 * x, x, kind="kinetic", skeleton=MELODY, rate=25.0)
    >>> found.ratio > 5
    True
    """
    features = _Features(real if reference is None else reference, kind, skeleton, rate)
    y = features(real)
    if reference is None:
        if len(y) < 4:
            raise ValueError(
                "real must hold at least 4 windows to have a floor without a reference, got "
                f"{len(y)}"
            )
        halves = y[: len(y) // 2], y[len(y) // 2 :]
    else:
        halves = _spread(features.reference, len(made)), y
    return Measured(frechet(features(made), y), frechet(*halves))


def diversity(made: Tensor, real: Tensor, *, kind: Kind, skeleton: Skeleton, rate: float) -> float:
    r"""Mean distance between the features of any two windows of made dances, z-scored by those of
    real ones.

    .. math:: \frac{2}{n(n-1)} \sum_{i<j} \lVert f_i - f_j \rVert

    The best is that of the real dances; a motion that trembles has more. Shapes as in
    `frechet_dance`; ValueError for fewer than two windows. Source: [li2021].

    >>> from monge.dance.motion import MELODY, rest
    >>> x = rest(MELODY) + 0.1 * torch.randn(6, 20, 23, 3, generator=torch.Generator().manual_seed(0))
    >>> diversity(x[:1].expand_as(x), x, kind="kinetic", skeleton=MELODY, rate=25.0)
    0.0
    """
    return _mean_distance(_Features(real, kind, skeleton, rate)(made))


def multi_modality(
    made: Tensor, real: Tensor, *, kind: Kind, skeleton: Skeleton, rate: float
) -> float:
    r"""Mean distance between the features of two dances to the same music, z-scored by those of
    real windows.

    .. math:: \frac1S \sum_{s=1}^S \frac{2}{k(k-1)} \sum_{i<j} \lVert f_{s,i} - f_{s,j} \rVert

    0 is a dance that depends on the music alone. Source: [lee2019], with the features of [li2021].

    Parameters
    ----------
    made : Tensor (S, k, T, J, 3)
        For each of S pieces of music k ≥ 2 dances.
    real : Tensor (m, T, J, 3)
        m ≥ 2 windows of real dances.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> x = rest(MELODY) + 0.1 * torch.randn(6, 20, 23, 3, generator=torch.Generator().manual_seed(0))
    >>> multi_modality(x[:, None].expand(6, 3, 20, 23, 3), x, kind="geometric", skeleton=MELODY, rate=25.0)
    0.0
    """
    if made.ndim != 5:
        raise ValueError(
            f"made must be (songs, dances, frames, joints, 3), got {tuple(made.shape)}"
        )
    features = _Features(real, kind, skeleton, rate)
    distances = [_mean_distance(features(song)) for song in made]
    return sum(distances) / len(distances)


def measure_dances(
    made: Sequence[Tensor],
    held_out: Sequence[Tensor],
    train: Sequence[Tensor],
    beats: Sequence[Tensor],
    skeleton: Skeleton,
    rate: float,
    frames: int = 100,
) -> dict[str, float]:
    """All figures of a table for whole dances (T, J, 3), one made for each song.

    Raises ValueError for no dances, as many beats as there are no dances, a dance shorter than a
    window, and what the figures raise.

    Parameters
    ----------
    made : sequence of Tensor (T, J, 3)
        Meters, y up, at least ``frames`` frames each.
    held_out, train : sequence of Tensor
        Real dances to songs not learnt from, and learnt from: the z-scores are those of ``train``,
        and so is the floor.
    beats : sequence of Tensor (m,)
        Of the music of each made dance, frames.
    skeleton : Skeleton
    rate : float
        Frames per second.
    frames : int
        Length of the disjoint windows for the features and the foot contact.

    Returns
    -------
    dict
        ``frechet_kinetic``, ``frechet_geometric`` and their ``…_floor``; ``diversity_kinetic``,
        ``diversity_geometric``; ``beat_alignment``, a mean over songs that have beats;
        ``motion_beats_per_second``; ``foot_contact`` (m²/s², see `physical_foot_contact`);
        ``bone_length_error``, the largest; ``jerk`` (m/s³); ``skating`` (m/s).

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> g = torch.Generator().manual_seed(0)
    >>> dances = [rest(MELODY) + 0.1 * torch.randn(90, 23, 3, generator=g) for _ in range(3)]
    >>> beats = [torch.arange(0.0, 90.0, 12.0)] * 3
    >>> figures = measure_dances(dances, dances, dances, beats, MELODY, rate=25.0, frames=30)
    >>> abs(figures["frechet_kinetic"]) < 1e-3, len(figures)
    (True, 12)
    """
    if not made or len(made) != len(beats):
        raise ValueError(
            f"made and beats must be as many, at least one, got {len(made)} dances and "
            f"{len(beats)} beats"
        )
    pieces, real, learnt = (
        torch.cat([windows(dance.double(), frames) for dance in set_])
        for set_ in (made, held_out, train)
    )
    figures: dict[str, float] = {}
    for kind in ("kinetic", "geometric"):
        features = _Features(learnt, kind, skeleton, rate)
        x, y = features(pieces), features(real)
        figures[f"frechet_{kind}"] = frechet(x, y)
        figures[f"frechet_{kind}_floor"] = frechet(_spread(features.reference, len(x)), y)
        figures[f"diversity_{kind}"] = _mean_distance(x)
    found = [motion_beats(dance, rate) for dance in made]
    scores = [
        beat_alignment(within(music, dance), mine)
        for dance, music, mine in zip(made, beats, found, strict=True)
    ]
    scores = [score for score in scores if not isnan(score)]
    duration = sum(len(dance) for dance in made) / rate
    return figures | {
        "beat_alignment": sum(scores) / len(scores) if scores else nan,
        "motion_beats_per_second": sum(len(mine) for mine in found) / duration,
        "foot_contact": physical_foot_contact(pieces, skeleton, rate).mean().item(),
        "bone_length_error": max(bone_length_error(dance, skeleton).item() for dance in made),
        "jerk": jerk(pieces, rate).mean().item(),
        "skating": sum(skating(dance, skeleton, rate).item() * len(dance) for dance in made)
        / (duration * rate),
    }


class _Features:
    """Features z-scored by the statistics of real windows, in float64."""

    def __init__(self, real: Tensor, kind: Kind, skeleton: Skeleton, rate: float) -> None:
        if kind not in _LEAST:
            raise ValueError(f"kind must be 'kinetic' or 'geometric', got {kind!r}")
        self._of = (kind, skeleton, rate)
        raw = self._raw(real)
        self._mean, self._std = raw.mean(0), raw.std(0).clamp_min(_LEAST[kind])
        self.reference = (raw - self._mean) / self._std

    def __call__(self, made: Tensor) -> Tensor:
        return (self._raw(made) - self._mean) / self._std

    def _raw(self, motions: Tensor) -> Tensor:
        kind, skeleton, rate = self._of
        if motions.ndim != 4 or len(motions) < 2:
            raise ValueError(
                "expected at least 2 windows (n, frames, joints, 3) of dances, got "
                f"{tuple(motions.shape)}"
            )
        skeleton.check(motions)
        x = motions.detach().double()
        return (
            kinetic_features(x, rate)
            if kind == "kinetic"
            else geometric_features(x, skeleton, rate)
        )


def _spread(features: Tensor, n: int) -> Tensor:
    """n of the rows, evenly spaced, or all if there are fewer: songs follow each other, and no
    style may be left out.
    """
    return features[torch.arange(n) * len(features) // n] if n < len(features) else features


def _mean_distance(features: Tensor) -> float:
    return torch.pdist(features).mean().item()
