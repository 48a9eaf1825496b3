"""Processes leave the group without a trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEAVE = """
import os
import torch
from monge import parallel

with parallel.processes():
    torch.optim.Adam(torch.nn.Linear(2, 2).parameters())  # imports what may hold the group
    parallel.barrier()
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
assert not any("gloo" in name for name in names), names
"""


def test_no_thread_of_the_group_outlives_it(tmp_path: Path) -> None:
    """A thread that is left aborts the process when it ends at the wrong moment."""
    script = tmp_path / "leave.py"
    script.write_text(LEAVE)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, str(script)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
