"""The examples of the gallery run by themselves and write the picture that they promise."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
SYSTEMS = {
    "music to dance": {"curves_to_curves", "dance_on_the_beat"},
    "interpolation": {"digit_paths", "melody_paths"},
    "Wasserstein-2 generative networks": {"color_transfer", "w2_maps"},
    "semi-discrete and entropic transport": {"laguerre_cells", "texture"},
    "OT-GAN and its relatives": {"gan_objectives", "training_loop"},
}
NAMES = sorted({path.stem.removeprefix("plot_") for path in EXAMPLES.glob("plot_*.py")})
CORE = {"matplotlib", "monge", "numpy", "PIL", "scipy", "sklearn", "torch"}


def test_each_system_has_two_examples() -> None:
    assert [len(names) for names in SYSTEMS.values()] == [2] * 5
    assert sorted(name for names in SYSTEMS.values() for name in names) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_example_has_gallery_format(name: str) -> None:
    text = (EXAMPLES / f"plot_{name}.py").read_text()
    tree = ast.parse(text)
    docstring = ast.get_docstring(tree)
    assert docstring is not None
    title, rule, blank, prose = docstring.split("\n", 3)
    assert title
    assert rule == "=" * len(title)
    assert blank == ""
    assert len(prose.split()) > 20
    lines = text.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
    cells = [i for i, line in enumerate(lines) if line == "# %%"]
    assert len(cells) >= 3
    assert all(lines[i + 1].startswith("# ") for i in cells)


@pytest.mark.parametrize("name", NAMES)
def test_example_imports_core_dependencies_only(name: str) -> None:
    tree = ast.parse((EXAMPLES / f"plot_{name}.py").read_text())
    modules = {
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    }
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= CORE


@pytest.mark.parametrize("name", NAMES)
def test_example_writes_its_picture(name: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MONGE_DATA"}
    environment |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"plot_{name}.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert [path.name for path in tmp_path.glob("*.png")] == [f"{name}.png"]
    pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
    assert min(pixels.shape[:2]) > 300
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
