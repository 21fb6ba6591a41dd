"""That a part of the proof's page names the package's newest commit, and says where the package was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import proof_page


def committed(root: Path, name: str) -> str:
    """The commit that adds a file, as the page writes it."""
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(name)
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid")
    for arguments in (("add", "-A"), (*who, "commit", "-q", "-m", name)):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    asked = ["git", "log", "-1", "--format=at commit %h of %cs"]
    return subprocess.run(asked, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def test_what_follows_the_package_is_not_the_code_a_proof_was_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pages and tests may be written while a proof runs; a package that was touched says so."""
    monkeypatch.setattr(proof_page, "PAGE", tmp_path / "docs" / "proof.md")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    of_package = committed(tmp_path, "daemon/one.py")
    assert committed(tmp_path, "docs/proof.md") != of_package
    assert proof_page.code() == of_package
    (tmp_path / "daemon" / "one.py").write_text("another")
    assert proof_page.code() == f"{of_package}, with changes"
