"""The names of ``import monge``."""

from __future__ import annotations

import subprocess
import sys

import pytest

import monge
from monge.data import CATALOG
from monge.training import recipe, shipped


def test_import_loads_no_dependency_and_every_name_resolves() -> None:
    script = (
        "import sys, monge\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pydantic', 'matplotlib', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "for name in dir(monge): assert getattr(monge, name) is not None\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_public_names() -> None:
    assert set(dir(monge)) == {*monge.__all__, "__version__"}
    assert monge.__all__ == sorted(monge.__all__)
    assert 18 <= len(monge.__all__) <= 24
    assert all(getattr(monge, name).__doc__ for name in monge.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'monge' has no attribute 'trian'"):
        _ = monge.trian
    assert not hasattr(monge, "Wasserstein")


def test_subpackages_do_not_hide_functions() -> None:
    """A submodule of the same name would replace a function as soon as it is imported."""
    from importlib.util import find_spec

    functions = [n for n in monge.__all__ if callable(getattr(monge, n))]
    assert [name for name in functions if find_spec(f"monge.{name}")] == []


def test_lists_hold_what_train_takes() -> None:
    assert monge.list_methods() == recipe.recipe_methods()
    assert monge.list_methods("*wae") == ["sinkhorn_wae", "wae", "wwae"]
    assert monge.list_datasets() == [entry.name for entry in CATALOG]
    assert monge.list_recipes() == [name for name, _ in shipped()]
    assert monge.list_recipes("no*") == []
