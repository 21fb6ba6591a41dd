"""Environment variables over the file, and secrets from files or systemd's credentials; called by the loader alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

from longwatch.config.document import plain, read
from longwatch.config.mistakes import Mistake
from longwatch.config.schema import Settings, every_setting, is_secret
from longwatch.config.wording import clipped, closest

PREFIX = "LONGWATCH_"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
# Variables that carry our prefix and are no settings: where the tests find recordings.
NOT_SETTINGS = frozenset({"LONGWATCH_RECORDED"})
_MOST_SECRET_BYTES = 65_536

SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One variable's word on one setting, its path below `trading`."""

    variable: str
    path: SettingPath
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret's text, or the problem that kept it from being read; its path below `trading` is group and name."""

    path: tuple[str, str]
    text: str = field(repr=False)
    problem: str


def overrides(environ: Mapping[str, str]) -> tuple[list[Override], list[Mistake]]:
    """What the environment sets, and its mistakes: variables that name no setting, unreadable values."""
    found: list[Override] = []
    mistakes: list[Mistake] = []
    for variable, text in sorted(environ.items()):
        if not variable.upper().startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        path = variables().get(variable)
        if path is None:
            mistakes.append(_unknown(variable))
        elif text[:1] in ("[", "{"):
            document = read(text, variable)
            mistakes += document.mistakes
            found.append(Override(variable=variable, path=path, value=document.value))
        else:
            found.append(Override(variable=variable, path=path, value=_scalar(path, text)))
    return found, mistakes


def laid_over(tree: dict[str, Any], found: list[Override]) -> dict[str, Any]:
    """The settings below `trading` with each override in its place; `tree` itself stays as it is."""
    merged = dict(tree)
    for override in found:
        _place(merged, override.path, override.value)
    return merged


@cache
def variables() -> Mapping[str, SettingPath]:
    """Every variable there is and the setting it stands for: LONGWATCH_IB__PORT is trading.ib.port."""
    return {PREFIX + "__".join(path).upper(): path for path, info in every_setting() if not is_secret(info)}


def secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Secret]:
    """Each secret that is there, read or not.

    A secret `x` comes from the file that the setting `x_file` names, else from systemd's credential `x`.
    """
    for path, info in every_setting():
        if is_secret(info):
            group, name = path
            source = _source(getattr(getattr(settings, group), f"{name}_file"), name, environ)
            if source is not None:
                text, problem = _text_of(source)
                yield Secret(path=(group, name), text=text, problem=problem)


def _source(named: Path | None, name: str, environ: Mapping[str, str]) -> Path | None:
    directory = environ.get(CREDENTIALS)
    credential = Path(directory) / name if directory else None
    return named or (credential if credential is not None and credential.exists() else None)


def _text_of(source: Path) -> tuple[str, str]:
    """The secret in a file, blanks around it taken off, and what is wrong with it."""
    try:
        with source.open("rb") as file:
            text = file.read(_MOST_SECRET_BYTES).decode("utf-8").strip()
    except OSError as error:
        return "", f"{source} can't be read: {(error.strerror or 'unreadable').lower()}"
    except UnicodeDecodeError:
        return "", f"{source} is not text in UTF-8"
    return text, "" if text else f"{source} is empty"


def _scalar(path: SettingPath, text: str) -> Any:
    """The text itself where text is wanted, else the number, truth value or nothing that it spells."""
    if text == "":
        return None
    annotation = next(info.annotation for other, info in every_setting() if other == path)
    return text if _takes_text(annotation) else plain(text)


def _takes_text(annotation: object) -> bool:
    """Whether a type is text, a path, a choice of words, or may be one."""
    return annotation in (str, Path) or isinstance(annotation, str) or any(map(_takes_text, get_args(annotation)))


def _place(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    name, below = path[0], path[1:]
    if not below:
        tree[name] = value
        return
    group = tree.get(name)
    if isinstance(group, str) and len(below) == 1:
        group = {"trigger": group}  # a job may be given as its trigger alone
    if group is None or isinstance(group, dict):
        tree[name] = dict(group or {})
        _place(tree[name], below, value)


def _unknown(variable: str) -> Mistake:
    near = closest(variable[len(PREFIX) :], (known.removeprefix(PREFIX) for known in variables()))
    hint = f"did you mean {PREFIX}{near}?" if near else f"every variable that begins with {PREFIX} must name a setting"
    return Mistake(where=clipped(variable), line=None, key="", text="no setting has this name", hint=hint)
