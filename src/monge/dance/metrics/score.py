r"""Distances between generated and real dances, diversity, and all metrics of a set of dances.

    Onuma, Faloutsos & Hodgins, "FMDistance", Eurographics 2008   [onuma2008]
    Müller, Röder & Clausen, "Efficient content-based retrieval of motion capture data", ACM ToG
        2005   [muller2005]
    Li, Yang, Ross & Kanazawa, "AI choreographer: music conditioned 3D dance generation with
        AIST++", ICCV 2021   [li2021]
    Siyao et al., "Bailando: 3D dance generation by actor-critic GPT with choreographic memory",
        CVPR 2022   [siyao2022]
    Lee et al., "Dancing to music", NeurIPS 2019   [lee2019]

The features, `kinetic_features` or `geometric_features`, are those of windows of equal length. They
are z-scored: minus the mean, divided by the standard deviation over real dances, which must be the
same set for all values of a table. A feature that hardly varies among real dances would have an
unbounded weight, so standard deviations are clamped to at least 0.01 (geometric: one frame in a
hundred) or 10⁻⁶ (kinetic: m²/s², m/s²); published evaluators add 10⁻¹⁰. The metrics depend on the
length and number of the windows, on the rate and on the joints: compare only values for which these
are equal.
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
_LEAST = {"kinetic": 1e-6, "geometric": 1e-2}  # minimum standard deviation


def frechet_dance(
    generated: Tensor,
    real: Tensor,
    reference: Tensor | None = None,
    *,
    kind: Kind,
    skeleton: Skeleton,
    rate: float,
) -> Measured:
    """Compute the Fréchet distance between z-scored features of generated and real dances.

    The features are those of windows. The result has a floor.

    Source: [li2021] with the z-scores of [siyao2022]. Few windows give covariances of low rank and
    overestimate the distance: the 3J kinetic features need some hundreds of windows.

    Raises ValueError for fewer than two windows of a set (four of ``real`` without reference),
    another kind, and the errors of the features.

    Parameters
    ----------
    generated, real : Tensor (n, T, J, 3), (m, T, J, 3)
        Windows of dances in meters, see `windows`. The real ones should be of songs that are not in
        the training set.
    reference : Tensor (k, T, J, 3), optional
        Other real windows, those of the training set. Their statistics define the z-scores (by
        default those of ``real`` do).
    kind : "kinetic" or "geometric"
    skeleton : Skeleton
    rate : float
        Frames per second.

    Returns
    -------
    Measured
        The distance, without unit, and the distance of real dances as its floor: from as many
        evenly spaced windows of ``reference`` as there are generated ones (from all if there are
        fewer) to ``real``; without reference, from one half of ``real`` to the other.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> rng = torch.Generator().manual_seed(0)
    >>> x = rest(MELODY) + 0.1 * torch.randn(12, 20, 23, 3, generator=rng)
    >>> distance = frechet_dance(2 * x, x, kind="kinetic", skeleton=MELODY, rate=25.0)
    >>> distance.ratio > 5
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
        halves = _subset(features.reference, len(generated)), y
    return Measured(frechet(features(generated), y), frechet(*halves))


def diversity(
    generated: Tensor, real: Tensor, *, kind: Kind, skeleton: Skeleton, rate: float
) -> float:
    r"""Compute the mean distance between the features of any two windows of generated dances.

    .. math:: \frac{2}{n(n-1)} \sum_{i<j} \lVert f_i - f_j \rVert

    Features are z-scored by those of real dances. The best value is that of the real dances; a
    motion that trembles has more. Shapes are as in `frechet_dance`. Raises ValueError for fewer
    than two windows. Source: [li2021].

    >>> from monge.dance.motion import MELODY, rest
    >>> rng = torch.Generator().manual_seed(0)
    >>> x = rest(MELODY) + 0.1 * torch.randn(6, 20, 23, 3, generator=rng)
    >>> diversity(x[:1].expand_as(x), x, kind="kinetic", skeleton=MELODY, rate=25.0)
    0.0
    """
    return _mean_distance(_Features(real, kind, skeleton, rate)(generated))


def multi_modality(
    generated: Tensor, real: Tensor, *, kind: Kind, skeleton: Skeleton, rate: float
) -> float:
    r"""Compute the mean distance between the features of two dances to the same music.

    .. math:: \frac1S \sum_{s=1}^S \frac{2}{k(k-1)} \sum_{i<j} \lVert f_{s,i} - f_{s,j} \rVert

    Features are z-scored by those of real windows. The value is 0 if dances depend on the music
    alone. Source: [lee2019], with the features of [li2021].

    Parameters
    ----------
    generated : Tensor (S, k, T, J, 3)
        k ≥ 2 dances for each of S pieces of music.
    real : Tensor (m, T, J, 3)
        m ≥ 2 windows of real dances.

    Examples
    --------
    >>> from monge.dance.motion import MELODY, rest
    >>> rng = torch.Generator().manual_seed(0)
    >>> x = rest(MELODY) + 0.1 * torch.randn(6, 20, 23, 3, generator=rng)
    >>> same = x[:, None].expand(6, 3, 20, 23, 3)
    >>> multi_modality(same, x, kind="geometric", skeleton=MELODY, rate=25.0)
    0.0
    """
    if generated.ndim != 5:
        raise ValueError(
            f"generated must be (songs, dances, frames, joints, 3), got {tuple(generated.shape)}"
        )
    features = _Features(real, kind, skeleton, rate)
    distances = [_mean_distance(features(song)) for song in generated]
    return sum(distances) / len(distances)


def measure_dances(
    generated: Sequence[Tensor],
    held_out: Sequence[Tensor],
    train: Sequence[Tensor],
    beats: Sequence[Tensor],
    skeleton: Skeleton,
    rate: float,
    frames: int = 100,
) -> dict[str, float]:
    """Compute all metrics of whole dances (T, J, 3), one for each song.

    Raises ValueError for no dances, a number of beats other than that of dances, a dance shorter
    than a window, and the errors of the metrics.

    Parameters
    ----------
    generated : sequence of Tensor (T, J, 3)
        Meters, y up, at least ``frames`` frames each.
    held_out, train : sequence of Tensor
        Real dances to held-out songs and to training songs; ``train`` defines the z-scores and the
        floor.
    beats : sequence of Tensor (m,)
        Beats of the music of each generated dance, frames.
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
    >>> rng = torch.Generator().manual_seed(0)
    >>> dances = [rest(MELODY) + 0.1 * torch.randn(90, 23, 3, generator=rng) for _ in range(3)]
    >>> beats = [torch.arange(0.0, 90.0, 12.0)] * 3
    >>> metrics = measure_dances(dances, dances, dances, beats, MELODY, rate=25.0, frames=30)
    >>> abs(metrics["frechet_kinetic"]) < 1e-3, len(metrics)
    (True, 12)
    """
    if not generated or len(generated) != len(beats):
        raise ValueError(
            f"generated and beats must be equally many, at least one, got {len(generated)} dances "
            f"and {len(beats)} beats"
        )
    pieces, real, reference = (
        torch.cat([windows(dance.double(), frames) for dance in dances])
        for dances in (generated, held_out, train)
    )
    metrics: dict[str, float] = {}
    for kind in ("kinetic", "geometric"):
        features = _Features(reference, kind, skeleton, rate)
        x, y = features(pieces), features(real)
        metrics[f"frechet_{kind}"] = frechet(x, y)
        metrics[f"frechet_{kind}_floor"] = frechet(_subset(features.reference, len(x)), y)
        metrics[f"diversity_{kind}"] = _mean_distance(x)
    own_beats = [motion_beats(dance, rate) for dance in generated]
    alignments = [
        beat_alignment(within(music, dance), own)
        for dance, music, own in zip(generated, beats, own_beats, strict=True)
    ]
    alignments = [alignment for alignment in alignments if not isnan(alignment)]
    duration = sum(len(dance) for dance in generated) / rate
    slides = [skating(dance, skeleton, rate).item() * len(dance) for dance in generated]
    return metrics | {
        "beat_alignment": sum(alignments) / len(alignments) if alignments else nan,
        "motion_beats_per_second": sum(len(own) for own in own_beats) / duration,
        "foot_contact": physical_foot_contact(pieces, skeleton, rate).mean().item(),
        "bone_length_error": max(bone_length_error(dance, skeleton).item() for dance in generated),
        "jerk": jerk(pieces, rate).mean().item(),
        "skating": sum(slides) / (duration * rate),
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

    def __call__(self, motions: Tensor) -> Tensor:
        return (self._raw(motions) - self._mean) / self._std

    def _raw(self, motions: Tensor) -> Tensor:
        kind, skeleton, rate = self._of
        if motions.ndim != 4 or len(motions) < 2:
            raise ValueError(
                "expected at least 2 windows (n, frames, joints, 3) of dances, got "
                f"{tuple(motions.shape)}"
            )
        skeleton.check(motions)
        x = motions.detach().double()
        if kind == "kinetic":
            return kinetic_features(x, rate)
        return geometric_features(x, skeleton, rate)


def _subset(features: Tensor, n: int) -> Tensor:
    """Return n evenly spaced rows, or all if there are fewer.

    Rows are ordered by song; even spacing includes all songs and so all styles.
    """
    return features[torch.arange(n) * len(features) // n] if n < len(features) else features


def _mean_distance(features: Tensor) -> float:
    return torch.pdist(features).mean().item()
