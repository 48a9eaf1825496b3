"""A recipe trained by two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from monge.training import Recipe, RunFolder, to_yaml


def train_on_two(job: Recipe, folder: Path) -> RunFolder:
    """Train with ``torchrun --nproc-per-node 2``; the recipe's file and the run are put into
    ``folder``.
    """
    file, out = folder / "job.yaml", folder / "two"
    file.write_text(to_yaml(job))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "monge",
    ]
    done = subprocess.run(
        [*command, "train", str(file), "--run.out", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    # whole: what a process said before it aborted comes first
    assert done.returncode == 0, done.stderr
    return RunFolder(out)
