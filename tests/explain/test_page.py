"""docs/why.md shows what the demo's third order is told as."""

from __future__ import annotations

import re

from tests.explain.page import example, story


def _shape(text: str) -> list[str]:
    """Lines without hashes of files and numbers of records, which change with anything else that is written."""
    return re.sub(r"(source|config|record) [0-9a-f]+\b", r"\1 …", text).splitlines()


def test_the_example_is_what_the_demo_gives() -> None:
    """Every figure of it; `python -m tests.explain.page` writes it anew."""
    assert _shape(example()) == _shape(story())
    assert "quote_age" in example() and "clamps    max_weight" in example()
