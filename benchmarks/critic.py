"""How well a critic of interpolations tells α while the autoencoder stands still; writes
results/interpolation-critic.json.

    python benchmarks/critic.py ae-mnist --seeds 0,1,2

Takes the finished runs of benchmarks/reproduce.py. A constant's error is the variance of α; the
public re-implementation that broadcasts (B,) against (B, 1) cannot fall below it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import torch
from reproduce import RESULTS, ROOT, surroundings
from tqdm import tqdm

from monge.data import StepInputs
from monge.nets import InterpolationCritic, build_encoder
from monge.optim import linear_decay
from monge.training import RunFolder, load_run

_LR, _BATCH = 2e-3, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    runs = [
        {"seed": int(seed)} | judged(args.recipe, int(seed), args.steps)
        for seed in args.seeds.split(",")
    ]
    names = [name for name in runs[0] if name != "seed"]
    summary = {name: {"mean": statistics.mean(run[name] for run in runs)} for name in names}
    result = {
        "critic_of": args.recipe,
        "steps": args.steps,
        "summary": summary,
        "runs": runs,
        **surroundings(),
    }
    (RESULTS / "interpolation-critic.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(summary, indent=2))


def judged(recipe: str, seed: int, steps: int) -> dict[str, float]:
    """Train a critic on the frozen autoencoder of a run; its error on held-out data."""
    method, source = load_run(RunFolder(ROOT / "runs" / "reproduce" / f"{recipe}-seed{seed}"))
    autoencoder: Any = method.autoencoder  # type: ignore[attr-defined]
    torch.manual_seed(seed)
    critic = InterpolationCritic(build_encoder("dcgan", source.shape, 16, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=_LR)
    for step in tqdm(range(steps), desc=f"critic of {recipe}, seed {seed}", mininterval=30):
        draw = StepInputs(source, seed, step, position=_BATCH * step)
        x, alpha = draw.data(_BATCH), draw.uniform(_BATCH, 1) / 2
        with torch.no_grad():
            z = autoencoder.encode(x)
            mixed, made = autoencoder.decode(critic.mix(z, alpha)), autoencoder.decode(z)
        linear_decay(optimizer, _LR, step / steps)
        optimizer.zero_grad()
        critic.loss(mixed, alpha, x, made).backward()
        optimizer.step()
    return errors(critic, autoencoder, source.held_out(5000), seed)


@torch.no_grad()
def errors(
    critic: InterpolationCritic, autoencoder: Any, x: torch.Tensor, seed: int
) -> dict[str, float]:
    alpha = torch.rand(len(x), 1, generator=torch.Generator().manual_seed(seed)) / 2
    estimate = critic(autoencoder.decode(critic.mix(autoencoder.encode(x), alpha)))
    error, constant = (estimate - alpha.flatten()).square().mean().item(), alpha.var().item()
    return {
        "alpha_error": error,
        "constant": constant,
        "times_below": constant / error,
        "alpha_of_data": critic(x).mean().item(),
    }


if __name__ == "__main__":
    main()
