"""One frozen set of settings: flags over environment over the configuration file. Read once, at the start."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasGenerator, AnyHttpUrl, BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from model_rollback.api.types import Timeout

_ALIASES = AliasGenerator(validation_alias=to_camel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_ALIASES, populate_by_name=True)


class MetricsSourceSettings(_Part):
    """One Prometheus that policies may name in `metricsSource`."""

    url: AnyHttpUrl
    timeout: Timeout = timedelta(seconds=5)
    headers: Mapping[str, str] = {}
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


class ProbeSettings(_Part):
    """`resolve`: entries like curl's --resolve, for an operator that runs outside the cluster."""

    resolve: tuple[str, ...] = ()

    @field_validator("resolve")
    @classmethod
    def _check(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            if entry.count("=") != 1:
                raise ValueError(
                    f"{entry!r} is not host:port=address:port, e.g. recommender.shop.svc:8080=127.0.0.1:18080"
                )
        return entries

    def overrides(self) -> dict[str, str]:
        """Host and port → address and port."""
        return dict(entry.split("=") for entry in self.resolve)


class LogSettings(_Part):
    """`json` for machines, `console` for people."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class HttpSettings(_Part):
    """Where `/healthz`, `/readyz` and `/metrics` are served. Port 0: a free one, which is logged."""

    host: str = "0.0.0.0"  # noqa: S104 - a kubelet probes the Pod's address
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class Settings(BaseSettings):
    """All settings. `MODEL_ROLLBACK_HTTP__PORT=9090` in the environment is `http.port` in the file."""

    model_config = SettingsConfigDict(
        env_prefix="MODEL_ROLLBACK_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        alias_generator=_ALIASES,
        populate_by_name=True,
    )

    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    metrics_sources: Mapping[str, MetricsSourceSettings] = {}
    probes: ProbeSettings = ProbeSettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    pod_name: str = "local"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags and environment; `load` adds the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings


def load(arguments: Sequence[str]) -> Settings:
    """Settings from flags, environment and the file that `--config` names.

    Raises:
        pydantic.ValidationError: a value is wrong; says which and why.
        OSError: the file cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model_rollback", description="Runs model-rollback-operator."
    )
    parser.add_argument("--config", type=Path, help="configuration file (YAML)")
    parser.add_argument("--kubeconfig", type=Path, help="default: KUBECONFIG, else the Pod's ServiceAccount")
    flags = parser.parse_args(arguments)
    given: dict[str, Any] = {"kubeconfig": flags.kubeconfig} if flags.kubeconfig else {}
    if flags.config is None:
        return Settings(**given)
    if not flags.config.is_file():
        raise FileNotFoundError(f"--config {flags.config}: there is no such file")

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> Any:
            over = Settings.settings_customise_sources(settings_cls, *sources, **named)
            return (*over, YamlConfigSettingsSource(settings_cls, yaml_file=flags.config))

    return FromFile(**given)
