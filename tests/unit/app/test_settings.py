"""Flags over environment over file, and errors that say what to mend."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

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


BAD = {
    "a typo": ("metricSources: {}", "metricSources"),
    "a source without URL": ("metricsSources: {default: {}}", "url"),
    "no URL at all": ("metricsSources: {default: {url: prometheus}}", "url"),
    "days": ("metricsSources: {default: {url: 'http://p', timeout: 1d}}", "no unit for days"),
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
