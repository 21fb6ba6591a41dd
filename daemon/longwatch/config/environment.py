"""Environment variables over the file, and secrets from files or systemd's credentials; called by the loader alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

from longwatch.config.document import plain, read
from longwatch.config.layers import Tree
from longwatch.config.mistakes import Mistake
from longwatch.config.schema import JOBS, Settings, every_setting, is_secret
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


def spelled_out(file: Tree) -> Tree:
    """The file's tree with each job that is given as its trigger alone as a group, so a variable may complete it."""
    schedule = file.get("schedule")
    if not isinstance(schedule, dict):
        return dict(file)
    jobs = {name: {"trigger": job} for name, job in schedule.items() if name in JOBS and isinstance(job, str)}
    return file | {"schedule": schedule | jobs}


def as_tree(found: Iterable[Override], file: Tree) -> Tree:
    """The overrides as a tree; one whose group the file gives as something else stays out, or it would hide that."""
    tree: Tree = {}
    for override in found:
        if _has_room(file, override.path):
            group = tree
            for name in override.path[:-1]:
                group = group.setdefault(name, {})
            group[override.path[-1]] = override.value
    return tree


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


def _has_room(file: Tree, path: SettingPath) -> bool:
    """Whether everything above `path` is a group in the file, or not given."""
    group: Any = file
    for name in path[:-1]:
        group = group.get(name)
        if not isinstance(group, dict):
            return group is None
    return True


def _unknown(variable: str) -> Mistake:
    near = closest(variable[len(PREFIX) :], (known.removeprefix(PREFIX) for known in variables()))
    hint = f"did you mean {PREFIX}{near}?" if near else f"every variable that begins with {PREFIX} must name a setting"
    return Mistake(where=clipped(variable), line=None, key="", text="no setting has this name", hint=hint)
