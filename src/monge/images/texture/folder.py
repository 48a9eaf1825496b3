"""What a folder keeps of a texture generator in training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from monge.errors import MongeError
from monge.methods.texture_generator import TextureGenerator
from monge.train import checkpoint

_FILES = ("log.jsonl", "model.safetensors", "preview.png", "generator.json")  # the last one says that the others are ours


class Work:
    """The folder of a generator in training."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder, self.about, self.checkpoints = folder, about, folder / "checkpoints"

    def claim(self, *, fresh: bool) -> None:
        """Make the folder, or check that what it holds is this training."""
        mark = self.folder / "generator.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise MongeError(f"'{self.folder}' is a file: name a folder for the generator")
        if mark.is_file() and not fresh:
            try:
                there = json.loads(mark.read_text())
            except ValueError:
                there = {}
            names = {"exemplar": "exemplar", "seed": "--seed", "steps": "--steps", "config": "settings"}
            others = [word for key, word in names.items() if there.get(key) != self.about[key]]
            if others:
                others = others[1:] or others  # the exemplar's digest covers the settings
                raise MongeError(f"'{self.folder}' holds a generator with another {others[0]}: name another folder, or --fresh")
        elif mark.is_file():
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            for name in _FILES:
                (self.folder / name).unlink(missing_ok=True)
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise MongeError(f"'{self.folder}' has other files in it: name a new folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.write_atomically(mark, (json.dumps(self.about, indent=2) + "\n").encode())

    def restore(self, method: TextureGenerator) -> tuple[int, float, tuple[str, ...]]:
        """Steps and seconds of earlier sittings, and remarks."""
        state, remarks = checkpoint.load_latest(self.checkpoints)
        log = self.folder / "log.jsonl"
        if state is None:
            log.unlink(missing_ok=True)
            return 0, 0.0, tuple(remarks)
        method.load_state_dict(state["method"])
        for name, optimizer in method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        lines = [line for line in _lines(log) if json.loads(line)["step"] <= state["step"]]
        checkpoint.write_atomically(log, "".join(line + "\n" for line in lines).encode())
        return state["step"], state["seconds"], tuple(remarks)

    def record(self, method: TextureGenerator, step: int, seconds: float, scalars: Mapping[str, float]) -> None:
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps({"step": step, "seconds": round(seconds, 3), **scalars}) + "\n")
        optimizers = {name: optimizer.state_dict() for name, optimizer in method.optimizers.items()}
        state = {"step": step, "seconds": seconds, "method": method.state_dict(), "optimizers": optimizers}
        checkpoint.save(self.checkpoints, step, state)
        weights = {name: value.contiguous() for name, value in method.average.net.state_dict().items()}
        checkpoint.write_atomically(self.folder / "model.safetensors", save(weights))


def _lines(log: Path) -> list[str]:
    """The whole lines of a log: a crash may have cut off the last."""
    return [line for line in log.read_text().splitlines() if line.endswith("}")] if log.is_file() else []
