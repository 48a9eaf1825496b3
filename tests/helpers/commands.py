"""The command line, called in the test's process."""

from __future__ import annotations

import pytest

from monge.cli.main import main


def monge(*args: object) -> int:
    """Run a command and return its exit status."""
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def refusal(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """Run a command that must fail with one line on standard error, and return the line."""
    assert monge(*args) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert error.startswith("monge: ")
    assert "\n" not in error
    assert "Traceback" not in error
    return error
