"""Settings from layers of values, or from what is right in them; called by the loader alone."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from longwatch.config.schema import Settings

_MOST_ROUNDS = 20

Loc = tuple[str | int, ...]
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What each source gives, as trees below `trading`; which goes before which is said in `sources.Root`."""

    variables: Tree = field(default_factory=dict)
    secrets: Tree = field(default_factory=dict)
    file: Tree = field(default_factory=dict)


def settle(layers: Layers) -> tuple[Settings, list[ErrorDetails]]:
    """Settings from what is right in `layers`, and what is wrong; wrong settings are left at their defaults."""
    from longwatch.config.sources import Root

    first: list[ErrorDetails] | None = None
    for _ in range(_MOST_ROUNDS):
        try:
            return Root(layers).trading, first or []
        except ValidationError as error:
            errors = [_below_root(each) for each in error.errors(include_url=False)]
            first = errors if first is None else first
            layers = _without(layers, {_place_of(each) for each in errors})
    return Settings(), first or []


def _below_root(error: ErrorDetails) -> ErrorDetails:
    return cast(ErrorDetails, {**error, "loc": error["loc"][1:]})


def _place_of(error: ErrorDetails) -> Loc:
    """What must go for the rest to stand: the setting, or what lacks it."""
    return error["loc"][:-1] if error["type"] == "missing" else error["loc"]


def _without(layers: Layers, places: Iterable[Loc]) -> Layers:
    """The layers without what lies at `places`, or the nearest thing above it."""
    trees = {each.name: deepcopy(getattr(layers, each.name)) for each in fields(layers)}
    for place in sorted(places, key=lambda loc: [str(part).rjust(9) for part in loc], reverse=True):
        depths = {name: _depth(tree, place) for name, tree in trees.items()}
        deepest = max(depths.values())
        for name, depth in depths.items():
            # A layer that reaches less deep holds only neighbours of what is wrong: they stay.
            if depth == deepest > 0:
                _drop(trees[name], place[:depth])
    return Layers(**trees)


def _depth(tree: Any, place: Loc) -> int:
    """How many steps of `place` the tree has."""
    for depth, part in enumerate(place):
        listed = isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        if not listed and not (isinstance(tree, dict) and part in tree):
            return depth
        tree = tree[part]
    return len(place)


def _drop(tree: Any, place: Loc) -> None:
    for part in place[:-1]:
        tree = tree[part]
    del tree[place[-1]]
