"""docs/proof.md in parts: each part of `make proof` writes its own, and leaves those of the others as they are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "proof.md"
PART = re.compile(r"^<!-- part (\w+) -->\n(.*?)\n<!-- end of \1 -->$", re.MULTILINE | re.DOTALL)
HEAD = "# Proof\n\nWhat `make proof` last came to, part by part.\n"


def write_part(page: Path, name: str, text: str, *, names_code: bool = False) -> None:
    """Put `text` in the place of the part `name` of the page, or at its end; it is of the package that is checked out.

    One that `names_code` says that of each of its rows.
    """
    parts = dict(PART.findall(page.read_text())) if page.exists() else {}
    parts[name] = text.strip("\n") + ("" if names_code else f"\n\nOf the code {code()}.")
    written = (f"<!-- part {name} -->\n{part}\n<!-- end of {name} -->\n" for name, part in parts.items())
    page.write_text("\n".join([HEAD, *written]))


def code() -> str:
    """The newest commit of the package and its day, and whether the package was changed since: pages may follow it."""
    root = PAGE.parents[1]
    asked = ["git", "log", "-1", "--format=at commit %h of %cs", "--", "daemon"]
    commit = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "daemon"], cwd=root, check=False).returncode
    return (commit or "of no repository") + (", with changes" if commit and changed else "")
