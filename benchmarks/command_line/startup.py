"""Time until an import or a command is ready; writes benchmarks/results/startup.json.

python -m benchmarks startup

Seconds by the clock, the best of seven.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.common.command import make_parser
from benchmarks.common.cost import timed
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import monge": ["-c", "import monge"],
    "from monge import ot": ["-c", "from monge import ot"],
    "monge --help": ["-m", "monge", "--help"],
    "monge ls": ["-m", "monge", "ls"],
}
REPEATS = 7


def main(argv: Sequence[str] | None = None) -> None:
    make_parser("startup", __doc__).parse_args(argv)
    seconds = {
        name: round(min(time_command(arguments) for _ in range(REPEATS)), 3)
        for name, arguments in COMMANDS.items()
    }
    write_result(results_file("startup"), {"seconds": seconds, **provenance()})
    print(seconds)


def time_command(arguments: list[str]) -> float:
    """Run Python with arguments; return the seconds by the clock."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return timed(run)[1]["wall_seconds"]
