"""A Prometheus of our own, for clusters that bring none (kind, a context of the user's)."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.support.waiting import wait_until

CONFIGURATION = """\
global:
  scrape_interval: 1s
otlp:
  translation_strategy: NoTranslation
storage:
  tsdb:
    out_of_order_time_window: 30d
scrape_configs: []
"""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_prometheus(binary: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Run Prometheus in `folder`; gives its URL and its configuration file. The log stays in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "prometheus.yaml"
    configuration.write_text(CONFIGURATION)
    url = f"http://127.0.0.1:{free_port()}"
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig=KILL"),  # a killed test run leaves no Prometheus behind
                *(binary, f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"),
                *("--web.enable-lifecycle", "--web.enable-otlp-receiver"),
                "--scrape.discovery-reload-interval=50ms",  # else a new job waits up to 5 s for its first scrape
                f"--web.listen-address={url.removeprefix('http://')}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_until(
            lambda: _is_ready(url, process),
            60,
            describe=f"Prometheus, see {log}",
            retry_on=(requests.ConnectionError,),
        )
        yield url, configuration
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    if (code := process.poll()) is not None:
        raise RuntimeError(f"Prometheus ended with code {code}")
    return requests.get(f"{url}/-/ready", timeout=5).ok
