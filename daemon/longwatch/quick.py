"""A faster `__init__` for frozen dataclasses of which many are made each second; used by every part that has such.

The one that dataclasses write sets each field by a call of `object.__setattr__`, which is most of what making a value
costs. Here the new value is for a moment one of a class without the ban, and its fields are set as any attribute's.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")

_UNBANNED = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
_BECOME = object.__dict__["__class__"].__set__


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
