"""Flags over environment over file, and errors that say what to mend."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from model_rollback.adapters.sources import make_source
from model_rollback.settings import load

FILE = """
metricsSources: {default: {url: "http://prometheus.monitoring.svc:9090", timeout: 3s}}
probes: {resolve: ["recommender.shop.svc:8080=127.0.0.1:9001"]}
namespaces: [shop]
log: {format: console, level: debug}
http: {host: 127.0.0.1, port: 9090}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def test_a_file_as_the_chart_writes_it(file):
    settings = load(["--config", str(file)])

    assert settings.metrics_sources["default"].timeout == timedelta(seconds=3)
    assert settings.probes.overrides() == {"recommender.shop.svc:8080": "127.0.0.1:9001"}
    assert (settings.namespaces, settings.log.format, settings.http.port) == (("shop",), "console", 9090)


def test_the_environment_wins_over_the_file_and_flags_over_both(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_ROLLBACK_HTTP__PORT", "7070")
    monkeypatch.setenv("MODEL_ROLLBACK_KUBECONFIG", "/from/the/environment")

    settings = load(["--config", str(file), "--kubeconfig", str(tmp_path / "flag")])

    assert settings.http.port == 7070
    assert settings.http.host == "127.0.0.1", "what the environment does not name stays as the file says"
    assert settings.kubeconfig == tmp_path / "flag"


def test_without_a_file_there_are_defaults():
    settings = load([])

    assert (settings.http.port, settings.log.format, dict(settings.metrics_sources)) == (8080, "json", {})


SOURCE = """
metricsSources:
  thanos:
    url: https://thanos.example
    namespaces: [shop, search]
    tenant: shop
    basicAuth: {username: rollback, passwordEnv: THANOS_PASSWORD}
    caFile: /etc/ca.pem
    partialResponse: Allow
    concurrency: 3
    maxSeries: 100
    maxBytes: 4096
"""


def test_all_that_a_source_may_say(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(SOURCE)

    source = load(["--config", str(path)]).metrics_sources["thanos"]

    assert (source.namespaces, source.tenant, source.partial_response) == (
        ("shop", "search"),
        "shop",
        "Allow",
    )
    assert (source.concurrency, source.max_series, source.max_bytes) == (3, 100, 4096)
    assert (source.basic_auth.username, source.basic_auth.password_env) == ("rollback", "THANOS_PASSWORD")


def test_a_password_from_a_variable_that_is_not_set_is_told_at_the_start(tmp_path, monkeypatch):
    monkeypatch.delenv("THANOS_PASSWORD", raising=False)
    path = tmp_path / "config.yaml"
    path.write_text(SOURCE.replace("    caFile: /etc/ca.pem\n", ""))
    source = load(["--config", str(path)]).metrics_sources["thanos"]

    with pytest.raises(ValueError, match="names THANOS_PASSWORD, which is not set"):
        make_source(source)

    monkeypatch.setenv("THANOS_PASSWORD", "pw")
    make_source(source).close()


def test_an_error_does_not_quote_what_it_refuses(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "metricsSources: {a: {url: 'http://me:s3cret@p', timeout: 1d, headers: {X-Key: s3cret, Authorization: s3cret}}}"
    )

    with pytest.raises(ValidationError) as caught:
        load(["--config", str(path)])

    assert "use basicAuth" in str(caught.value)
    assert "s3cret" not in str(caught.value)


BAD = {
    "a typo": ("metricSources: {}", "metricSources"),
    "a source without URL": ("metricsSources: {default: {}}", "url"),
    "no URL at all": ("metricsSources: {default: {url: prometheus}}", "url"),
    "days": ("metricsSources: {default: {url: 'http://p', timeout: 1d}}", "no unit for days"),
    "a password in the URL": ("metricsSources: {a: {url: 'http://me:pw@p'}}", "use basicAuth"),
    "a password from two places": (
        "metricsSources: {a: {url: 'http://p', basicAuth: {username: me, passwordFile: /f, passwordEnv: E}}}",
        "give one",
    ),
    "a password from nowhere": (
        "metricsSources: {a: {url: 'http://p', basicAuth: {username: me}}}",
        "passwordFile or from passwordEnv",
    ),
    "a password in the file itself": (
        "metricsSources: {a: {url: 'http://p', basicAuth: {username: me, password: pw}}}",
        "password",
    ),
    "two kinds of credentials": (
        "metricsSources: {a: {url: 'http://p', bearerTokenFile: /t, basicAuth: {username: me, passwordEnv: E}}}",
        "not both",
    ),
    "a header that has a field of its own": (
        "metricsSources: {a: {url: 'http://p', headers: {x-scope-orgid: shop}}}",
        "tenant",
    ),
    "more queries at a time than Prometheus allows": (
        "metricsSources: {a: {url: 'http://p', concurrency: 21}}",
        "concurrency",
    ),
    "a port out of range": ("http: {port: 70000}", "port"),
    "an override of another form": ("probes: {resolve: ['a:1']}", "host:port=address:port"),
    "a level that nobody knows": ("log: {level: chatty}", "level"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_say_what_to_mend(case, tmp_path):
    text, named = BAD[case]
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ValidationError, match=named):
        load(["--config", str(path)])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.yaml"):
        load(["--config", str(tmp_path / "gone.yaml")])


def test_an_election_needs_the_place_of_its_lease(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("leaderElection: {enabled: true}")

    with pytest.raises(
        ValidationError, match=r"leaderElection\.enabled needs leaderElection\.namespace and \.name"
    ):
        load(["--config", str(path)])

    path.write_text("leaderElection: {enabled: true, namespace: model-rollback}")
    assert load(["--config", str(path)]).leader_election.name == "model-rollback-operator"
