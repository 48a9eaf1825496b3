"""Training with two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from monge.training import Recipe, RunFolder, to_yaml


def train_on_two(job: Recipe, folder: Path) -> RunFolder:
    """Train with ``torchrun --nproc-per-node 2``; the recipe and the run are written to ``folder``.

    The processes print their stack if they abort.
    """
    file, out = folder / "job.yaml", folder / "two"
    file.write_text(to_yaml(job))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train = ["-m", "monge", "train", str(file), "--run.out", str(out)]
    done = subprocess.run(
        [sys.executable, *launch, *train],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},
    )
    # not truncated: the output of a process that aborted comes first
    assert done.returncode == 0, done.stderr
    return RunFolder(out)
