"""From a source's settings to its adapter."""

import os

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.adapters.metrics_credentials import Basic, Bearer, Credentials, SecretFile, SecretText
from model_rollback.settings import MetricsSourceSettings


def make_source(settings: MetricsSourceSettings) -> PrometheusSource:
    """The adapter for one configured source.

    Raises:
        ValueError: the variable with its password is not set.
    """
    return PrometheusSource(
        SourceConfig(
            url=str(settings.url),
            timeout=settings.timeout.total_seconds(),
            headers={**settings.headers, **({"X-Scope-OrgID": settings.tenant} if settings.tenant else {})},
            credentials=_credentials(settings),
            ca_file=str(settings.ca_file) if settings.ca_file else None,
            partial_response=settings.partial_response,
            max_bytes=settings.max_bytes,
            max_series=settings.max_series,
            concurrency=settings.concurrency,
        )
    )


def _credentials(settings: MetricsSourceSettings) -> Credentials | None:
    if settings.bearer_token_file is not None:
        return Bearer(SecretFile(settings.bearer_token_file))
    basic = settings.basic_auth
    if basic is None:
        return None
    if basic.password_file is not None:
        return Basic(basic.username, SecretFile(basic.password_file))
    password = os.environ.get(basic.password_env or "")
    if not password:
        raise ValueError(
            f"metricsSources: basicAuth.passwordEnv names {basic.password_env}, which is not set"
        )
    return Basic(basic.username, SecretText(password))
