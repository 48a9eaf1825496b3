r"""Whether dances differ as their music does.

    Wu, Lu, Cheng, "Music-to-dance generation with optimal transport", IJCAI 2022    [wu2022]

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
    r"""Distances (n, m) of dances x (n, T, J, 3) and y (m, T, J, 3): the root mean square angle of
    their bones, radians.

    .. math:: C_{ij}^2 = \frac{1}{|S| B} \sum_{t \in S} \sum_b \theta(u_{itb}, v_{jtb})^2

    with S every fourth frame. Where the dancers stand does not count, where they look does: turn
    them first, with `monge.dance.motion.encode` and `decode`. Memory grows with n m T.

    Source: the geodesic distance of poses of [wu2022], here of the bones' directions.

    Raises ValueError for another shape or skeleton, dances of different lengths, values that are
    not finite.

    >>> import torch
    >>> from monge.dance.motion import MELODY, rest
    >>> x = rest(MELODY).expand(2, 8, 23, 3)
    >>> dance_distance(x, -x, MELODY).allclose(torch.full((2, 2), torch.pi), atol=1e-3)
    True
    """
    ways = [
        directions(check_motion(p, skeleton=skeleton)[:, ::_STRIDE], skeleton).flatten(1, 2)
        for p in (x, y)
    ]
    return squared_angles(*ways).clamp_min(0).sqrt()


def relation(D: Tensor, C: Tensor) -> float:
    """Pearson's correlation of distances (n, m) of music with those of the dances to it; NaN where
    either does not vary.

    1 means that dances differ exactly as their music does. The rows and the columns are best
    different pieces: of a piece with itself both distances are 0, which says nothing about either.

    >>> import torch
    >>> D = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> round(relation(D, 5 * D + 1), 6), round(relation(D, -D), 6), relation(D, torch.ones(2, 2))
    (1.0, -1.0, nan)
    """
    if D.shape != C.shape or D.numel() < 2:
        raise ValueError(
            f"D and C must be matrices of one shape with at least 2 numbers, got {tuple(D.shape)}, "
            f"{tuple(C.shape)}"
        )
    a, b = (t.double().flatten() - t.double().mean() for t in (D, C))
    size = (a.norm() * b.norm()).item()
    return (a @ b).item() / size if size > 0 else nan
