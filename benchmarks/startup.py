"""Time what a person waits for before anything happens; writes benchmarks/results/startup.json
(best of seven, seconds).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from reproduce import RESULTS, surroundings

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import monge": ["-c", "import monge"],
    "from monge import ot": ["-c", "from monge import ot"],
    "monge --help": ["-m", "monge", "--help"],
    "monge ls": ["-m", "monge", "ls"],
}


def seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


if __name__ == "__main__":
    found = {
        name: round(min(seconds(arguments) for _ in range(7)), 3)
        for name, arguments in COMMANDS.items()
    }
    (RESULTS / "startup.json").write_text(
        json.dumps({"seconds": found, **surroundings()}, indent=2) + "\n"
    )
    print(found)
