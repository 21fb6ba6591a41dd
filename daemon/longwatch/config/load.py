"""Reads file, environment and secrets into settings or into every mistake; called by `app`, `check` and reload."""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import ErrorDetails

from longwatch.config import checks, codes, document, environment, wording
from longwatch.config.document import Document
from longwatch.config.environment import Override
from longwatch.config.layers import Layers, Loc, Tree, settle
from longwatch.config.mistakes import ConfigErrors, Mistake, dotted
from longwatch.config.schema import ROOT, Settings, every_setting, is_secret
from longwatch.errors import ConfigError

_MOST_BYTES = 1_048_576
_SILENCE_SECONDS = 5.0
"""How long a pipe may say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings that passed every check, what is odd about them, and the SHA-256 of the file's bytes in hexadecimal."""

    settings: Settings
    warnings: tuple[str, ...]
    source_text_sha256: str


def load(path: Path | str, environ: Mapping[str, str]) -> Loaded:
    """Reads the file, lays the environment over it and checks the whole.

    Raises ConfigError when there is no such file to read, and ConfigErrors with every mistake at once when it is wrong.
    """
    raw = _bytes(Path(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistake = Mistake(where=str(path), line=line, key="", text="not text in UTF-8", hint="save the file as UTF-8")
        raise ConfigErrors([mistake]) from None
    loaded = parse(text, name=str(path), environ=environ, sha256=hashlib.sha256(raw).hexdigest())
    if loaded.settings.ib.codes_file is not None:
        codes.read_codes(loaded.settings.ib.codes_file)
    return loaded


def parse(text: str, *, name: str, environ: Mapping[str, str], sha256: str | None = None) -> Loaded:
    """The same for a text; `name` stands before the line numbers. Raises ConfigErrors."""
    source = document.read(text, name)
    found, mistakes = environment.overrides(environ)
    reading = _Reading(source, found)
    settings = reading.settings([*source.mistakes, *mistakes], environ)
    return Loaded(
        settings=settings,
        warnings=tuple(reading.warnings(settings)),
        source_text_sha256=sha256 or hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
    )


def check(
    path: Path | str, environ: Mapping[str, str], doubts: Callable[[Loaded], Iterable[str]] = lambda loaded: ()
) -> tuple[list[str], int]:
    """What `longwatch check` prints and its exit code: a line a mistake and 78, or the warnings, a verdict and 0.

    `doubts` are warnings that need more than the file.
    """
    try:
        loaded = load(path, environ)
    except ConfigErrors as errors:
        return errors.lines(), errors.exit_code
    except ConfigError as error:
        return [str(error)], error.exit_code
    s = loaded.settings
    verdict = f"{path}: good; mode {s.mode}, data from {s.data_provider}, executor {s.executor}"
    return [*(f"warning: {one}" for one in (*loaded.warnings, *doubts(loaded))), verdict], 0


def demo_path() -> Path:
    """The file of the demo's settings, shipped with the package."""
    return Path(__file__).with_name("demo.yaml")


class _Reading:
    """One source with what the environment lays over it, on its way to settings."""

    def __init__(self, source: Document, found: list[Override]) -> None:
        self._source = source
        self._found = found

    def settings(self, mistakes: list[Mistake], environ: Mapping[str, str]) -> Settings:
        """The settings, when no mistake was and is found."""
        file_tree = self._file_tree(mistakes)
        if file_tree is None:
            raise ConfigErrors(mistakes)
        file_tree = environment.spelled_out(file_tree)
        mistakes += self._secrets_given(file_tree)
        layers = Layers(variables=environment.as_tree(self._found, file_tree), file=file_tree)
        settings, errors = settle(layers)
        mistakes += [self._mistake(error) for error in errors]
        for path, reason in checks.broken(checks.MISTAKES, settings, [error["loc"] for error in errors]):
            text, _, hint = reason.partition("; ")
            mistakes.append(self._at((ROOT, *path), text, hint))
        secrets = self._secrets(settings, environ, mistakes)
        if mistakes:
            raise ConfigErrors(mistakes)
        return settle(replace(layers, secrets=secrets))[0] if secrets else settings

    def warnings(self, settings: Settings) -> list[str]:
        """What is odd but allowed: variables that shadow the file, settings out of the ordinary."""
        odd = [str(self._at((ROOT, *path), reason)) for path, reason in checks.broken(checks.WARNINGS, settings)]
        return [*filter(None, map(self._shadow, self._found)), *odd]

    def _file_tree(self, mistakes: list[Mistake]) -> Tree | None:
        """What stands below `trading`; notes what is wrong above that, and is None when nothing stands there."""
        whole = self._source.value
        if whole is None and self._source.mistakes:
            return None
        if whole is not None and not isinstance(whole, dict):
            text = f"found {wording.shown(whole)} where settings must stand"
            mistakes.append(self._at((), text, f"begin with `{ROOT}:`"))
            return None
        unknown = [name for name in whole or {} if name != ROOT]
        mistakes += [self._at((name,), "unknown setting", wording.nearest((), name)) for name in unknown]
        tree = (whole or {}).get(ROOT)
        if isinstance(tree, dict):
            return tree
        if not unknown:
            text = f"must be a group of settings, found {wording.shown(tree)}"
            mistakes.append(self._at((ROOT,), text, f"write the settings below a line `{ROOT}:`"))
        return None

    def _secrets_given(self, tree: Tree) -> list[Mistake]:
        """A secret in the file itself is a mistake; it is taken out, so that it is never shown."""
        mistakes = []
        for path, field in every_setting():
            if is_secret(field) and isinstance(group := tree.get(path[0]), dict) and path[-1] in group:
                tree[path[0]] = {name: value for name, value in group.items() if name != path[-1]}
                hint = f"put it into a file of its own and name that in {path[-1]}_file"
                mistakes.append(self._at((ROOT, *path), "a secret must not stand here", hint))
        return mistakes

    def _secrets(self, settings: Settings, environ: Mapping[str, str], mistakes: list[Mistake]) -> Tree:
        """The secrets that could be read; where they lie is itself a setting, so settings come before them."""
        tree: Tree = {}
        for secret in environment.secrets(settings, environ):
            group, name = secret.path
            if secret.problem:
                mistakes.append(self._at((ROOT, group, f"{name}_file"), secret.problem))
            else:
                tree.setdefault(group, {})[name] = SecretStr(secret.text)
        return tree

    def _mistake(self, error: ErrorDetails) -> Mistake:
        text, hint = wording.said(error)
        # Only a branch of pydantic's own, inside a strategy's parameters, lies deeper than four steps.
        return self._at((ROOT, *error["loc"][:4]), text, hint)

    def _at(self, path: Loc, text: str, hint: str = "") -> Mistake:
        """A mistake in its place: the variable that set it, or the file's line."""
        below = path[1:]
        for override in self._found:
            if below[: len(override.path)] == override.path:
                return Mistake(where=override.variable, line=None, key=dotted(path), text=text, hint=hint)
        line = self._source.line_of(path)
        return Mistake(where=self._source.name, line=line, key=dotted(path), text=text, hint=hint)

    def _shadow(self, override: Override) -> str | None:
        path = (ROOT, *override.path)
        line = self._source.lines.get(path)
        if line is None:
            return None
        return f"{override.variable} takes the place of {dotted(path)} on line {line} of {self._source.name}"


def _bytes(path: Path) -> bytes:
    try:
        # A pipe may be opened by nobody else, or its writer may say nothing: neither keeps a reader waiting.
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            raw = b"".join(_pieces(file, path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the path of a configuration file") from None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigError(f"{path}: the configuration file can't be read: {reason}") from None
    if len(raw) > _MOST_BYTES:
        raise ConfigError(f"{path}: larger than {_MOST_BYTES:,} bytes; this is not a configuration file")
    return raw


def _pieces(file: FileIO, path: Path) -> Iterator[bytes]:
    """What a file has, up to one byte more than is allowed. Raises ConfigError when a pipe falls silent."""
    left = _MOST_BYTES + 1
    while left:
        if not select.select([file], [], [], _SILENCE_SECONDS)[0]:
            silence = f"nothing came for {_SILENCE_SECONDS:g} s"
            raise ConfigError(f"{path}: {silence}; give a file, or a pipe that is written to")
        piece = file.read(left)
        if not piece:
            return
        left -= len(piece)
        yield piece
