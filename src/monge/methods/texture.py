r"""Textures from the patches of an exemplar: synthesis, inpainting and mixing.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
        transport between feature distributions", JMIV 2023 [houdard2023], the objective
    Galerne, Leclaire & Rabin, "A texture synthesis model based on semi-discrete optimal transport
        in patch space", SIAM J. Imaging Sciences 2018 [galerne2018], coarse to fine
    Rabin, Peyré, Delon & Bernot, "Wasserstein barycenter and its application to texture mixing",
        SSVM 2011 [rabin2011], mixing

==========  =======================================================================================
symbol      here
==========  =======================================================================================
x           `Texture.image`, the synthesized picture; a pyramid level of it until the last stages
P_i x       the i-th patch of x, see `monge.nets.patches`, its pixels weighted by a Gaussian window
ν_k         ``config.targets`` patches y of exemplar k at the current scale
ψ_k         potential of ν_k, in a `monge.ot.SemiDiscrete`
T_k         P_i x ↦ y_σ(i), the target of the Laguerre cell that contains the patch
w_k         weights of the exemplars
==========  =======================================================================================

With the cells fixed the objective is quadratic in x and its minimizer is a mean: each pixel becomes
the weighted mean of its values in the targets of the patches that cover it. The authors instead
take gradient steps with Adam, at all scales at once, from noise. For features of a network, where
the minimizer is not known in closed form, this module does so, too. See docs/methods/texture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from monge.config import Frozen
from monge.nets.patches import (
    coarser,
    enlarge,
    known_pyramid,
    matching_blur,
    patches,
    random_patches,
    touching,
    window,
    wrapped,
)
from monge.ot import SemiDiscrete
from monge.rng import rng

Extractor = Callable[[Tensor], list[Tensor]]

_SWEEPS = 8  # fixed-point steps on ψ for one of x
_RELAXATION = 1.5
_LEVELS = 7  # halvings of ε at the start of a stage
_SHARPENING, _SHARP_RATE = 3, 0.8  # steps and rate of the last pass
_HOLE = 0.7  # factor on ψ in a hole
_BAND = 2**15  # patches held in memory at a time
_FEWEST = 16  # smallest number of known patches at a scale of an exemplar
_ADAM_LR, _ADAM_STEPS = 0.02, 250  # for features
_TARGETS, _BATCH, _START = 0, 2, 3  # streams of random numbers

NOT_IN_RECIPES = "it makes one picture, see 'monge texture synth'"


class Config(Frozen):
    """Texture synthesis by patch transport."""

    name: Literal["texture"] = "texture"
    patch: int = Field(8, ge=2, le=32)  # Side of the patches.
    #: Standard deviation of a patch's weights, in its sides; smaller is sharper and less coherent.
    window: float = Field(0.2, gt=0)
    sharp: float = Field(0.12, gt=0)  # The same in the last three steps at the finest scale.
    #: Scales of the pyramid; by default the smallest side of the coarsest has about four patches.
    scales: int | None = Field(None, ge=1)
    #: Number of patches of an exemplar, a sample of all of its patches at a scale.
    targets: int = Field(2000, ge=16)
    #: Steps at the coarsest scale; each finer scale has ⅔ as many, but at least ⅕ of these.
    steps: int = Field(30, ge=1)
    #: Step toward the minimizer for the current cells, as a share; ψ follows small steps.
    rate: float = Field(0.4, gt=0, le=1)
    #: Patches of x on which a potential is balanced; several for each target avoid overfitting.
    batch: int = Field(8192, ge=64)
    #: ε of the balance, in mean squared distances of a target to its third neighbor.
    blur: float = Field(0.25, gt=0)


TINY = Config(patch=4, scales=2, steps=5, targets=300, batch=1024)


class _Stage(NamedTuple):
    level: int
    patch: int
    steps: int
    window: float
    rate: float


class Texture:
    r"""A picture with patches distributed as those of an exemplar.

    With several exemplars, the patches are distributed as a Wasserstein barycenter.

    .. math::

        \min_x \sum_l \sum_k w_k \max_\psi
        \frac1n \sum_i \psi^c(P_i S_l x) + \langle b, \psi \rangle

    ``exemplars`` are pictures (c, h, w) of one c, with values in about [0, 1], and ``weights`` are
    their weights, with sum 1, equal by default. ``size`` is the height and width of the picture,
    which with ``tile`` continues at its opposite side. Call `step` until `done`; `image` is the
    picture so far. The picture is a function of the arguments and ``seed``. A ``state_dict`` taken
    after any step continues to the same bits. ValueError for shapes that do not match.

    For inpainting, pixels where ``mask``, bool (h, w), is True are synthesized, and the others
    remain those of ``image`` (c, h, w), bit by bit. Exemplars are then used only where ``region``,
    bool (h, w), is True and ``mask`` is not; by default everywhere outside the mask.

    With an ``extractor``, from (1, c, h, w) to a list of feature maps (1, f, h', w') at any scales,
    the distributions of features are matched instead of patches, with Adam.

    >>> exemplar = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> texture = Texture([exemplar], (40, 24), config=Config(patch=4, steps=2), tile=True)
    >>> while not texture.done:
    ...     scalars = texture.step()
    >>> texture.image.shape, sorted(scalars)
    (torch.Size([3, 40, 24]), ['loss', 'patch', 'scale'])
    """

    def __init__(
        self,
        exemplars: Sequence[Tensor],
        size: tuple[int, int],
        *,
        weights: Sequence[float] | None = None,
        tile: bool = False,
        config: Config | None = None,
        seed: int = 0,
        extractor: Extractor | None = None,
        image: Tensor | None = None,
        mask: Tensor | None = None,
        region: Tensor | None = None,
    ) -> None:
        self.config = config or Config()
        self.size = size
        self.tile = tile
        self.seed = seed
        self.extractor = extractor
        self.exemplars = list(exemplars)
        n = len(self.exemplars)
        self.weights = [1 / n] * n if weights is None else list(weights)
        _require(self.exemplars, self.weights, size, image=image, mask=mask, region=region)
        known = None if mask is None else ~mask
        if known is not None and region is not None:
            known = known & region
        scales = _scales(self.config, [tuple(x.shape[1:]) for x in self.exemplars], size, known)
        self._levels = [known_pyramid(x, known, scales) for x in self.exemplars]
        self._fixed = None if mask is None or image is None else known_pyramid(image, ~mask, scales)
        self._image, self._mask = image, mask
        # masks (h, w) of the pixels to synthesize at each level
        self._free = [] if mask is None else [~level for level in coarser(~mask, scales)]
        if extractor is None:
            self.stages = _stages(self.config, scales)
        else:
            self.stages = [_Stage(0, 0, _ADAM_STEPS, 0, 0)]
        self._stage, self._step = 0, 0
        self._x = self._noise(self.stages[0].level)
        self._begin()

    @property
    def done(self) -> bool:
        """Whether all steps have been taken."""
        return self._stage == len(self.stages)

    @property
    def progress(self) -> float:
        """Share of the computation that is done, in [0, 1]."""
        work = [(s.patch**2 + 32) * s.steps / 4**s.level for s in self.stages]
        here = 0.0 if self.done else work[self._stage] * self._step / self.stages[self._stage].steps
        return (sum(work[: self._stage]) + here) / sum(work)

    @property
    def image(self) -> Tensor:
        """The picture so far, (c, h, w), enlarged if the finest scale has not been reached.

        Values may lie slightly outside [0, 1].
        """
        x = self._x[None]
        while x.shape[2:] != self.size:
            levels = range(x.shape[2].bit_length() + 16)
            level = next(s for s in levels if self._shape(s) == tuple(x.shape[2:]))
            x = enlarge(x, self._shape(level - 1), torus=self.tile)
        if self._mask is None or self._image is None:
            return x[0]
        return torch.where(self._mask, x[0], self._image)

    def step(self) -> dict[str, float]:
        """Take a step on each ψ_k, then one on x."""
        if self.done:
            raise RuntimeError("the texture is finished: check `done` before calling step()")
        stage = self.stages[self._stage]
        loss = self._patch_step(stage) if self.extractor is None else self._feature_step()
        self._step += 1
        if self._step == stage.steps:
            self._stage, self._step = self._stage + 1, 0
            if not self.done:
                self._begin()
        return {"loss": loss, "scale": float(stage.level), "patch": float(stage.patch)}

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on, except the arguments and the seed."""
        state: dict[str, Any] = {"x": self._x.detach(), "stage": self._stage, "step": self._step}
        state["potentials"] = [] if self.done else [nu.potential for nu in self._measures]
        if self.extractor is not None:
            state["optimizer"] = self._optimizer.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of a texture with the same arguments and seed."""
        self._stage, self._step = int(state["stage"]), int(state["step"])
        self._x = state["x"].clone()
        if not self.done:
            self._begin()
            for nu, potential in zip(self._measures, state["potentials"], strict=True):
                nu.potential.copy_(potential)
        if self.extractor is not None:
            self._optimizer.load_state_dict(state["optimizer"])

    def _begin(self) -> None:
        """Bring x to the scale of the stage, choose the targets, and set ψ_k to 0."""
        stage = self.stages[self._stage]
        shape = self._shape(stage.level)
        if self._x.shape[1:] != shape:
            x = enlarge(self._x[None], shape, torus=self.tile)[0]
            self._x = self._constrain(x, stage.level)
        if self.extractor is not None:
            self._begin_features(self.extractor)
            return
        self._window = window(stage.patch, stage.window, len(self._x)).to(self._x)
        self._measures = []
        for k, levels in enumerate(self._levels):
            pixels, known = levels[stage.level]
            whole = None if known is None else ~touching(~known, stage.patch)
            g = rng(self.seed, _TARGETS, self._stage, k)
            y = random_patches(pixels, stage.patch, self.config.targets, g, whole) * self._window
            self._measures.append(self._measure(y))
        self._positions = None  # of the patches of x that are matched; None: all
        if self._mask is not None:
            self._positions = touching(self._free[stage.level], stage.patch)

    def _measure(self, y: Tensor) -> SemiDiscrete:
        """Return ν_k for targets y (m, d)."""
        return SemiDiscrete(y, epsilon=matching_blur(y, self.config.blur) if len(y) > 1 else 1.0)

    def _balance(self, nu: SemiDiscrete, points: Tensor) -> None:
        """Take the steps on ψ_k; in the first step of a stage, ε is halved from a larger value."""
        levels = 0 if self._step else _LEVELS
        nu.balance(points, n_iter=_SWEEPS, relaxation=_RELAXATION, n_levels=levels)

    def _patch_step(self, stage: _Stage) -> float:
        p, x = stage.patch, self._x
        if self.tile:
            x = functional.pad(x[None], (0, p - 1, 0, p - 1), mode="circular")[0]
        g = rng(self.seed, _BATCH, self._stage, self._step)
        batch = random_patches(x, p, self.config.batch, g, self._positions) * self._window
        loss = 0.0
        for w, nu in zip(self.weights, self._measures, strict=True):  # max over ψ
            self._balance(nu, batch)
            loss += w * nu.value(batch[:1024]).item() / batch.shape[1]
        total, weight = self._sum_targets(x, p)  # min over x, with the cells fixed
        if self.tile:
            total, weight = wrapped(total, p), wrapped(weight, p)
        minimizer = torch.where(weight > 0, total / weight.clamp_min(1e-6), self._x)
        self._x = self._constrain(self._x + stage.rate * (minimizer - self._x), stage.level)
        return loss

    def _sum_targets(self, x: Tensor, p: int) -> tuple[Tensor, Tensor]:
        """Return Σ_i P_iᵀ Σ_k w_k T_k(P_i x) and Σ_i P_iᵀ 1, weighted by the window.

        It is computed for a band of rows at a time.
        """
        h, w = x.shape[1] - p + 1, x.shape[2] - p + 1
        positions = x.new_ones(h, w) if self._positions is None else self._positions.to(x)
        total, rows = torch.zeros_like(x), max(1, _BAND // w)
        for top in range(0, h, rows):
            matched = positions[top : top + rows].flatten() > 0
            band = x[:, top : min(top + rows, h) + p - 1]
            if not matched.any():
                continue
            points = patches(band[None], p)[0] * self._window
            targets = torch.zeros_like(points)
            targets[matched] = sum(
                v * nu.y[self._cells(nu, points[matched])]
                for v, nu in zip(self.weights, self._measures, strict=True)
            )
            windowed = (targets * self._window).T[None]
            total[:, top : top + band.shape[1]] += functional.fold(windowed, band.shape[1:], p)[0]
        squared = self._window[: p * p].square().view(1, 1, p, p)
        return total, functional.conv_transpose2d(positions[None, None], squared)[0]

    def _cells(self, nu: SemiDiscrete, points: Tensor) -> Tensor:
        """Return σ(i).

        In a hole ψ is scaled down, because a hole need not contain each part of the exemplar.
        """
        return nu.assign(points, nu.potential if self._mask is None else _HOLE * nu.potential)

    def _begin_features(self, extractor: Extractor) -> None:
        self._measures = []
        for k, levels in enumerate(self._levels):
            with torch.no_grad():
                maps = extractor(levels[0][0][None])
            g = rng(self.seed, _TARGETS, 0, k)
            for features in maps:
                y = _random_rows(features[0].flatten(1).T, self.config.targets, g)
                self._measures.append(self._measure(y))
        self._optimizer = torch.optim.Adam([self._x.requires_grad_()], lr=_ADAM_LR)

    def _feature_step(self) -> float:
        assert self.extractor is not None
        self._optimizer.zero_grad()
        maps = self.extractor(self._x[None])
        loss = self._x.new_zeros(())
        for k, w in enumerate(self.weights):
            measures = self._measures[k * len(maps) : (k + 1) * len(maps)]
            for level, (features, nu) in enumerate(zip(maps, measures, strict=True)):
                g = rng(self.seed, _BATCH, self._step, level)
                points = _random_rows(features[0].flatten(1).T, self.config.batch, g)
                self._balance(nu, points.detach())
                loss = loss + w * nu.value(points) / points.shape[1]
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            self._x.copy_(self._constrain(self._x, 0))
        return loss.item()

    def _shape(self, level: int) -> tuple[int, int]:
        return self.size[0] >> level, self.size[1] >> level

    def _constrain(self, x: Tensor, level: int) -> Tensor:
        """Return x with the given pixels of ``image`` outside the mask."""
        if self._fixed is None:
            return x
        return torch.where(self._free[level], x, self._fixed[level][0])

    def _noise(self, level: int) -> Tensor:
        """Return a picture of random pixels of the exemplars."""
        h, w = self._shape(level)
        g = rng(self.seed, _START)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        exemplar = torch.multinomial(weights, h * w, True, generator=g)
        x = self.exemplars[0].new_empty(len(self.exemplars[0]), h * w)
        for k, levels in enumerate(self._levels):
            pixels, known = levels[level]
            pixels = pixels[:, known] if known is not None else pixels.flatten(1)
            here = (exemplar == k).nonzero()[:, 0]
            chosen = torch.randint(pixels.shape[1], here.shape, generator=g)
            x[:, here.to(x.device)] = pixels[:, chosen.to(x.device)]
        return self._constrain(x.view(-1, h, w), level)


def memory_estimate(
    shapes: Sequence[tuple[int, ...]], size: tuple[int, int], config: Config
) -> int:
    """Return the approximate peak memory in bytes of a `Texture`, without torch's own 250 MB.

    ``shapes`` are those of the exemplars, (c, h, w).
    """
    c, p, m = shapes[0][0], config.patch, config.targets
    width = c * p * p
    exemplars = sum(4 * c * h * w for _, h, w in shapes)
    measures = len(shapes) * m * (6 * width + 3 * config.batch)
    return 4 * (8 * c * size[0] * size[1] + exemplars + 4 * _BAND * width + measures)


def _stages(config: Config, scales: int) -> list[_Stage]:
    steps = [max(-(-config.steps // 5), round(config.steps * (2 / 3) ** k)) for k in range(scales)]
    stages = [
        _Stage(scales - 1 - k, config.patch, n, config.window, config.rate)
        for k, n in enumerate(steps)
    ]
    return [*stages, _Stage(0, config.patch, _SHARPENING, config.sharp, _SHARP_RATE)]


def _scales(
    config: Config, shapes: Sequence[tuple[int, ...]], size: tuple[int, int], known: Tensor | None
) -> int:
    """Return the number of scales, such that each has room for patches.

    If pixels are unknown, each scale has at least `_FEWEST` known patches.
    """
    side, p = min(*size, *(min(shape) for shape in shapes)), config.patch
    wanted = config.scales
    if wanted is None:
        wanted = max(1, (side // (4 * p)).bit_length())
    fit = max((s for s in range(1, side.bit_length() + 1) if side >> (s - 1) >= p), default=0)
    if known is not None:
        whole = [~touching(~level, p) for level in coarser(known, max(1, min(wanted, fit)))]
        fit = sum(bool(w.sum() >= _FEWEST) for w in whole)
    if not fit:
        raise ValueError(
            f"patches of {p} pixels do not fit into a side of {side} pixels, or into the known "
            "part: reduce the patch size"
        )
    return min(wanted, fit)


def _random_rows(x: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Return at most ``most`` rows of x, in random order."""
    return x[torch.randperm(len(x), generator=rng)[:most].to(x.device)]


def _require(
    exemplars: Sequence[Tensor],
    weights: Sequence[float],
    size: tuple[int, int],
    **known: Tensor | None,
) -> None:
    if not exemplars or any(x.ndim != 3 or len(x) != len(exemplars[0]) for x in exemplars):
        raise ValueError(
            f"exemplars must be (c, h, w) with one c, got {[tuple(x.shape) for x in exemplars]}"
        )
    if len(weights) != len(exemplars) or min(weights) < 0 or not abs(sum(weights) - 1) < 1e-6:
        raise ValueError(
            f"weights must be {len(exemplars)} numbers >= 0 with sum 1, got {list(weights)}"
        )
    mask = known["mask"]
    if (known["image"] is None) != (mask is None):
        raise ValueError("image and mask belong together: pass both to inpaint, or neither")
    for name, picture in known.items():
        if picture is not None and tuple(picture.shape[-2:]) != tuple(size):
            raise ValueError(
                f"{name} has size {tuple(picture.shape[-2:])}, but size is {tuple(size)}: they "
                "must agree"
            )
    if mask is not None and (mask.all() or not mask.any()):
        raise ValueError(
            f"the mask is {'full' if mask.all() else 'empty'}: it must be True for some pixels, "
            "and False for others"
        )
