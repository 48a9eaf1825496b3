r"""Correlation between the distances of dances and the distances of their music.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022   [wu2022]

==========  ========================================================================
symbol      here
==========  ========================================================================
D           distances (n, m) of pieces of music, `monge.dance.audio.music_distance`
C           distances (n, m) of the dances to them
θ(u, v)     angle between two directions of a bone
==========  ========================================================================
"""

from __future__ import annotations

from math import nan

from torch import Tensor

from monge.dance.motion import Skeleton, check_motion, directions, squared_angles

_STRIDE = 4  # frames


def dance_distance(x: Tensor, y: Tensor, skeleton: Skeleton) -> Tensor:
    r"""Compute distances (n, m) of dances x (n, T, J, 3) and y (m, T, J, 3), in radians.

    The distance is the root mean square angle of their bones:

    .. math:: C_{ij}^2 = \frac{1}{|S| B} \sum_{t \in S} \sum_b \theta(u_{itb}, v_{jtb})^2

    with S every fourth frame. It is invariant to the position of the dancers, but not to the
    direction that they face: align it first with `monge.dance.motion.encode` and `decode`. Memory
    is proportional to n m T.

    Source: the geodesic distance of poses of [wu2022], here of the bones' directions.

    Raises ValueError for another shape or skeleton, dances of different lengths, and values that
    are not finite.

    >>> import torch
    >>> from monge.dance.motion import MELODY, rest
    >>> x = rest(MELODY).expand(2, 8, 23, 3)
    >>> dance_distance(x, -x, MELODY).allclose(torch.full((2, 2), torch.pi), atol=1e-3)
    True
    """
    u, v = (
        directions(check_motion(p, skeleton=skeleton)[:, ::_STRIDE], skeleton).flatten(1, 2)
        for p in (x, y)
    )
    return squared_angles(u, v).clamp_min(0).sqrt()


def relation(D: Tensor, C: Tensor) -> float:
    """Compute Pearson's correlation of distances (n, m) of music and of the dances to it.

    1 means that the distances of dances are proportional to those of their music; NaN means that
    one of the matrices is constant. Rows and columns should be different pieces: both distances of
    a piece from itself are 0, which would bias the correlation.

    >>> import torch
    >>> D = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> round(relation(D, 5 * D + 1), 6), round(relation(D, -D), 6), relation(D, torch.ones(2, 2))
    (1.0, -1.0, nan)
    """
    if D.shape != C.shape or D.numel() < 2:
        raise ValueError(
            "D and C must be matrices of one shape with at least 2 numbers, got "
            f"{tuple(D.shape)}, {tuple(C.shape)}"
        )
    a, b = (t.double().flatten() - t.double().mean() for t in (D, C))
    size = (a.norm() * b.norm()).item()
    return (a @ b).item() / size if size > 0 else nan
