"""`kubectl rollback backtest` asks a real Prometheus for what it remembers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from model_rollback.api.types import format_time
from tests.support.prometheus import Prometheus
from tests.unit.api.objects import ROLLBACK_POLICY, with_fields
from tests.unit.cli.running import run

pytestmark = pytest.mark.cluster


def test_history_is_replayed_told_and_drawn(prometheus: Prometheus, tmp_path: Path):
    step = 15
    end = int(datetime.now(UTC).timestamp()) // step * step
    first = end - 2 * 3600
    bad = range(first + 3600, first + 3600 + 600, step)
    gap = range(first + 1800, first + 2400, step)
    moments = [at for at in range(first, end + 1, step) if at not in gap]
    prometheus.backfill("backtested", {"model": "m"}, [(at, 0.81 if at in bad else 0.95) for at in moments])
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(with_fields(ROLLBACK_POLICY, {"spec.triggers.0.query": "backtested"})))
    words = [
        *("backtest", "-f", str(file), "--prometheus", prometheus.url),
        *("--since", "2h", "--until", format_time(datetime.fromtimestamp(end, UTC))),
    ]

    told = run(*words, "-o", "json", "--plot", str(tmp_path / "plot.svg"))

    assert told.code == 0, told.err
    (fire,) = told.json["rollbacks"]
    began = datetime.fromtimestamp(bad.start, UTC)
    assert fire["firstBadAt"] == format_time(began)
    assert fire["at"] == format_time(began + timedelta(minutes=2))
    assert fire["recoveredAt"] == format_time(datetime.fromtimestamp(bad.stop, UTC))
    counted = told.json["triggers"]["accuracy"]["evaluations"]
    assert counted["Breached"] == 600 / step - 8
    # A sample is given out for five minutes: half of the gap is bridged by Prometheus itself.
    assert counted["NoData"] == pytest.approx(300 / step, abs=1)
    assert "<svg" in (tmp_path / "plot.svg").read_text()

    shown = run(*words)
    assert "would have rolled back 1 time\n" in shown.out
    assert "accuracy 0.81 < 0.90 for 2m" in shown.out
    assert "2m after the first bad evaluation" in shown.out
