"""`monge ls`: list the recipes of the package. It is fast, because it reads only YAML files."""

from __future__ import annotations

import argparse
from importlib import resources

import yaml


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge ls", description="List the recipes of the package."
    )
    parser.parse_args(argv)
    for file in sorted((resources.files("monge") / "recipes").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".yaml"):
            continue
        recipe = yaml.safe_load(file.read_text())
        about = recipe["about"]
        print(f"{file.name.removesuffix('.yaml')}\n    {about['title']}")
        print(f"    method: {recipe['method']['name']} ({about['paper']})")
        print(f"    cost: {about['cost']}; expected: {about['expected']}")
        if presets := recipe.get("presets"):
            print(f"    presets: cpu, {', '.join(presets)}")
    return 0
