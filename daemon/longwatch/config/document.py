"""Reads YAML 1.2 (and so JSON) into plain values that know their lines; called by the loader alone.

The text is composed to nodes by ruamel.yaml and resolved here by the core schema of YAML 1.2.2, section 10.3.2:
`NO` and `16:00` are text, `1e3` is a number, and there are no dates. A key given twice is a mistake, never a silent
override.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longwatch.config.mistakes import Mistake, dotted

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.nodes import ScalarNode

Path = tuple[str | int, ...]

_MOST_NODES = 100_000  # aliases can blow a small file up; no honest configuration comes near
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_BASED = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}
_TAGS = frozenset(("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "value", "merge"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text's values, the line of every key and item by path, and the mistakes met on the way."""

    name: str
    value: Any
    lines: Mapping[Path, int]
    mistakes: tuple[Mistake, ...]

    def line_of(self, path: Path) -> int | None:
        """The line of a path, or of the nearest thing above it that has one."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)


def read(text: str, name: str) -> Document:
    """Reads a YAML 1.2 or JSON text; a text that is neither gives a document of one mistake."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = _Reader(name)
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        text = text.replace("\t", " ")  # JSON may be indented by tabs, YAML may not; inside JSON strings they are \t
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        value = None if node is None else reader.value(node, ())
    except MarkedYAMLError as error:
        return _unreadable(name, _line_of(error), _said(error))
    except YAMLError as error:
        return _unreadable(name, None, str(error).splitlines()[0])
    except RecursionError:
        return _unreadable(name, None, "nested too deeply")
    return Document(name=name, value=value, lines=reader.lines, mistakes=tuple(reader.mistakes))


def plain(text: str) -> Any:
    """A scalar without quotes, by the core schema: nothing, a truth value, a number, or else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Reader:
    """Turns one tree of nodes into values, noting lines and mistakes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}
        self.mistakes: list[Mistake] = []
        self._nodes_left = _MOST_NODES

    def value(self, node: Any, path: Path) -> Any:
        """The plain value of a node."""
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise RecursionError
        if str(node.tag).removeprefix("tag:yaml.org,2002:") not in _TAGS:
            self._note(path, node, f"the tag {node.tag} is not known here", "remove it")
            return None
        match node.id:
            case "mapping":
                return dict(self._entries(node, path))
            case "sequence":
                return [self._item(item, (*path, number)) for number, item in enumerate(node.value)]
            case _:
                return _scalar(node)

    def _entries(self, node: Any, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                self._note(path, key_node, "a key must be a single word", "")
                continue
            key, line = _joined(key_node.value), key_node.start_mark.line + 1
            if key in seen:
                self._note((*path, key), key_node, f"given twice, first on line {seen[key]}", "keep one of them")
            else:
                seen[key] = self.lines[(*path, key)] = line
                yield key, self.value(value_node, (*path, key))

    def _item(self, node: Any, path: Path) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _note(self, path: Path, node: Any, text: str, hint: str) -> None:
        line = node.start_mark.line + 1
        self.mistakes.append(Mistake(where=self.name, line=line, key=dotted(path), text=text, hint=hint))


def _scalar(node: ScalarNode) -> Any:
    if not node.style:
        return plain(node.value)
    return _joined(node.value)


def _joined(text: str) -> str:
    """The text with surrogate pairs made one character: JSON writes those beyond U+FFFF so, YAML keeps them apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unreadable(name: str, line: int | None, said: str) -> Document:
    mistake = Mistake(where=name, line=line, key="", text=f"not readable as YAML 1.2 or JSON: {said}")
    return Document(name=name, value=None, lines={}, mistakes=(mistake,))


def _line_of(error: MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return None if mark is None else mark.line + 1


def _said(error: MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part) or "malformed"
