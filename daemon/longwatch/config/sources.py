"""Which value goes before which: the root of all settings, built by pydantic-settings; asked by `layers.settle` alone.

It is imported with the first file that is read: pydantic-settings costs more to import than the schema and loader.
"""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from longwatch.config.layers import Layers, Tree
from longwatch.config.schema import ROOT, Settings


class Root(BaseSettings):
    """The root of a configuration: the one name `trading`, and all settings below it. Raises ValidationError."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    trading: Settings

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers=layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, the strongest first.

        pydantic-settings' own sources stay out: they pass over variables that name no setting, read `1e3` and `NO` by
        other rules than the file's, can't tell which line or variable a value stood in, and look at the process's
        environment where ours is handed in. A `.env` file would be a second configuration file beside the one named.
        """
        layers: Layers = init_settings()["layers"]
        return (
            Variables(settings_cls, layers.variables),
            Secrets(settings_cls, layers.secrets),
            File(settings_cls, layers.file),
        )


class _Layer(PydanticBaseSettingsSource):
    """One layer as a source: a tree that has already been read."""

    def __init__(self, settings_cls: type[BaseSettings], tree: Tree) -> None:
        super().__init__(settings_cls)
        self._tree = tree

    def __call__(self) -> dict[str, Any]:
        return {ROOT: self._tree}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The layer's value of a field of the root; never a text that is still to be decoded."""
        return self().get(field_name), field_name, False


class Variables(_Layer):
    """The environment's LONGWATCH_* variables."""


class Secrets(_Layer):
    """Texts of secret files and systemd's credentials; nothing else may hold them."""


class File(_Layer):
    """The YAML 1.2 or JSON file; what no layer names is at its default."""
