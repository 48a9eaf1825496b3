r"""Textures from the patches of an exemplar: synthesis, inpainting and mixing.

    Houdard, Leclaire, Papadakis & Rabin, "A generative model for texture synthesis based on optimal
    transport between feature
    distributions", JMIV 2023 [houdard2023]  the objective
    Galerne, Leclaire & Rabin, "A texture synthesis model based on semi-discrete optimal transport
        in patch space",
    SIAM J. Imaging Sciences 2018 [galerne2018]  coarse to fine
    Rabin, Peyré, Delon & Bernot, "Wasserstein barycenter and its application to texture mixing",
        SSVM 2011 [rabin2011]    mixing

==========  ======================================================================================
symbol      here
==========  ======================================================================================
x           `Texture.image`, the picture that is made; a pyramid level of it until the last stages
P_i x       the i-th patch of x, see `monge.nets.patches`, its pixels weighed by a Gaussian window
ν_k         patches y of exemplar k at the scale at hand, ``config.targets`` of them
ψ_k         potential of ν_k, in a `monge.ot.SemiDiscrete`
T_k         P_i x ↦ y_σ(i): to the target in whose Laguerre cell the patch lies
w_k         weights of the exemplars
==========  ======================================================================================

With the cells fixed the objective is a quadratic in x whose minimizer is a mean: each pixel becomes
the weighted mean of what the patches over it should be. The authors take gradient steps of Adam
instead, at all scales at once, from noise; on the features of a network, where there is no such
minimizer, so does this file. More in docs/methods/texture.md.
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
_SHARPENING, _SHARP_RATE = 3, 0.8  # steps of the last pass
_HOLE = 0.7  # share of ψ that counts in a hole
_BAND = 2**15  # patches held at once
_FEWEST = 16  # patches that a scale of an exemplar must have
_ADAM_LR, _ADAM_STEPS = 0.02, 250  # of the feature-based form
_TARGETS, _DRAW, _START = 0, 2, 3  # what randomness is for

NOT_IN_RECIPES = "it makes one picture, see 'monge texture synth'"


class Config(Frozen):
    """Texture synthesis by patch transport."""

    name: Literal["texture"] = "texture"
    patch: int = Field(8, ge=2, le=32)  # Side of the patches.
    # Standard deviation of a patch's weights, in its sides; less: sharper, less coherent.
    window: float = Field(0.2, gt=0)
    sharp: float = Field(0.12, gt=0)  # The same for three last steps at the finest scale.
    # Scales of the pyramid; by default the smallest side is left about four patches.
    scales: int | None = Field(None, ge=1)
    # Patches of an exemplar that stand for all of its patches at a scale.
    targets: int = Field(2000, ge=16)
    # Steps at the coarsest scale; each finer one has ⅔ of the one before, at least ⅕ of these.
    steps: int = Field(30, ge=1)
    # Share of the way to the minimizer for the present cells; ψ keeps up with small ones.
    rate: float = Field(0.4, gt=0, le=1)
    # Patches of x that balance a potential: several a target, or it learns their accidents.
    batch: int = Field(8192, ge=64)
    # ε of that balance, in mean squared distances of a target to its third neighbor.
    blur: float = Field(0.25, gt=0)


TINY = Config(patch=4, scales=2, steps=5, targets=300, batch=1024)


class _Stage(NamedTuple):
    level: int
    patch: int
    steps: int
    window: float
    rate: float


class Texture:
    r"""A picture whose patches are distributed as those of an exemplar, or as a Wasserstein
    barycenter of several.

    .. math::

        \min_x \sum_l \sum_k w_k \max_\psi \frac1n \sum_i \psi^c(P_i S_l x) + \langle b, \psi
        \rangle

    ``exemplars`` are pictures (c, h, w) of one c, with values in about [0, 1]; ``weights`` are
    theirs, sum 1, equal by default. ``size`` is the height and width of the picture, which with
    ``tile`` continues at its opposite side. Call `step` until `done`; `image` is the picture so
    far. A picture is a function of ``seed`` and draw, and ``state_dict`` after any step continues
    to the same bits. ValueError for shapes that do not fit together.

    Inpainting: pixels where ``mask``, bool (h, w), is True are made, the others are those of
    ``image`` (c, h, w), to the bit. ``image`` is also the exemplar, as far as ``region``, bool (h,
    w), goes; by default everything outside the mask.

    With an ``extractor``, of (1, c, h, w) to a list of feature maps (1, f, h', w') at any scales,
    the distributions of these are matched instead, by Adam.

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
        self.weights = (
            list(weights)
            if weights is not None
            else [1 / len(self.exemplars)] * len(self.exemplars)
        )
        _require(self.exemplars, self.weights, size, image=image, mask=mask, region=region)
        known = (
            None if mask is None else ~mask & (torch.ones_like(mask) if region is None else region)
        )
        scales = _scales(self.config, [tuple(x.shape[1:]) for x in self.exemplars], size, known)
        self._levels = [known_pyramid(x, known, scales) for x in self.exemplars]
        self._fixed = None if mask is None or image is None else known_pyramid(image, ~mask, scales)
        self._image, self._mask = image, mask
        # pixels (h, w) that are to be made
        self._free = [] if mask is None else [~level for level in coarser(~mask, scales)]
        self.stages = (
            _stages(self.config, scales) if extractor is None else [_Stage(0, 0, _ADAM_STEPS, 0, 0)]
        )
        self._stage, self._step = 0, 0
        self._x = self._noise(self.stages[0].level)
        self._begin()

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self._stage == len(self.stages)

    @property
    def progress(self) -> float:
        """Share of the work that is done, in [0, 1]."""
        work = [(s.patch**2 + 32) * s.steps / 4**s.level for s in self.stages]
        here = 0.0 if self.done else work[self._stage] * self._step / self.stages[self._stage].steps
        return (sum(work[: self._stage]) + here) / sum(work)

    @property
    def image(self) -> Tensor:
        """The picture so far, (c, h, w), enlarged if its finest scale is still to come; values may
        leave [0, 1] a little.
        """
        x = self._x[None]
        while x.shape[2:] != self.size:
            level = next(
                s
                for s in range(x.shape[2].bit_length() + 16)
                if self._shape(s) == tuple(x.shape[2:])
            )
            x = enlarge(x, self._shape(level - 1), torus=self.tile)
        return (
            x[0]
            if self._mask is None or self._image is None
            else torch.where(self._mask, x[0], self._image)
        )

    def step(self) -> dict[str, float]:
        """One step on each ψ_k, then one on x."""
        if self.done:
            raise RuntimeError("the texture is finished: step() has nothing left to do")
        stage = self.stages[self._stage]
        loss = self._patch_step(stage) if self.extractor is None else self._feature_step()
        self._step += 1
        if self._step == stage.steps:
            self._stage, self._step = self._stage + 1, 0
            if not self.done:
                self._begin()
        return {"loss": loss, "scale": float(stage.level), "patch": float(stage.patch)}

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on, beside the draw."""
        state: dict[str, Any] = {"x": self._x.detach(), "stage": self._stage, "step": self._step}
        state["potentials"] = [] if self.done else [measure.potential for measure in self._measures]
        return state | (
            {} if self.extractor is None else {"optimizer": self._optimizer.state_dict()}
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of a texture with the same draw."""
        self._stage, self._step = int(state["stage"]), int(state["step"])
        self._x = state["x"].clone()
        if not self.done:
            self._begin()
            for measure, potential in zip(self._measures, state["potentials"], strict=True):
                measure.potential.copy_(potential)
        if self.extractor is not None:
            self._optimizer.load_state_dict(state["optimizer"])

    def _begin(self) -> None:
        """Bring x to the scale of the stage, draw the targets, and start ψ_k at 0."""
        stage = self.stages[self._stage]
        shape = self._shape(stage.level)
        if self._x.shape[1:] != shape:
            self._x = self._constrained(
                enlarge(self._x[None], shape, torus=self.tile)[0], stage.level
            )
        if self.extractor is not None:
            self._begin_features(self.extractor)
            return
        self._window = window(stage.patch, stage.window, len(self._x)).to(self._x)
        self._measures = []
        for k, of in enumerate(self._levels):
            pixels, known = of[stage.level]
            whole = None if known is None else ~touching(~known, stage.patch)
            draw = rng(self.seed, _TARGETS, self._stage, k)
            self._measures.append(
                self._measure(
                    random_patches(pixels, stage.patch, self.config.targets, draw, whole)
                    * self._window
                )
            )
        self._wanted = (
            None if self._mask is None else touching(self._free[stage.level], stage.patch)
        )

    def _measure(self, y: Tensor) -> SemiDiscrete:
        """ν_k, of points y (m, d)."""
        return SemiDiscrete(y, epsilon=matching_blur(y, self.config.blur) if len(y) > 1 else 1.0)

    def _patch_step(self, stage: _Stage) -> float:
        p, torus = stage.patch, self.tile
        x = (
            functional.pad(self._x[None], (0, p - 1, 0, p - 1), mode="circular")[0]
            if torus
            else self._x
        )
        draw = rng(self.seed, _DRAW, self._stage, self._step)
        batch = random_patches(x, p, self.config.batch, draw, self._wanted) * self._window
        loss = 0.0
        for w, measure in zip(self.weights, self._measures, strict=True):  # max over ψ
            measure.balance(
                batch,
                n_iter=_SWEEPS,
                relaxation=_RELAXATION,
                n_levels=_LEVELS if self._step == 0 else 0,
            )
            loss += w * measure.value(batch[:1024]).item() / batch.shape[1]
        total, count = self._assembled(x, p)  # min over x, the cells fixed
        if torus:
            total, count = wrapped(total, p), wrapped(count, p)
        made = torch.where(count > 0, total / count.clamp_min(1e-6), self._x)
        self._x = self._constrained(self._x + stage.rate * (made - self._x), stage.level)
        return loss

    def _assembled(self, x: Tensor, p: int) -> tuple[Tensor, Tensor]:
        """Σ_i P_iᵀ Σ_k w_k T_k(P_i x), and how many patches each pixel has; a band of rows at a
        time.
        """
        h, w = x.shape[1] - p + 1, x.shape[2] - p + 1
        wanted = x.new_ones(h, w) if self._wanted is None else self._wanted.to(x)
        total, rows = torch.zeros_like(x), max(1, _BAND // w)
        for top in range(0, h, rows):
            flat = wanted[top : top + rows].flatten() > 0
            band = x[:, top : min(top + rows, h) + p - 1]
            if not flat.any():
                continue
            points = patches(band[None], p)[0] * self._window
            aims = torch.zeros_like(points)
            aims[flat] = sum(
                v * measure.y[self._cells(measure, points[flat])]
                for v, measure in zip(self.weights, self._measures, strict=True)
            )
            total[:, top : top + band.shape[1]] += functional.fold(
                (aims * self._window).T[None], band.shape[1:], p
            )[0]
        return total, functional.conv_transpose2d(
            wanted[None, None], self._window[: p * p].square().view(1, 1, p, p)
        )[0]

    def _cells(self, measure: SemiDiscrete, points: Tensor) -> Tensor:
        """σ(i).

        A hole need not have its share of everything that the exemplar has: there ψ counts in part.
        """
        return measure.assign(
            points, measure.potential if self._mask is None else _HOLE * measure.potential
        )

    def _begin_features(self, extractor: Extractor) -> None:
        with torch.no_grad():
            maps = [extractor(of[0][0][None]) for of in self._levels]
        most = self.config.targets
        draws = [rng(self.seed, _TARGETS, 0, k) for k in range(len(maps))]
        self._measures = [
            self._measure(_some_rows(m[0].flatten(1).T, most, g))
            for g, of in zip(draws, maps, strict=True)
            for m in of
        ]
        self._optimizer = torch.optim.Adam([self._x.requires_grad_()], lr=_ADAM_LR)

    def _feature_step(self) -> float:
        assert self.extractor is not None
        self._optimizer.zero_grad()
        maps = self.extractor(self._x[None])
        loss = self._x.new_zeros(())
        for k, w in enumerate(self.weights):
            for level, (m, measure) in enumerate(
                zip(maps, self._measures[k * len(maps) : (k + 1) * len(maps)], strict=True)
            ):
                points, key = m[0].flatten(1).T, (self.seed, _DRAW, self._step, level)
                points = _some_rows(points, self.config.batch, rng(*key))
                measure.balance(
                    points.detach(),
                    n_iter=_SWEEPS,
                    relaxation=_RELAXATION,
                    n_levels=0 if self._step else _LEVELS,
                )
                loss = loss + w * measure.value(points) / points.shape[1]
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            self._x.copy_(self._constrained(self._x, 0))
        return loss.item()

    def _shape(self, level: int) -> tuple[int, int]:
        return self.size[0] >> level, self.size[1] >> level

    def _constrained(self, x: Tensor, level: int) -> Tensor:
        """x, with the pixels that are given."""
        return (
            x if self._fixed is None else torch.where(self._free[level], x, self._fixed[level][0])
        )

    def _noise(self, level: int) -> Tensor:
        """Each pixel is one of an exemplar's."""
        h, w = self._shape(level)
        draw = rng(self.seed, _START)
        which = torch.multinomial(
            torch.tensor(self.weights, dtype=torch.float64), h * w, True, generator=draw
        )
        x = self.exemplars[0].new_empty(len(self.exemplars[0]), h * w)
        for k, of in enumerate(self._levels):
            pixels, known = of[level]
            pixels = pixels[:, known] if known is not None else pixels.flatten(1)
            here = (which == k).nonzero()[:, 0]
            x[:, here.to(x.device)] = pixels[
                :, torch.randint(pixels.shape[1], here.shape, generator=draw).to(x.device)
            ]
        return self._constrained(x.view(-1, h, w), level)


def memory_estimate(
    shapes: Sequence[tuple[int, ...]], size: tuple[int, int], config: Config
) -> int:
    """Bytes that a `Texture` of exemplars of these shapes (c, h, w) takes at its peak, about;
    without torch's own 250 MB.
    """
    c, p, m = shapes[0][0], config.patch, config.targets
    width = c * p * p
    exemplars = sum(4 * c * h * w for _, h, w in shapes)
    return 4 * (
        8 * c * size[0] * size[1]
        + exemplars
        + 4 * _BAND * width
        + len(shapes) * m * (6 * width + 3 * config.batch)
    )


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
    """As many as asked for or seem good, but each with room for patches; where a part is unknown,
    for enough known ones.
    """
    side = min(*size, *(min(shape) for shape in shapes))
    good = (
        max(1, (side // (4 * config.patch)).bit_length())
        if config.scales is None
        else config.scales
    )
    fit = max(
        (s for s in range(1, side.bit_length() + 1) if side >> (s - 1) >= config.patch), default=0
    )
    if known is not None:
        whole = [
            ~touching(~level, config.patch) for level in coarser(known, max(1, min(good, fit)))
        ]
        fit = sum(bool(w.sum() >= _FEWEST) for w in whole)
    if not fit:
        raise ValueError(
            f"patches of {config.patch} pixels do not fit into {side}, or into what is known: take "
            "smaller ones"
        )
    return min(good, fit)


def _some_rows(x: Tensor, most: int, draw: torch.Generator) -> Tensor:
    """At most so many rows of x, in random order."""
    return x[torch.randperm(len(x), generator=draw)[:most].to(x.device)]


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
        raise ValueError("image and mask belong together: give both to inpaint, or neither")
    for name, of in known.items():
        if of is not None and tuple(of.shape[-2:]) != tuple(size):
            raise ValueError(
                f"{name} has size {tuple(of.shape[-2:])}, and size is {tuple(size)}: they must "
                "agree"
            )
    if mask is not None and (mask.all() or not mask.any()):
        raise ValueError(
            f"the mask is {'full' if mask.all() else 'empty'}: some pixels must be made and some "
            "be known"
        )
