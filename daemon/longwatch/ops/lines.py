"""One line for a person: a topic, a text, and how loud; made by the narrator's tellers."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from longwatch.ops.logs import TOPIC_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What to tell, under which topic, and how loud (a level of logging)."""

    topic: str
    text: str
    level: int = logging.INFO

    def __str__(self) -> str:
        return f"{self.topic:<{TOPIC_WIDTH}}{self.text}"


def warning(topic: str, text: str) -> Line:
    return Line(topic=topic, text=text, level=logging.WARNING)


def quiet(topic: str, text: str) -> Line:
    """For those who look closer: an alert or another line tells it already."""
    return Line(topic=topic, text=text, level=logging.DEBUG)
