"""A real Prometheus whose series a test writes: by an exporter that is scraped, or as history."""

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.exporter import SCRAPES, Exporter
from tests.support.waiting import wait_until

Sample = dict[str, Any]
"""One element of an instant query's result: `metric` (labels) and `value` ([unix time, text])."""

SCRAPE_INTERVAL = "200ms"


class QueryError(AssertionError):
    """Prometheus refused a query or a write; the message is its own."""


class Prometheus:
    """One Prometheus, with the scrape jobs of one test, which `close` removes again.

    `configuration` is the file that the server loads; the server reloads it on POST /-/reload.
    """

    def __init__(self, url: str, configuration: Path) -> None:
        self.url = url.rstrip("/")
        self._configuration = configuration
        self._session = requests.Session()
        self._exporters = ExitStack()
        self._jobs: list[str] = []
        self._rule_files: list[Path] = []

    def query(self, query: str, time: float | None = None) -> list[Sample]:
        """The instant vector of a query, at a unix time or now."""
        answer = self._session.get(
            f"{self.url}/api/v1/query",
            params={"query": query} | ({} if time is None else {"time": repr(time)}),
            timeout=30,
        )
        body = answer.json()
        if body["status"] != "success":
            raise QueryError(f"{query}: {body['error']}")
        result: list[Sample] = body["data"]["result"]
        return result

    def value(self, query: str, time: float | None = None) -> float:
        """The value of a query that answers with exactly one series."""
        samples = self.query(query, time)
        assert len(samples) == 1, f"{query} answers with {len(samples)} series"
        return float(samples[0]["value"][1])

    def wait_for(
        self, query: str, predicate: Callable[[list[Sample]], object] = bool, timeout: float = 30.0
    ) -> list[Sample]:
        """Ask until `predicate` is true of the answer; default: until there is one."""
        return wait_until(
            lambda: self.query(query), timeout, accept=predicate, describe=f"Prometheus: {query}"
        )

    def exporter(self, job: str, *, interval: str = SCRAPE_INTERVAL) -> Exporter:
        """A new exporter in this process, scraped as `job` every `interval` until the test ends."""
        exporter = self._exporters.enter_context(Exporter(job))
        self.scrape(job, exporter.address, interval=interval)
        self.scraped(exporter)
        return exporter

    def scrape(self, job: str, address: str, *, interval: str = SCRAPE_INTERVAL, **labels: str) -> None:
        """Scrape what listens at `address` (host:port) as `job` until the test ends; its series get `labels`."""
        self._jobs.append(job)
        self._rewrite_jobs(
            add=[
                {
                    "job_name": job,
                    "scrape_interval": interval,
                    "scrape_timeout": interval,
                    "static_configs": [{"targets": [address], "labels": labels}],
                }
            ]
        )

    def rules(self, name: str, groups: Sequence[Mapping[str, Any]]) -> None:
        """Evaluate rule groups, in the form of a rule file, until the test ends.

        Raises:
            QueryError: Prometheus refuses them; says why.
        """
        path = self._configuration.with_name(f"{name}.rules.yaml")
        path.write_text(yaml.safe_dump({"groups": list(groups)}, sort_keys=False))
        self._rule_files.append(path)
        self._rewrite(lambda known: known.setdefault("rule_files", []).append(str(path)))

    def rule_health(self, group: str) -> dict[str, str]:
        """The health of each rule of a group that has been evaluated or is going to be: `ok`, `err` or `unknown`."""
        answer = self._session.get(f"{self.url}/api/v1/rules", timeout=30).json()
        return {
            rule["name"]: rule["health"]
            for found in answer["data"]["groups"]
            if found["name"] == group
            for rule in found["rules"]
        }

    def scraped(self, exporter: Exporter, timeout: float = 30.0) -> None:
        """Wait until everything that the exporter says now can be queried."""
        before = exporter.scrapes
        self.wait_for(f'{SCRAPES}{{job="{exporter.job}"}} > {before}', timeout=timeout)

    def backfill(self, metric: str, labels: Mapping[str, str], points: Iterable[tuple[float, float]]) -> None:
        """Write history: (unix time, value) pairs of one series, in any order, over OTLP.

        Returns when the newest of them can be queried.
        """
        ordered = sorted(points)
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]
        data_points = [
            {"timeUnixNano": str(round(at * 1e9)), "asDouble": value, "attributes": attributes}
            for at, value in ordered
        ]
        answer = self._session.post(
            f"{self.url}/api/v1/otlp/v1/metrics",
            json={
                "resourceMetrics": [
                    {"scopeMetrics": [{"metrics": [{"name": metric, "gauge": {"dataPoints": data_points}}]}]}
                ]
            },
            timeout=30,
        )
        if answer.status_code != requests.codes.ok:
            raise QueryError(f"backfill of {metric}: {answer.status_code} {answer.text}")
        matchers = ",".join(f"{key}={_quoted(value)}" for key, value in labels.items())
        newest = ordered[-1][0]
        wait_until(
            lambda: self.query(f"{metric}{{{matchers}}}", newest + 0.001),
            describe=f"the backfill of {metric}",
        )

    def close(self) -> None:
        """Take this test's jobs and rules out of the configuration and stop its exporters."""
        try:
            if self._rule_files:
                mine = set(map(str, self._rule_files))
                self._rewrite(
                    lambda known: known.update(rule_files=[f for f in known["rule_files"] if f not in mine])
                )
                for path in self._rule_files:
                    path.unlink()
            if self._jobs:
                self._rewrite_jobs(drop=self._jobs)
        finally:
            self._exporters.close()
            self._session.close()

    def _rewrite_jobs(self, *, drop: Container[str] = (), add: Iterable[dict[str, Any]] = ()) -> None:
        def change(configuration: dict[str, Any]) -> None:
            jobs = [job for job in configuration.get("scrape_configs") or [] if job["job_name"] not in drop]
            configuration["scrape_configs"] = [*jobs, *add]

        self._rewrite(change)

    def _rewrite(self, change: Callable[[dict[str, Any]], object]) -> None:
        configuration = yaml.safe_load(self._configuration.read_text())
        change(configuration)
        self._configuration.write_text(yaml.safe_dump(configuration, sort_keys=False))
        answer = self._session.post(f"{self.url}/-/reload", timeout=30)
        if answer.status_code != requests.codes.ok:
            raise QueryError(
                f"Prometheus did not take {self._configuration}: {answer.status_code} {answer.text}"
            )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def seconds_ago(seconds: float) -> float:
    """A unix time in the past, for `backfill`."""
    return time.time() - seconds
