"""Error of a critic of interpolations while the autoencoder is frozen.

    python -m benchmarks interpolation-critic ae-mnist --seeds 0,1,2

Takes the finished runs of ``reproduce`` and writes results/interpolation-critic.json. The error of
a constant is the variance of α; the public re-implementation that broadcasts (B,) against (B, 1)
cannot fall below it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.common.command import add_seeds, make_parser
from benchmarks.common.paths import reproduced_run
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result
from monge.data import StepInputs
from monge.nets import InterpolationCritic, build_encoder
from monge.optim import linear_decay
from monge.training import RunFolder, load_run

_LR, _BATCH = 2e-3, 128


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("interpolation-critic", __doc__)
    parser.add_argument("recipe")
    add_seeds(parser)
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args(argv)
    runs = [{"seed": seed} | train_critic(args.recipe, seed, args.steps) for seed in args.seeds]
    names = [name for name in runs[0] if name != "seed"]
    summary = {name: {"mean": statistics.mean(run[name] for run in runs)} for name in names}
    result = {"critic_of": args.recipe, "steps": args.steps, "summary": summary, "runs": runs}
    write_result(results_file("interpolation-critic"), result | provenance())
    print(json.dumps(summary, indent=2))


def train_critic(recipe: str, seed: int, steps: int) -> dict[str, float]:
    """Train a critic on the frozen autoencoder of a run; return its error on held-out data."""
    method, source = load_run(RunFolder(reproduced_run(recipe, seed)))
    autoencoder: Any = method.autoencoder
    torch.manual_seed(seed)
    critic = InterpolationCritic(build_encoder("dcgan", source.shape, 16, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=_LR)
    for step in tqdm(range(steps), desc=f"critic of {recipe}, seed {seed}", mininterval=30):
        inputs = StepInputs(source, seed, step, position=_BATCH * step)
        x, alpha = inputs.data(_BATCH), inputs.uniform(_BATCH, 1) / 2
        with torch.no_grad():
            z = autoencoder.encode(x)
            mixed, decoded = autoencoder.decode(critic.mix(z, alpha)), autoencoder.decode(z)
        linear_decay(optimizer, _LR, step / steps)
        optimizer.zero_grad()
        critic.loss(mixed, alpha, x, decoded).backward()
        optimizer.step()
    return evaluate(critic, autoencoder, source.held_out(5000), seed)


@torch.no_grad()
def evaluate(
    critic: InterpolationCritic, autoencoder: Any, x: torch.Tensor, seed: int
) -> dict[str, float]:
    """Return the critic's error on mixtures of held-out data, and that of a constant."""
    alpha = torch.rand(len(x), 1, generator=torch.Generator().manual_seed(seed)) / 2
    estimate = critic(autoencoder.decode(critic.mix(autoencoder.encode(x), alpha)))
    error, constant = (estimate - alpha.flatten()).square().mean().item(), alpha.var().item()
    return {
        "alpha_error": error,
        "constant": constant,
        "times_below": constant / error,
        "alpha_of_data": critic(x).mean().item(),
    }
