"""One frozen set of settings: flags over environment over the configuration file. Read once, at the start."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasGenerator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
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
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_ALIASES,
        populate_by_name=True,
        hide_input_in_errors=True,  # what is wrong may stand beside a password
    )


class BasicAuthSettings(_Part):
    """User and password. The password comes from a file, read for each request, or from a variable, read at start."""

    username: Annotated[str, Field(min_length=1)]
    password_file: Path | None = None
    password_env: Annotated[str | None, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.password_file is None) == (self.password_env is None):
            raise ValueError("basicAuth takes its password from passwordFile or from passwordEnv: give one")
        return self


class MetricsSourceSettings(_Part):
    """One Prometheus, Thanos or Mimir that policies may name in `metricsSource`.

    `namespaces`: whose policies may name it; empty: all. `tenant`: sent as `X-Scope-OrgID`. `partial_response`: what
    an answer with warnings is worth. The limits hold for each answer, `concurrency` for the queries under way.
    """

    url: AnyHttpUrl
    namespaces: tuple[str, ...] = ()
    timeout: Timeout = timedelta(seconds=5)
    tenant: str | None = None
    headers: Mapping[str, str] = {}
    basic_auth: BasicAuthSettings | None = None
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    partial_response: Literal["Reject", "Allow"] = "Reject"
    concurrency: Annotated[int, Field(ge=1, le=20)] = 5
    max_series: Annotated[int, Field(ge=1)] = 20_000
    max_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024

    @field_validator("url")
    @classmethod
    def _has_no_secret(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        if url.username or url.password:
            raise ValueError("user and password do not belong in the URL, which is shown: use basicAuth")
        return url

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.basic_auth is not None and self.bearer_token_file is not None:
            raise ValueError("give basicAuth or bearerTokenFile, not both")
        taken = {name.lower() for name in self.headers} & {"authorization", "x-scope-orgid"}
        if taken:
            raise ValueError(
                f"headers: {', '.join(sorted(taken))} is set by basicAuth, bearerTokenFile or tenant"
            )
        return self


class ProbeSettings(_Part):
    """What `http` probes may reach beyond the Services of their namespace.

    `resolve`: entries like curl's --resolve, for an operator that runs outside the cluster. `allowedHosts`: `host:port`
    that a probe may name in `host`.
    """

    resolve: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            host, _, port = entry.rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(f"{entry!r} is not host:port, e.g. models.example.com:443")
        return entries

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


class BrakeSettings(_Part):
    """The fleet brake: more than `maxShare` of a source's policies, and at least `atLeast`, turning Breached within a
    minute keep new Rollbacks waiting for `releaseAfter`. `maxShare: 1` switches it off."""

    max_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    at_least: Annotated[int, Field(ge=1)] = 10
    release_after: Timeout = timedelta(minutes=5)


class LogSettings(_Part):
    """`json` for machines, `console` for people."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class HttpSettings(_Part):
    """Where `/healthz`, `/readyz` and `/metrics` are served. Port 0: a free one, which is logged."""

    host: str = "0.0.0.0"  # noqa: S104 - a kubelet probes the Pod's address
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class LeaderElectionSettings(_Part):
    """Which of several replicas writes: the holder of the Lease `name` in `namespace`."""

    enabled: bool = False
    namespace: str = ""
    name: str = "model-rollback-operator"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.enabled and not (self.namespace and self.name):
            raise ValueError(
                "leaderElection.enabled needs leaderElection.namespace and .name: which Lease says who leads, "
                "e.g. namespace: model-rollback"
            )
        return self


class Settings(BaseSettings):
    """All settings. `MODEL_ROLLBACK_HTTP__PORT=9090` in the environment is `http.port` in the file."""

    model_config = SettingsConfigDict(
        env_prefix="MODEL_ROLLBACK_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        alias_generator=_ALIASES,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    target_kinds: Path | None = None
    metrics_sources: Mapping[str, MetricsSourceSettings] = {}
    probes: ProbeSettings = ProbeSettings()
    brake: BrakeSettings = BrakeSettings()
    concurrent_rollbacks: Annotated[int, Field(ge=1, le=1000)] = 16
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    leader_election: LeaderElectionSettings = LeaderElectionSettings()
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
