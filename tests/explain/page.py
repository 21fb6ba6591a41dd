"""Writes the example of docs/why.md: `python -m tests.explain.page`, when what the demo does or `why` tells changes."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from longwatch.explain.why import why
from longwatch.ops.why_text import why_text
from longwatch.simulation.demo import DemoOptions, play
from longwatch.simulation.loop import JumpLoop, run
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "why.md"
EXAMPLE = re.compile(r"<!-- the story -->\n```\n(.*?)```\n<!-- end of the story -->", re.DOTALL)
ORDER = "3"


def story() -> str:
    """What `longwatch why 3` prints of the demo's first days."""
    with TemporaryDirectory() as folder:
        loop = JumpLoop(pace_seconds_per_day=0.0)
        asked = DemoOptions(days=2, pace_seconds=0.0, http_port=0, as_json=True, keep=Path(folder))
        run(play(asked, Path(folder), loop), loop=loop)
        return why_text(why(Path(folder) / "journal.sqlite", ORDER)) + "\n"


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
