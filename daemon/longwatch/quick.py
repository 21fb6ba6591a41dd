"""Faster making and changing of frozen dataclasses of which there are many; used by every part that has such.

The one that dataclasses write sets each field by a call of `object.__setattr__`, which is most of what making a value
costs. Here the new value is for a moment one of a class without the ban, and its fields are set as any attribute's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

_UNBANNED = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
_BECOME = object.__dict__["__class__"].__set__
_THAWED: dict[type, Callable[[Any], Any]] = {}
"""Of each quick class without a check of its own: what makes a copy that can still be changed."""

if TYPE_CHECKING:
    changed = replace
else:

    def changed(value, /, **changes):
        """As `dataclasses.replace`, in a third of the time where the class is quick."""
        kind = type(value)
        thawed = _THAWED.get(kind)
        if thawed is None:
            return replace(value, **changes)
        made = thawed(value)
        for name, new in changes.items():
            setattr(made, name, new)
        made.__class__ = kind
        return made


def quick(kind: type[T]) -> type[T]:
    """The same class, made faster; for frozen dataclasses with slots and keywords only. Raises TypeError for others."""
    specs = fields(kind)  # type: ignore[arg-type]  # that it is a dataclass is what is looked at here
    if "__slots__" not in vars(kind) or not all(spec.kw_only for spec in specs):
        raise TypeError(f"{kind.__qualname__} is no dataclass with slots and keywords only")
    slots = {"__slots__": vars(kind)["__slots__"]}
    known: dict[str, Any] = {
        "_kind": kind,
        "_thawed": type(kind.__name__, kind.__bases__, {**slots, **_UNBANNED}),
        "_become": _BECOME,
        "_unset": MISSING,
        "_new": object.__new__,
    }
    heads = [_head(spec, known) for spec in specs if spec.init]
    sets = [f"self.{spec.name} = {_value(spec, known)}" for spec in specs if spec.init or spec.default_factory]
    after = ["self.__post_init__()"] if hasattr(kind, "__post_init__") else []
    lines = ["_become(self, _thawed)", *sets, "self.__class__ = _kind", *after]
    exec(f"def __init__(self, *, {', '.join(heads)}):\n " + "\n ".join(lines), known)
    made, former = known["__init__"], vars(kind)["__init__"]
    made.__qualname__, made.__module__ = former.__qualname__, kind.__module__
    made.__annotations__ = former.__annotations__
    setattr(kind, "__init__", made)  # noqa: B010 - mypy takes no other method
    if not after:
        copies = "\n ".join(f"made.{spec.name} = value.{spec.name}" for spec in specs)
        exec(f"def thawed(value):\n made = _new(_thawed)\n {copies}\n return made", known)
        _THAWED[kind] = known["thawed"]
    return kind


def _head(spec: Field[Any], known: dict[str, Any]) -> str:
    """A parameter, its default under a name of its own."""
    if spec.default_factory is not MISSING:
        return f"{spec.name}=_unset"
    if spec.default is MISSING:
        return spec.name
    known[f"_default_{spec.name}"] = spec.default
    return f"{spec.name}=_default_{spec.name}"


def _value(spec: Field[Any], known: dict[str, Any]) -> str:
    """What a field is set to."""
    if spec.default_factory is MISSING:
        return spec.name
    known[f"_make_{spec.name}"] = spec.default_factory
    return f"_make_{spec.name}() if {spec.name} is _unset else {spec.name}"
