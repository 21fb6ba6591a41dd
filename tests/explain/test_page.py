"""docs/why.md shows what the demo's third order is told as."""

from __future__ import annotations

import re

from tests.explain.page import example, story


def _shape(text: str) -> list[str]:
    """Lines without hashes of files and numbers of records, which change with anything else that is written.

    Without the list of checks that passed too: it is docs/limits.md's matter, and every new limit is a new line.
    """
    lines = re.sub(r"(source|config|record) [0-9a-f]+\b", r"\1 …", re.sub(r"\d+ passed", "… passed", text)).splitlines()
    return [line for line in lines if not re.match(r" {12}[a-z_]+ {2,}\S", line)]


def test_the_example_is_what_the_demo_gives() -> None:
    """Every figure of it; `python -m tests.explain.page` writes it anew."""
    assert _shape(example()) == _shape(story())
    assert "quote_age" in example() and "clamps    max_weight" in example()
