"""From a source's settings to its adapter."""

from model_rollback.adapters.metrics import PrometheusSource, SourceConfig
from model_rollback.settings import MetricsSourceSettings


def make_source(settings: MetricsSourceSettings) -> PrometheusSource:
    """The adapter for one configured source."""
    return PrometheusSource(
        SourceConfig(
            url=str(settings.url),
            timeout=settings.timeout.total_seconds(),
            headers=settings.headers,
            bearer_token_file=str(settings.bearer_token_file) if settings.bearer_token_file else None,
            ca_file=str(settings.ca_file) if settings.ca_file else None,
        )
    )
