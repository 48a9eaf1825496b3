"""CPU seconds of every example, on one thread; writes benchmarks/results/examples.json.

python -m benchmarks examples
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.command import make_parser
from benchmarks.common.paths import ROOT
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result


def main(argv: Sequence[str] | None = None) -> None:
    make_parser("examples", __doc__).parse_args(argv)
    seconds = {
        path.stem.removeprefix("plot_"): round(run_example(path), 1)
        for path in sorted((ROOT / "examples").glob("plot_*.py"))
    }
    write_result(results_file("examples"), {"cpu_seconds": seconds, **provenance()})
    print(seconds)


def run_example(path: Path) -> float:
    """Run an example in an empty folder; return its user and system CPU seconds."""
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(path)]
        subprocess.run(command, cwd=folder, env=environment, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
