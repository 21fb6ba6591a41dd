"""Writes the example of docs/why.md: `python -m tests.explain.page`, when what the demo does or `why` tells changes."""

from __future__ import annotations

import re

from longwatch.explain.why import why
from longwatch.ops.why_text import why_text
from tests.conftest import ROOT
from tests.explain.made import demo

PAGE = ROOT / "docs" / "why.md"
EXAMPLE = re.compile(r"<!-- the story -->\n```\n(.*?)```\n<!-- end of the story -->", re.DOTALL)
ORDER, DAYS = "3", 5


def story() -> str:
    """What `longwatch why 3` prints of the demo's first days."""
    return why_text(why(demo(DAYS) / "journal.sqlite", ORDER)) + "\n"


def example() -> str:
    """The story that the page shows."""
    found = EXAMPLE.search(PAGE.read_text())
    assert found is not None
    return found[1]


if __name__ == "__main__":
    text = story()
    PAGE.write_text(
        EXAMPLE.sub(lambda _: f"<!-- the story -->\n```\n{text}```\n<!-- end of the story -->", PAGE.read_text())
    )
