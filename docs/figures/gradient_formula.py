"""
When a generator can follow its critic
======================================

A generator g with parameters θ draws from μ = law of g(ζ), and training lowers W(θ), the cost of
moving μ onto the data ν. The recipe of every Wasserstein GAN is to hold the best critic fixed and
to differentiate through it,

    ∇W(θ) = E[∂g(ζ)ᵀ ∇ψᶜ(g(ζ))].

For a point mass, g(ζ) = θ, the formula holds at no θ at all [houdard2023b]. With ε > 0, or with a
generator whose law has a density, it does. Every claim is compared with finite differences of W.

    python docs/figures/gradient_formula.py --out figures
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from monge import ot, plots
from monge.data import rng

TEXT, QUIET, RIGHT, WRONG = "#2b2f36", "#6b7480", "#33658a", "#d1495b"
y = torch.tensor([[-1.0, -0.7], [1.1, -0.5], [0.1, 1.0]], dtype=torch.float64)  # the data
b = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)  # and their masses
mean = b @ y
HERE, THERE = torch.tensor([[0.55, 0.5], [-0.75, 0.85]], dtype=torch.float64)
WIDE, HIGH = torch.tensor([[1.3, 0.9], [0.8, 1.3]], dtype=torch.float64)
VIEW = ot.Box((-1.6, -1.5), (1.6, 1.7))
Loss = Callable[[Tensor], Tensor]


def dirac(theta: Tensor) -> Tensor:
    return theta[None]


def two_codes(theta: Tensor) -> Tensor:
    """Two equally likely codes, at opposite corners of the rectangle."""
    return theta[:2] + theta[2:] * torch.tensor([[0.5, 0.5], [-0.5, -0.5]], dtype=torch.float64)


def rectangle(theta: Tensor, n: int = 600) -> Tensor:
    """Uniform noise moved to θ (its first two numbers) and stretched; the noise is a fine lattice,
    for exact means.
    """
    noise = (torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5
    return theta[:2] + theta[2:] * torch.cartesian_prod(noise, noise)


def entropic(g: Loss, epsilon: float, theta: Tensor) -> Tensor:
    """W at the best potential, which is held fixed: its gradient in θ is the formula."""
    x = g(theta)
    return ot.SemiDiscrete(y, b=b, epsilon=epsilon).fit(x.detach()).value(x)


def exact(theta: Tensor) -> Tensor:
    """The same for the rectangle and ε = 0, by Newton's method on the exact cells."""
    low, high = (theta[:2] - theta[2:] / 2).tolist(), (theta[:2] + theta[2:] / 2).tolist()
    return ot.SemiDiscrete(y, b=b).fit(ot.Box(tuple(low), tuple(high))).value(rectangle(theta))


def exact_finite(g: Loss, theta: Tensor) -> Tensor:
    """W of finitely many points, from the best plan."""
    return ot.wasserstein(g(theta), y, b=b) ** 2


def divergence(g: Loss, epsilon: float, theta: Tensor) -> Tensor:
    return ot.sinkhorn_divergence(g(theta), y, epsilon=epsilon, b=b, tol=1e-11, max_iter=100_000)


def formula(loss: Loss, theta: Tensor) -> Tensor:
    theta = theta.clone().requires_grad_()
    return torch.autograd.grad(loss(theta), theta)[0]


def differences(loss: Loss, theta: Tensor, step: float = 1e-3) -> Tensor:
    steps = step * torch.eye(len(theta), dtype=theta.dtype)
    return torch.stack([(loss(theta + s) - loss(theta - s)) / (2 * step) for s in steps])


def selections(g: Loss, theta: Tensor) -> Tensor:
    """What the formula can give with ε = 0: a point whose mass is split lies on a border, and may
    choose any of its targets.
    """
    x = g(theta)
    plan = ot.transport(
        ot.as_cost("sqeuclidean").matrix(x, y), torch.full((len(x),), 1 / len(x), dtype=x.dtype), b
    )
    choices = [y[list(j)] for j in product(*[row.nonzero()[:, 0].tolist() for row in plan > 1e-12])]
    return torch.stack(
        [formula(lambda t, to=to: (g(t) - to).square().sum(1).mean(), theta) for to in choices]
    )


def error(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


def measure() -> dict[str, float]:
    """Relative errors of the formula; of the best selection where there are several."""
    wide = torch.cat([HERE, WIDE])
    finite: dict[str, tuple[Loss, Tensor]] = {
        "point mass": (dirac, HERE),
        "two codes": (two_codes, wide),
    }
    errors = {}
    for name, (g, theta) in finite.items():
        truth = differences(lambda t, g=g: exact_finite(g, t), theta)
        errors[f"{name}, ε = 0"] = min(error(found, truth) for found in selections(g, theta))
    errors["rectangle, ε = 0"] = error(formula(exact, wide), differences(exact, wide, 1e-2))
    for name, (g, theta) in finite.items():
        losses: dict[str, Loss] = {
            f"{name}, ε = {e:g}": lambda t, g=g, e=e: entropic(g, e, t) for e in (0.02, 0.2, 2.0)
        }
        losses[f"{name}, divergence ε = 2"] = lambda t, g=g: divergence(g, 2.0, t)
        errors |= {
            key: error(formula(loss, theta), differences(loss, theta))
            for key, loss in losses.items()
        }
    return errors


def descend(epsilon: float, steps: int = 60, rate: float = 0.1) -> Tensor:
    """Gradient descent along the formula.

    With ε = 0 the last digits of ψ decide which target is chosen.
    """
    draw, path = rng(0), [HERE]
    sd = ot.SemiDiscrete(y, b=b, epsilon=epsilon)
    for _ in range(steps):
        if epsilon > 0:
            sd.fit(dirac(path[-1]))
        else:
            sd.potential.copy_(
                (path[-1] - y).square().sum(1)
                + 1e-9 * torch.randn(len(y), generator=draw, dtype=y.dtype)
            )
        path.append(path[-1] - rate * formula(lambda theta: sd.value(dirac(theta)), path[-1]))
    return torch.stack(path)


def distance(path: Tensor) -> float:
    """From the best θ, the mean of the data: root mean square from step 20 on."""
    return float((path[20:] - mean).square().sum(1).mean().sqrt())


# Pictures


def heading(axis: Axes, title: str, caption: str) -> None:
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=TEXT)
    axis.set_xlabel(caption, loc="left", fontsize=9, color=QUIET, linespacing=1.5)


def toward_the_mean(axis: Axes, theta: Tensor) -> None:
    """−½ ∇W leads from θ to the mean of the data."""
    axis.scatter(*mean.tolist(), s=60, facecolors="none", edgecolors=TEXT, linewidths=1.4, zorder=4)
    arrow = {
        "arrowstyle": "-|>,head_length=0.5,head_width=0.25",
        "color": TEXT,
        "linewidth": 1.8,
        "shrinkB": 5,
        "shrinkA": 4,
    }
    axis.annotate("", mean.tolist(), theta.tolist(), arrowprops=arrow, zorder=4)
    axis.annotate(
        "θ",
        theta.tolist(),
        xytext=(7, 5),
        textcoords="offset points",
        fontsize=12,
        fontstyle="italic",
        color=TEXT,
    )


def numbers(v: Tensor, digits: int = 2) -> str:
    return f"({v[0]:.{digits}f}, {v[1]:.{digits}f})".replace("-", "−")


def plain(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])


def torn(axis: Axes, theta: Tensor, title: str) -> None:
    plots.laguerre(y, (theta - y).square().sum(1), VIEW, mass=b, x=dirac(theta), axis=axis)
    toward_the_mean(axis, theta)
    plain(axis)
    truth = differences(lambda t: exact_finite(dirac, t), theta)
    off = ", ".join(f"{(found - truth).norm():.2f}" for found in selections(dirac, theta))
    heading(
        axis,
        title,
        f"black: −½ the true gradient {numbers(truth)}\nred: −½ the formula's three, off by {off}",
    )


def shared(axis: Axes, theta: Tensor, epsilon: float) -> None:
    sd = ot.SemiDiscrete(y, b=b, epsilon=epsilon).fit(dirac(theta))
    plots.assignment(sd, VIEW, x=dirac(theta), axis=axis)
    toward_the_mean(axis, theta)
    plain(axis)
    found = formula(lambda t: entropic(dirac, epsilon, t), theta)
    taken = " : ".join(f"{100 * share:.0f}" for share in sd.marginals(dirac(theta)))
    heading(axis, f"ε = {epsilon:g}", f"formula {numbers(found)}\nat θ the targets share {taken}")


def covered(axis: Axes, theta: Tensor, title: str) -> None:
    low, high = theta[:2] - theta[2:] / 2, theta[:2] + theta[2:] / 2
    box = ot.Box(tuple(low.tolist()), tuple(high.tolist()))
    sd = ot.SemiDiscrete(y, b=b).fit(box)
    plots.laguerre(y, sd.potential, VIEW, mass=b, x=box(60, rng(3)), axis=axis)
    corners = torch.stack(
        [low, torch.stack([high[0], low[1]]), high, torch.stack([low[0], high[1]]), low]
    )
    axis.plot(*corners.T, color=RIGHT, linewidth=1.4, zorder=2)
    plain(axis)
    found, truth = formula(exact, theta)[2:], differences(exact, theta, 1e-2)[2:]
    caption = (
        f"formula, by width and height {numbers(found, 4)}\nfinite differences {numbers(truth, 4)}"
    )
    heading(axis, title, caption)


def slopes(axis: Axes) -> None:
    """W along a line through both places, with its slope and what the formula offers."""
    way = (HERE - THERE) / (HERE - THERE).norm()
    along = torch.linspace(-1.3, 1.3, 200, dtype=y.dtype)
    middle = (HERE + THERE) / 2

    def height(t: Tensor) -> Tensor:
        return ((middle + t[:, None] * way)[:, None] - y).square().sum(-1) @ b

    axis.plot(along, height(along), color=QUIET, linewidth=1.4, zorder=2)
    for t in torch.tensor([-0.95, 0.0, 0.95], dtype=y.dtype):
        theta = middle + t * way
        ends = torch.tensor([-0.2, 0.2], dtype=y.dtype)
        level = height(t[None])
        for found in selections(dirac, theta):
            axis.plot(t + ends, level + ends * (found @ way), color=WRONG, linewidth=1.4, zorder=3)
        axis.plot(
            t + 1.8 * ends,
            level + 1.8 * ends * (2 * (theta - mean) @ way),
            color=TEXT,
            linewidth=2.2,
            zorder=4,
        )
        axis.scatter(t, level, s=34, color=TEXT, edgecolors="white", linewidths=1, zorder=5)
    axis.set_box_aspect(1)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set(yticks=[])
    axis.tick_params(labelsize=8, colors=QUIET)
    heading(
        axis,
        "W along a line of θ",
        "a parabola, whose slope is black\nred: the slopes that the formula offers",
    )


def paths(axis: Axes) -> None:
    ends = []
    for epsilon, color in ((0.0, WRONG), (0.2, RIGHT)):
        path = descend(epsilon)
        axis.plot(
            *path.T,
            color=color,
            linewidth=1.2,
            marker="o",
            markersize=3,
            alpha=0.85,
            label=f"ε = {epsilon:g}",
        )
        ends.append(distance(path))
    axis.scatter(*y.T, s=60, color=TEXT, edgecolors="white", zorder=5)
    axis.scatter(
        *mean.tolist(), s=60, facecolors="white", edgecolors=TEXT, linewidths=1.4, zorder=5
    )
    axis.set(xlim=(VIEW.lo[0], VIEW.hi[0]), ylim=(VIEW.lo[1], VIEW.hi[1]), aspect="equal")
    axis.spines[:].set_color("#e4e8ec")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    plain(axis)
    heading(
        axis,
        "60 steps of descent",
        f"distance from the best θ, from step 20 on\nε = 0: {ends[0]:.3f},  ε = 0.2: {ends[1]:.3f}",
    )


def chart(axis: Axes, errors: dict[str, float]) -> None:
    names = list(reversed(errors))
    for k, name in enumerate(names):
        color = WRONG if errors[name] > 1e-3 else RIGHT
        axis.plot([1e-14, errors[name]], [k, k], color=color, linewidth=1.2, alpha=0.4)
        axis.scatter(errors[name], k, s=30, color=color, zorder=3)
        axis.annotate(
            name, (1e-14, k), xytext=(1, 5), textcoords="offset points", fontsize=8.5, color=TEXT
        )
        axis.annotate(
            f"{errors[name]:.0e}",
            (errors[name], k),
            xytext=(6, -5),
            textcoords="offset points",
            fontsize=8,
            color=QUIET,
        )
    axis.axvline(1e-3, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axis.set(
        xscale="log",
        xlim=(1e-14, 1e3),
        xticks=[1e-12, 1e-9, 1e-6, 1e-3, 1],
        yticks=[],
        ylim=(-0.6, len(names) - 0.2),
    )
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8, colors=QUIET)
    axis.set_box_aspect(1)
    heading(axis, "Relative error of the formula", "against finite differences")


def draw(errors: dict[str, float]) -> Figure:
    figure = Figure(figsize=(12.6, 15.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.1)
    rows = figure.subfigures(3, 1)
    titles = (
        "A point mass, ε = 0: the formula holds nowhere",
        "The same with ε > 0: it holds everywhere",
        "A law with a density, ε = 0: it holds",
    )
    panels = []
    for row, title in zip(rows, titles, strict=True):
        row.suptitle(title, x=0.01, ha="left", fontsize=14, color=TEXT)
        panels.append(row.subplots(1, 3))
    torn(panels[0][0], HERE, "wherever θ is …")
    torn(panels[0][1], THERE, "… the cells meet there")
    slopes(panels[0][2])
    shared(panels[1][0], HERE, 0.2)
    shared(panels[1][1], HERE, 2.0)
    paths(panels[1][2])
    covered(panels[2][0], torch.cat([HERE, WIDE]), "noise fills a rectangle: …")
    covered(panels[2][1], torch.cat([THERE, HIGH]), "… no mass on the borders")
    chart(panels[2][2], errors)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description="When the gradient formula of Wasserstein GANs holds, in one picture."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder for the picture (figures)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    truth = differences(lambda theta: exact_finite(dirac, theta), HERE)
    print(
        f"point mass at θ = ({HERE[0]:g}, {HERE[1]:g}): true gradient ({truth[0]:.4f}, "
        f"{truth[1]:.4f})"
    )
    for found in selections(dirac, HERE):
        print(
            f"  ε = 0, the formula offers ({found[0]:.4f}, {found[1]:.4f}), off by "
            f"{(found - truth).norm():.4f}"
        )
    errors = measure()
    print("relative error of the formula against finite differences")
    for name, value in errors.items():
        print(f"  {name:<32}{value:.1e}")
    for epsilon in (0.0, 0.2):
        print(
            f"60 steps of descent, ε = {epsilon:g}: {distance(descend(epsilon)):.3f} from the best "
            "θ"
        )
    (args.out / "gradient-formula.png").write_bytes(plots.to_png(draw(errors)))
    print(f"look at {args.out / 'gradient-formula.png'}")


if __name__ == "__main__":
    main()
