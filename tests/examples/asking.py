"""Ask a model server over HTTP, as Prometheus, the operator's probe and its users do."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml
from model_server.dataset import Labelled
from model_server.traffic import Client, Tally, stream
from prometheus_client.parser import text_string_to_metric_families

Scrape = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(url: str) -> Scrape:
    """Value by (sample name, labels)."""
    families = text_string_to_metric_families(requests.get(f"{url}/metrics", timeout=10).text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(scraped: Scrape, name: str, **labels: str) -> float | None:
    """The value of the one sample with this name and exactly these labels; None when it is not exported."""
    return scraped.get((name, frozenset(labels.items())))


def accuracies(url: str) -> dict[str, float]:
    """Exported accuracy by version."""
    return {
        dict(labels)["version"]: value
        for (name, labels), value in scrape(url).items()
        if name == "model_quality" and ("metric", "accuracy") in labels
    }


def health(url: str) -> tuple[int, dict[str, Any]]:
    """Status code and body of the health endpoint."""
    response = requests.get(f"{url}/v1/health", timeout=10)
    return response.status_code, response.json()


def send(url: str, held_out: Labelled, count: int, seed: int = 0) -> tuple[Tally, list[dict[str, Any]]]:
    """Send labelled requests as fast as they are answered: the tally and the request log."""
    client, log = Client(url), io.StringIO()
    try:
        tally = stream(client, held_out, rate=1e6, label_delay=0, count=count, seed=seed, log=log)
    finally:
        client.close()
    return tally, [json.loads(line) for line in log.getvalue().splitlines()]


def share_right(request_log: list[dict[str, Any]]) -> float:
    """Accuracy, computed from the request log alone."""
    return sum(entry["prediction"] == entry["label"] for entry in request_log) / len(request_log)


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The YAML documents of a file."""
    return (document for document in yaml.safe_load_all(path.read_text()) if document)
