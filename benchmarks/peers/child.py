"""A peer's process, seen from the bench."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


class Child:
    """A process for one peer; started again after a call that had to be killed."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        if self.process is None:
            self.process = self.start()
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps(job), file=stdin, flush=True)
        reply = stdout.readline()
        if reply:
            return json.loads(reply)
        status = self.process.wait()
        self.process = None
        if status in (-signal.SIGALRM, -signal.SIGKILL):
            return {
                "status": "over limit",
                "why": "a call took too long" if status == -signal.SIGALRM else "out of memory",
            }
        return {"status": "failed", "why": f"exit status {status}"}

    def start(self) -> subprocess.Popen[str]:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        flags = (
            f"--xla_cpu_multi_thread_eigen={'true' if self.threads > 1 else 'false'} "
            f"intra_op_parallelism_threads={self.threads}"
        )
        environment = (
            os.environ
            | dict.fromkeys(names, str(self.threads))
            | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        )
        command = [sys.executable, "-m", "peers.measure", self.name]
        pipes: dict[str, Any] = {
            "cwd": Path(__file__).parent.parent,
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen(
            command, env=environment, preexec_fn=lambda: pin(self.threads), **pipes
        )

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()


def pin(threads: int) -> None:
    """As many cores as threads, the last ones: JAX asks the system how many there are."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
