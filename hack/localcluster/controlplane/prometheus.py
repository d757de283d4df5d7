"""Runs the cluster's Prometheus: a configuration file that tests may rewrite, and OTLP to backfill history.

kwokctl could run Prometheus as well, but it writes the configuration itself and knows no OTLP receiver.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from . import loopback
from .kwok import SELDOM_COLLECTED
from .processes import MARK
from .record import Record

CONFIG: dict[str, Any] = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
    "otlp": {"translation_strategy": "NoTranslation"},
    "storage": {"tsdb": {"out_of_order_time_window": "30d"}},
    "scrape_configs": [],
}
"""`NoTranslation` keeps the names of metrics and labels as they were sent; the window lets a test
backfill the past 30 days although newer samples exist."""


def start(record: Record) -> subprocess.Popen[bytes]:
    """Start Prometheus in the background and give its process; `answers` tells when it is ready."""
    folder = record.prometheus_config.parent
    folder.mkdir()
    record.prometheus_config.write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    command = [
        str(record.programs / "prometheus"),
        f"--config.file={record.prometheus_config}",
        f"--web.listen-address=127.0.0.1:{record.ports['prometheus']}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=60d",
        # Prometheus would wait up to 5 s before it takes up a new scrape job.
        "--scrape.discovery-reload-interval=50ms",
        "--web.enable-lifecycle",
        "--web.enable-admin-api",
        "--web.enable-otlp-receiver",
    ]
    with log_path(record).open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=SELDOM_COLLECTED | os.environ | {MARK: str(record.folder)},
        )  # fmt: skip


def log_path(record: Record) -> Path:
    """File with what Prometheus says."""
    return record.folder / "logs" / "prometheus.log"


def answers(record: Record) -> bool:
    """Tell whether Prometheus is ready for queries and samples."""
    return loopback.get(f"{record.prometheus_url}/-/ready") is not None
