"""Reads a person's file of codes: what further codes of IB mean for orders; called by the loader and for the broker.

The file is YAML, a list below `codes:`; each row has `code`, `meaning` and `verdict`, and may have `after_modify`,
`after_cancel` and `severity`. Only a code that is named here with a verdict that ends orders ends one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longwatch.config import document
from longwatch.config.document import Document
from longwatch.config.mistakes import ConfigErrors, Mistake, dotted
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.errors import ConfigError

VERDICTS = tuple(verdict.value for verdict in Verdict)
SEVERITIES = ("info", "warning", "critical")
LINKS = frozenset({326, 1100, 1101, 1102, 1300, *range(2103, 2109), 2110, *range(2157, 2160)})
"""Codes about the connection and the farms: what they mean is not for a file to say."""
REFUSED_LATER = {
    "after_modify": {Verdict.REJECTED: Verdict.UNCHANGED},
    "after_cancel": {Verdict.REJECTED: Verdict.REJECTED_IF_NEW},
}
"""What ends a new order leaves the one that was there before, unless the file says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCode:
    """One row: the verdicts on a new order, on one that was modified, and on one whose cancel was asked for."""

    code: int
    meaning: str
    verdict: Verdict
    after_modify: Verdict
    after_cancel: Verdict
    severity: str = "warning"


def read_codes(path: Path) -> tuple[NamedCode, ...]:
    """The rows of the file. Raises ConfigErrors with every mistake and its line, ConfigError when it can't be read."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError(f"{path}: the file of codes can't be read: {reason}; mend trading.ib.codes_file") from None
    source = document.read(text, str(path))
    mistakes = list(source.mistakes)
    rows = list(_rows(source, mistakes)) if not mistakes else []
    if mistakes:
        raise ConfigErrors(mistakes)
    return tuple(rows)


def _rows(source: Document, mistakes: list[Mistake]) -> Iterator[NamedCode]:
    listed = source.value.get("codes") if isinstance(source.value, dict) else None
    if not isinstance(listed, list) or set(source.value) != {"codes"}:
        mistakes.append(_mistake(source, (), "must be one list of rows", "begin with `codes:`"))
        return
    seen: set[int] = set()
    for number, row in enumerate(listed):
        found = list(_wrong(source, number, row, seen))
        mistakes.extend(found)
        if not found:
            seen.add(row["code"])
            yield _named(row)


def _named(row: Mapping[str, Any]) -> NamedCode:
    verdict = Verdict(row["verdict"])
    later = {asked: changes.get(verdict, verdict) for asked, changes in REFUSED_LATER.items()}
    return NamedCode(
        code=row["code"],
        meaning=row["meaning"],
        verdict=verdict,
        after_modify=Verdict(row.get("after_modify", later["after_modify"])),
        after_cancel=Verdict(row.get("after_cancel", later["after_cancel"])),
        severity=row.get("severity", "warning"),
    )


Test = Callable[[Any], bool]


def _one_of(words: tuple[str, ...]) -> tuple[Test, str]:
    return lambda value: value in words, f"must be one of {', '.join(words)}"


NEEDED = ("code", "meaning", "verdict")
FIELDS: Mapping[str, tuple[Test, str]] = {
    "code": (lambda value: type(value) is int and 0 <= value < 1_000_000, "must be a whole number"),
    "meaning": (lambda value: isinstance(value, str) and bool(value.strip()), "must be a text"),
    "verdict": _one_of(VERDICTS),
    "after_modify": _one_of(VERDICTS),
    "after_cancel": _one_of(VERDICTS),
    "severity": _one_of(SEVERITIES),
}


def _wrong(source: Document, number: int, row: Any, seen: set[int]) -> Iterator[Mistake]:
    """Every mistake of one row."""
    at = ("codes", number)
    if not isinstance(row, dict):
        yield _mistake(source, at, "must be a row of settings", f"write {', '.join(NEEDED)}")
        return
    for name in row:
        if name not in FIELDS:
            yield _mistake(source, (*at, name), "unknown", f"known are {', '.join(FIELDS)}")
    for name, (holds, text) in FIELDS.items():
        if name not in row and name in NEEDED:
            yield _mistake(source, (*at, name), "is missing", text)
        elif name in row and not holds(row[name]):
            yield _mistake(source, (*at, name), f"found {row[name]!r}", text)
    code = row.get("code")
    if type(code) is not int:
        return
    if code in LINKS:
        yield _mistake(source, (*at, "code"), f"{code} is about the connection, not about orders", "leave it away")
    elif code in seen:
        yield _mistake(source, (*at, "code"), f"{code} has a row already", "keep one of them")


def _mistake(source: Document, path: document.Path, text: str, hint: str) -> Mistake:
    key = dotted(path)
    return Mistake(where=source.name, line=source.line_of(path), key=key, text=text, hint=hint)
