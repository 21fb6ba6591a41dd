"""docs/proof.md in parts: each part of `make proof` writes its own, and leaves those of the others as they are."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "proof.md"
PART = re.compile(r"^<!-- part (\w+) -->\n(.*?)\n<!-- end of \1 -->$", re.MULTILINE | re.DOTALL)
HEAD = "# Proof\n\nWhat `make proof` last came to, part by part.\n"


def write_part(page: Path, name: str, text: str) -> None:
    """Put `text` in the place of the part `name` of the page, or at its end."""
    parts = dict(PART.findall(page.read_text())) if page.exists() else {}
    parts[name] = text.strip("\n")
    written = (f"<!-- part {name} -->\n{part}\n<!-- end of {name} -->\n" for name, part in parts.items())
    page.write_text("\n".join([HEAD, *written]))
