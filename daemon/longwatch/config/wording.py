"""Puts what is wrong into plain words and finds the nearest right name; called by the loader and the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from longwatch.config.mistakes import dotted
from longwatch.config.schema import ROOT, GroupSettings, StrategySettings, every_setting, is_secret

_MOST_SHOWN = 60

_TEXTS: Mapping[str, str] = {
    "missing": "must be given",
    "int_type": "must be a whole number, found {found}",
    "float_type": "must be a number, found {found}",
    "decimal_type": "must be a number, found {found}",
    "decimal_parsing": "must be a number, found {found}",
    "finite_number": "must be a finite number, found {found}",
    "bool_type": "must be true or false, found {found}",
    "string_type": "must be text, found {found}",
    "path_type": "must be a path, found {found}",
    "literal_error": "must be {expected}, found {found}",
    "greater_than": "must be above {gt}, found {found}",
    "greater_than_equal": "must be at least {ge}, found {found}",
    "less_than": "must be below {lt}, found {found}",
    "less_than_equal": "must be at most {le}, found {found}",
    "string_too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "model_type": "must be a group of settings, found {found}",
    "dict_type": "must be a group of settings, found {found}",
    "tuple_type": "must be a list, found {found}",
}
_HINTS: Mapping[str, str] = {
    "int_type": "write it without quotes and without a point",
    "float_type": "write it without quotes",
    "bool_type": "write it without quotes; yes, no, on and off are plain text here",
    "string_type": "put it in quotes",
    "model_type": "indent its settings below it, or take the line out",
}
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "name": ("must be letters, digits, - and _, found {found}", "write it like momentum"),
    "path": ("names no class, found {found}", "write path.py:Class or package.module:Class"),
    "currency": ("must be a currency of three letters, found {found}", "write it like USD"),
    "calendar": ("must be an exchange of four letters or 24/7, found {found}", "write it like XNYS"),
}


def said(error: ErrorDetails) -> tuple[str, str]:
    """One of pydantic's errors in our own words: what is wrong, and what to do."""
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return "unknown setting", nearest((ROOT, *loc[:-1]), str(loc[-1]))
        case "said":
            return str(context["text"]), str(context["hint"])
        case "string_pattern_mismatch":
            text, hint = _PATTERNS[str(loc[-1])]
        case "literal_error":
            options = str(context["expected"]).replace("'", "").replace(",", "").split()
            text, hint = _TEXTS[kind], did_you_mean(str(error["input"]), options)
        case _:
            text, hint = _TEXTS.get(kind, "is not acceptable, found {found}"), _HINTS.get(kind, "")
    return text.format(found=shown(error["input"]), **context), hint


def nearest(group: tuple[str | int, ...], name: str) -> str:
    """A question for the right name of an unknown setting: among its neighbours in `group` first, then anywhere."""
    paths = [(ROOT, *path) for path, field in every_setting() if not is_secret(field)]
    if group[:2] == (ROOT, "strategies"):
        return did_you_mean(name, StrategySettings.model_fields)
    if group[:3] == (ROOT, "risk", "groups"):
        return did_you_mean(name, GroupSettings.model_fields)
    depth = len(group)
    neighbours = {path[depth] for path in paths if path[:depth] == group and len(path) > depth}
    by_name = {path[-1]: dotted(path) for path in reversed(paths)}
    elsewhere = closest(name, by_name)
    return did_you_mean(name, neighbours) or (f"did you mean {by_name[elsewhere]}?" if elsewhere else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the `known` names as a question, or nothing when none is near."""
    near = closest(name, known)
    return f"did you mean {near}?" if near else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The nearest of the `known` names; case does not count, and the answer does not hang on their order."""
    by_folded = {option.casefold(): option for option in sorted(known)}
    near = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def shown(value: object) -> str:
    """A value as the user wrote it, shortened, for the end of a sentence."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a group of settings"
        case list() | tuple():
            return "a list"
        case str():
            return f'"{clipped(value)}"'
        case _:
            return clipped(str(value))


def clipped(text: str) -> str:
    """At most `_MOST_SHOWN` characters of a text."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
