"""OTT-JAX, compiled before it is timed."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.solvers.peers.registry import (
    ITERATIONS,
    PROJECTIONS,
    TOLERANCES,
    Answer,
    Call,
    inner_costs,
    peer,
)


def ott(
    knob: str = "iterations",
    start: float = 1.0,
    momentum: bool = False,
    anderson: bool = False,
    **options: Any,
) -> Any:
    def make(x: Any, y: Any, epsilon: float, setting: Any) -> Call:
        import jax
        from ott.geometry import pointcloud
        from ott.geometry.epsilon_scheduler import Epsilon
        from ott.initializers.linear.initializers import DefaultInitializer, GaussianInitializer
        from ott.problems.linear.linear_problem import LinearProblem
        from ott.solvers.linear import acceleration
        from ott.solvers.linear.sinkhorn import Sinkhorn

        every = {"inner_iterations": setting, "max_iterations": setting, "threshold": 0.0}
        until = {"inner_iterations": 10, "max_iterations": 4000, "threshold": setting}
        solver = Sinkhorn(
            **(every if knob == "iterations" else until),
            lse_mode=not options.get("kernel", False),
            initializer=GaussianInitializer() if options.get("gaussian") else DefaultInitializer(),
            momentum=acceleration.Momentum(start=20) if momentum else None,
            anderson=acceleration.AndersonAcceleration(memory=5) if anderson else None,
        )
        schedule = Epsilon(target=epsilon, init=start, decay=0.8 if start > 1 else 1.0)

        def loss(x: Any, y: Any) -> Any:
            out = solver(LinearProblem(pointcloud.PointCloud(x, y, epsilon=schedule)))
            return out.reg_ot_cost, (out.f, out.g)

        x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
        step = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(x, y).compile()

        def call() -> Answer:
            (value, (f, g)), gradient = jax.block_until_ready(step(x, y))
            n, m = len(x), len(y)
            return Answer(
                float(value), gradient, lambda: (f + epsilon * np.log(n), g + epsilon * np.log(m))
            )

        return call

    return make


peer("OTT lse", "ott", ITERATIONS)(ott())
peer("OTT lse, Gaussian start", "ott", ITERATIONS)(ott(gaussian=True))
peer("OTT lse, momentum", "ott", TOLERANCES)(ott("tolerance", momentum=True))
peer("OTT lse, Anderson", "ott", TOLERANCES)(ott("tolerance", anderson=True))
peer("OTT lse, ε schedule", "ott", TOLERANCES)(ott("tolerance", start=20.0))
peer("OTT kernel", "ott", ITERATIONS)(ott(kernel=True))
peer("OTT kernel, own stop", "ott", TOLERANCES)(ott("tolerance", kernel=True))


@peer("OTT", "ott", (1e-2, 1e-3, 3e-4), "gromov")
def ott_gromov(x: Any, y: Any, epsilon: float, tol: float) -> Call:
    import jax
    from ott.geometry.geometry import Geometry
    from ott.problems.quadratic.quadratic_problem import QuadraticProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn
    from ott.solvers.quadratic.gromov_wasserstein import GromovWasserstein

    # its gradient is half of POT's
    solver = GromovWasserstein(Sinkhorn(threshold=tol), epsilon=epsilon / 2, warm_start=True)

    def loss(Cx: Any, Cy: Any) -> Any:
        out = solver(QuadraticProblem(Geometry(Cx), Geometry(Cy)))
        return out.primal_cost, out.matrix

    costs = [jax.numpy.asarray(C) for C in inner_costs(x, y)]
    step = jax.jit(loss).lower(*costs).compile()

    def call() -> Answer:
        value, P = jax.block_until_ready(step(*(jax.numpy.asarray(C) for C in inner_costs(x, y))))
        return Answer(float(value), coupling=lambda: P)

    return call


@peer("OTT", "ott", task="sliced")
def ott_sliced(x: Any, y: Any, _: float, __: None) -> Call:
    import jax
    from ott.tools.sliced import sliced_wasserstein

    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    step = jax.value_and_grad(
        lambda x, y: sliced_wasserstein(x, y, n_proj=PROJECTIONS, rng=jax.random.key(0))[0]
    )
    step = jax.jit(step).lower(x, y).compile()

    def call() -> Answer:
        value, gradient = jax.block_until_ready(step(x, y))
        return Answer(float(value), gradient)

    return call
