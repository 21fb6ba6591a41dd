"""`longwatch …` run in this process, as a person would at a prompt; used by the tests of every part's commands."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from longwatch import cli

Shell = Callable[..., tuple[int, str, str]]


def shell_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *before: str) -> Shell:
    """Runs a command that begins with the words `before`: exit code, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["longwatch", *before, *map(str, words)])
        return exit_code(), *capsys.readouterr()

    return run


def exit_code() -> int:
    """Run what the arguments of this process say."""
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
