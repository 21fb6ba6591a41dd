"""What is wrong with a configuration, one line each; made by the loader, printed by `check`, the log and `reload`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longwatch.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake: the file or variable it stands in, its line counted from 1 (None where there is none), the setting,
    what is wrong and, when something can be suggested, what to do.
    """

    where: str
    line: int | None
    key: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        said = f"{self.key}: {self.text}" if self.key else self.text
        return one_line(f"{place}: {said}" + (f"; {self.hint}" if self.hint else ""))


class ConfigErrors(ConfigError):
    """Raised when a configuration is refused; carries every mistake found, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.where, mistake.line or 0)))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a mistake."""
        return [str(mistake) for mistake in self.mistakes]


def dotted(path: tuple[str | int, ...]) -> str:
    """A setting's path as users write it: `trading.strategies[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def one_line(text: str) -> str:
    """A text without line breaks or other control characters, so one mistake stays one line."""
    return "".join(char if char.isprintable() else " " for char in text)
