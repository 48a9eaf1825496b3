"""What the solvers are measured on, and when an answer is good."""

from __future__ import annotations

from dataclasses import dataclass

FLOOR = "monge's floor"  # its setting is the number of iterations that ours took
TARGET, SLACK = 1e-3, 1.05  # marginal error
# relative error of a gradient: kernels that underflow can have the right marginals and a wrong plan
MAX_GRADIENT_ERROR = 0.02
LIMIT = 60.0  # CPU seconds of one call
# relative, at small ε; or else the plan must report that it has not converged
VALUE_ERROR = {"float32": 1e-3, "float64": 1e-8}


@dataclass(frozen=True)
class Case:
    """One problem: a task at a size."""

    task: str
    n: int
    d: int
    epsilon: float  # a multiple of the mean cost
    peers: str = "sinkhorn"  # the task under which peers that can do it are registered
    limit: float = LIMIT

    def __str__(self) -> str:
        epsilon = f" ε={self.epsilon:g}" if self.epsilon else ""
        return f"{self.task} n={self.n} d={self.d}{epsilon}"


_BATCHES = [(n, d) for n in (64, 128, 256, 512) for d in (64, 512, 4096)]
_SIZES = [(n, d) for n in (256, 1000, 4000, 10_000) for d in (2, 64, 512)]
CASES = [
    *(Case("grid", n, d, epsilon) for n, d in _SIZES for epsilon in (0.1, 0.01)),
    *(Case("minibatch", n, d, 0.05) for n, d in _BATCHES),
    *(Case("warm", n, d, 0.05, "warm") for n, d in _BATCHES),
    *(
        Case(f"accuracy {dtype}", 256, d, epsilon, f"accuracy {dtype}")
        for dtype in VALUE_ERROR
        for d in (2, 64)
        for epsilon in (1e-3, 1e-4, 1e-5)
    ),
    Case("gromov", 1000, 8, 0.05, "gromov"),
    Case("sliced", 100_000, 64, 0.0, "sliced"),
    Case("mmd", 10_000, 64, 0.0, "mmd"),
    Case("energy", 10_000, 64, 0.0, "energy"),
    Case("semidiscrete", 10_000, 784, 0.0, "semidiscrete"),
]
QUICK = [
    case
    for case in CASES
    if case.task in ("grid", "minibatch") and case.n in (128, 256) and case.d == 64
]
LARGE = [Case("large", 100_000, 64, 0.1, "large", 3600.0)]
