"""The process of a peer, seen from the benchmark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from benchmarks.common.command import child_environment


class Child:
    """A process for one peer; started again after a call that had to be killed."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Send a job and wait for its row."""
        if self.process is None:
            self.process = self.start()
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps(job), file=stdin, flush=True)
        reply = stdout.readline()
        if reply:
            row: dict[str, Any] = json.loads(reply)
            return row
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
            child_environment()
            | dict.fromkeys(names, str(self.threads))
            | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        )
        command = [sys.executable, "-m", "benchmarks.solvers.peers.measure", self.name]
        return subprocess.Popen(
            command,
            env=environment,
            preexec_fn=lambda: pin(self.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()


def pin(threads: int) -> None:
    """Use as many cores as threads, the last ones; JAX takes as many threads as it has cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
