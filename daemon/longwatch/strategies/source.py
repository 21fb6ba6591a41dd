"""Where a strategy's code comes from: a file or a module, its hash, and blame for what it raises; used by worker.py."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pydantic

from longwatch.errors import StrategyError
from longwatch.strategies.base import Needs, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A strategy made from its source, the SHA-256 (hex) of that file, and what it needs."""

    strategy: Strategy
    source_hash: str
    needs: Needs


def load(reference: str, parameters: Mapping[str, Any], folder: Path | None = None) -> Loaded:
    """Make the strategy that `reference` names, `path.py:Class` or `package.module:Class`, with `parameters`.

    A relative path counts from `folder`, or from the working directory. Runs the source's top level: call it in a
    process that may be killed. Raises StrategyError naming the file and what is wrong.
    """
    source = locate(reference, folder)
    digest = hash_of(reference, folder)
    with blamed(reference):
        found = getattr(_module(reference, source, digest), _split(reference)[1], None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise StrategyError(
            f"strategy {reference}: {source} has no such subclass of longwatch.strategies.base.Strategy"
        )
    with blamed(reference):
        strategy = found(_checked(reference, found.Parameters, parameters))
        needs = strategy.needs()
    if not isinstance(needs, Needs):
        raise StrategyError(f"strategy {reference}: needs() returned {type(needs).__name__}, and Needs is wanted")
    return Loaded(strategy=strategy, source_hash=digest, needs=needs)


def locate(reference: str, folder: Path | None = None) -> Path:
    """The source file of a reference; a module's parent packages are imported to find it."""
    place, _ = _split(reference)
    if _is_path(place):
        path = (folder or Path()) / place
        if not path.is_file():
            raise StrategyError(f"strategy {reference}: there is no file {path}")
        return path.resolve()
    with blamed(reference):
        try:
            spec = importlib.util.find_spec(place)
        except ModuleNotFoundError as error:
            raise StrategyError(f"strategy {reference}: there is no module {error.name}") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise StrategyError(f"strategy {reference}: there is no module {place} with a source file")
    return Path(spec.origin)


def hash_of(reference: str, folder: Path | None = None) -> str:
    """SHA-256 (hex) of the source file as it is now."""
    source = locate(reference, folder)
    try:
        return hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError as error:
        raise StrategyError(f"strategy {reference}: {source} can't be read ({error.strerror})") from error


@contextmanager
def blamed(reference: str) -> Iterator[None]:
    """The firewall round a strategy's own code: whatever it raises is one StrategyError naming its line."""
    try:
        yield
    except StrategyError:
        raise
    except (Exception, SystemExit) as error:  # firewall "task": a strategy's own code may raise anything
        raise StrategyError(f"strategy {reference} raised {_told(error)}") from error


def _told(error: BaseException) -> str:
    """The last line of a traceback, and the line of code it is about."""
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    if isinstance(error, SyntaxError):
        return f"{text[:300]} ({Path(error.filename or '?').name}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((sys.prefix, sys.base_prefix, "<frozen"))]
    where = (own or frames)[-1]
    return f"{text[:300]} ({Path(where.filename).name}:{where.lineno})"


def _split(reference: str) -> tuple[str, str]:
    place, separator, name = reference.rpartition(":")
    if not (separator and place and name.isidentifier()):
        raise StrategyError(f"strategy {reference}: write path.py:Class or package.module:Class")
    return place, name


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _module(reference: str, source: Path, digest: str) -> ModuleType:
    place, _ = _split(reference)
    if not _is_path(place):
        return importlib.import_module(place)
    name = f"longwatch_strategy_{digest[:16]}"
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise StrategyError(f"strategy {reference}: {source} is not a Python source file")
    module = importlib.util.module_from_spec(spec)
    # Annotations of models and dataclasses are looked up through sys.modules while the module is still running.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _checked(reference: str, model: type[pydantic.BaseModel], parameters: Mapping[str, Any]) -> pydantic.BaseModel:
    unknown = sorted(set(parameters) - _names(model)) if model.model_config.get("extra") != "allow" else []
    if unknown:
        known = ", ".join(sorted(_names(model))) or "none"
        raise StrategyError(f"strategy {reference}: unknown parameter {unknown[0]!r}; it has {known}")
    try:
        return model.model_validate(dict(parameters))
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise StrategyError(f"strategy {reference}: parameters are wrong: {faults}") from error


def _names(model: type[pydantic.BaseModel]) -> set[str]:
    return {name for key, info in model.model_fields.items() for name in (key, info.alias) if name}
