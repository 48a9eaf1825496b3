"""Presets, the variants of a recipe that its file holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from monge.cli.train import main
from monge.errors import MongeError
from monge.training import RunFolder, parse, read, to_yaml, train

TREE = {
    "about": {"title": "small", "cost": "a second"},
    "data": {"name": "8gaussians"},
    "method": {"name": "sinkhorn_gan", "batch": 16, "nets": {"width": 8}, "adam": {"lr": 0.002}},
    "run": {"steps": 4, "every": 2},
    "eval": {"samples": 64},
    "presets": {
        "gpu": {"about": {"cost": "a GPU-second"}, "method": {"batch": 32}, "run": {"steps": 6}},
        "long": {"run": {"steps": 8}},
    },
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(TREE))
    return path


def test_preset_overrides_keys_of_the_recipe(file: Path) -> None:
    recipe, gpu = read(file), read(file, "gpu")
    assert (gpu.method.batch, gpu.run.steps, gpu.about.cost) == (32, 6, "a GPU-second")
    assert (gpu.method.adam.lr, gpu.method.nets.width) == (0.002, 8)
    assert (gpu.run.every, gpu.about.title) == (2, "small")
    assert (recipe.method.batch, recipe.run.steps) == (16, 4)
    assert list(recipe.presets) == ["gpu", "long"]
    assert read(file, "cpu") == recipe
    assert gpu.presets == {}


def test_unknown_preset_is_an_error_with_suggestions(file: Path) -> None:
    with pytest.raises(
        MongeError, match=r"unknown preset 'gpuu' of recipe 'small'; did you mean 'gpu'\?"
    ):
        read(file, "gpuu")
    with pytest.raises(MongeError, match="there are: cpu, gpu, long"):
        read(file, "xyz")


@pytest.mark.parametrize(
    ("presets", "message"),
    [
        (
            {"gpu": {}, "big": {"method": {"bach": 3}}},
            "here, preset 'big': unknown key 'method.bach'; did you mean 'batch'?",
        ),
        ({"big": {"runn": {}}}, "here, preset 'big': unknown key 'runn'; did you mean 'run'?"),
        ({"big": {"run": {"steps": 0}}}, "here, preset 'big': run.steps = 0"),
        ({"big": {"presets": {}}}, "here, preset 'big': unknown key 'presets'"),
        ({"cpu": {"run": {"steps": 5}}}, "preset 'cpu' always means the unchanged recipe"),
        ({"big": 3}, "here: presets.big = 3"),
    ],
)
def test_wrong_preset_is_an_error_of_the_recipe(presets: object, message: str) -> None:
    with pytest.raises(MongeError, match=re.escape(message)):
        parse({**TREE, "presets": presets}, "here")


def test_presets_are_not_stored_in_a_run(file: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    train(read(file), folder)
    assert "presets" not in yaml.safe_load(folder.config.read_text())
    assert "presets" not in to_yaml(read(file))
    changed = {**TREE, "presets": {"gpu": {"run": {"steps": 7}}}}
    train(parse(changed, "here"), folder)  # the same run
    with pytest.raises(MongeError, match=r"method\.batch: 16 there, 32 here"):
        train(read(file, "gpu"), folder)
    assert folder.recipe().presets == {}


def test_flags_override_the_preset(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--preset", "gpu", "--run.steps", "9"], ["--run.steps=9", "--preset=gpu"]):
        assert main([str(file), *flags, "--print-config"]) == 0
        shown = yaml.safe_load(capsys.readouterr().out)
        assert (shown["method"]["batch"], shown["run"]["steps"]) == (32, 9)
        assert "presets" not in shown
    for flags, folder in (
        (["--preset", "gpu"], "runs/small-gpu"),
        (["--preset", "cpu"], "runs/small"),
        ([], "runs/small"),
    ):
        assert main([str(file), *flags, "--dry-run"]) == 0
        assert capsys.readouterr().out.strip().endswith(f"the run would go to {folder}")
    for flags in (["--preset"], ["--preset", "--fresh"], ["--preset="]):
        with pytest.raises(MongeError, match="--preset needs a value"):
            main([str(file), *flags])
    with pytest.raises(MongeError, match="unknown flag --presett; did you mean '--preset'"):
        main([str(file), "--presett", "gpu"])
    with pytest.raises(MongeError, match="unknown flag --presets"):
        main([str(file), "--presets", "gpu"])


def test_help_and_ls_mention_presets(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from monge.cli import ls

    assert main(["--help"]) == 0
    assert "--preset NAME" in capsys.readouterr().out
    assert main([str(file), "--preset", "gpu", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--preset STR" in text
    assert "--presets" not in text
    assert "(default: 32)" in text
    assert main([str(file), "--help"]) == 0
    assert "presets" not in capsys.readouterr().out

    (tmp_path / "recipes").mkdir()
    about = dict.fromkeys(("title", "paper", "cost", "expected"), "-")
    (tmp_path / "recipes" / "small.yaml").write_text(yaml.safe_dump({**TREE, "about": about}))
    monkeypatch.setattr(ls.resources, "files", lambda _: tmp_path)
    assert ls.main([]) == 0
    assert "    presets: cpu, gpu, long\n" in capsys.readouterr().out
