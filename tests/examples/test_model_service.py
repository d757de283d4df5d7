"""The server over real HTTP: what it answers, what it exports, and that both follow the model and not its name."""

import shutil
import time

import pytest
import requests
from model_server.traffic import Client, stream

from tests.examples.asking import accuracies, health, sample, scrape, send, share_right

IMAGE = [0.0] * 64


def test_health_names_the_version_that_serves(start):
    service, url = start("v12")
    assert health(url) == (200, {"status": "ok", "model_version": "v12"})

    service.serve("v13")

    assert health(url) == (200, {"status": "ok", "model_version": "v13"})


@pytest.mark.parametrize("version", ["v12", "v13"])
def test_exported_accuracy_is_what_the_request_log_says(start, held_out, version):
    _, url = start(version)

    tally, log = send(url, held_out, count=350)

    assert tally.failed == 0
    assert len(log) == tally.labelled == 350
    assert {entry["model_version"] for entry in log} == {version}
    assert accuracies(url) == {version: pytest.approx(share_right(log[-200:]))}
    assert sample(scrape(url), "model_quality_samples", model="recommender", version=version) == 200


def test_swapping_the_two_model_files_swaps_which_version_is_bad(start, held_out, models, tmp_path):
    shutil.copy(models / "v12.npz", tmp_path / "v13.npz")
    shutil.copy(models / "v13.npz", tmp_path / "v12.npz")
    exported = {}
    for folder in (models, tmp_path):
        for version in ("v12", "v13"):
            _, url = start(version, models=folder)
            send(url, held_out, count=200)
            exported[folder, version] = accuracies(url)[version]

    assert exported[models, "v12"] > 0.93
    assert exported[models, "v13"] < 0.85
    assert exported[tmp_path, "v12"] == exported[models, "v13"]
    assert exported[tmp_path, "v13"] == exported[models, "v12"]


def test_a_version_of_any_name_is_measured_in_the_same_way(start, held_out, models, tmp_path):
    shutil.copy(models / "v13.npz", tmp_path / "2026-01-05-good.npz")
    _, url = start("2026-01-05-good", models=tmp_path)

    send(url, held_out, count=200)

    assert accuracies(url)["2026-01-05-good"] < 0.85


def test_after_a_switch_accuracy_is_absent_until_the_new_model_has_enough_labels(start, held_out):
    service, url = start("v12")
    send(url, held_out, count=200)
    assert set(accuracies(url)) == {"v12"}

    service.serve("v13")
    assert accuracies(url) == {}
    send(url, held_out, count=99)
    assert accuracies(url) == {}
    send(url, held_out, count=1)

    assert set(accuracies(url)) == {"v13"}


def test_a_version_that_comes_back_is_measured_afresh(start, held_out):
    service, url = start("v12")
    send(url, held_out, count=200)
    service.serve("v13")
    service.serve("v12")

    assert accuracies(url) == {}
    assert sample(scrape(url), "model_quality_samples", model="recommender", version="v12") == 0


def test_serving_the_same_version_again_keeps_its_window(start, held_out):
    service, url = start("v12")
    send(url, held_out, count=150)
    before = accuracies(url)

    service.serve("v12")

    assert accuracies(url) == before != {}


def test_a_label_that_arrives_after_the_switch_says_nothing_about_the_new_model(start):
    service, url = start("v12")
    predicted = requests.post(f"{url}/v1/predict", json={"features": IMAGE}, timeout=10).json()
    service.serve("v13")

    verdict = requests.post(
        f"{url}/v1/feedback",
        json={"request_id": predicted["request_id"], "label": predicted["prediction"]},
        timeout=10,
    )

    assert (verdict.status_code, verdict.json()) == (200, {"correct": True})
    assert sample(scrape(url), "model_quality_samples", model="recommender", version="v13") == 0


def test_a_version_without_a_model_file_leaves_the_old_one_in_service(start, caplog):
    service, url = start("v12")

    service.serve("v99")

    assert health(url) == (200, {"status": "ok", "model_version": "v12"})
    assert "cannot serve v99, v12 goes on" in caplog.text
    assert "v99.npz" in caplog.text


def test_out_of_service_is_said_and_exports_no_quality(start, held_out):
    service, url = start("v12")
    send(url, held_out, count=150)

    service.serve(None)

    assert health(url) == (503, {"status": "unavailable", "model_version": None})
    assert requests.post(f"{url}/v1/predict", json={"features": IMAGE}, timeout=10).status_code == 503
    assert accuracies(url) == {}


def test_requests_errors_and_latency_are_counted_by_version(start, held_out):
    service, url = start("v12")
    send(url, held_out, count=7)
    service.serve("v13")
    send(url, held_out, count=3)
    requests.post(f"{url}/v1/predict", json={"features": []}, timeout=10)
    service.serve(None)
    requests.post(f"{url}/v1/predict", json={"features": IMAGE}, timeout=10)

    scraped = scrape(url)

    def value(name: str, **labels: str) -> float | None:
        return sample(scraped, name, model="recommender", **labels)

    assert value("requests_total", version="v12", code="200") == 7
    assert value("requests_total", version="v13", code="200") == 3
    assert value("requests_total", version="v13", code="400") == 1
    assert value("requests_total", version="", code="503") == 1
    assert value("request_errors_total", version="v12") == 0
    assert value("request_errors_total", version="v13") == 0
    assert value("request_errors_total", version="") == 1
    assert value("request_predict_seconds_count", version="v12") == 7
    assert value("request_predict_seconds_bucket", version="v13", le="+Inf") == 3
    assert value("request_predict_seconds_sum", version="v12") > 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/v1/predict", b"", 400, id="empty"),
        pytest.param("/v1/predict", b"{", 400, id="not-json"),
        pytest.param("/v1/predict", b"[" * 30000, 400, id="deeply-nested"),
        pytest.param("/v1/predict", b"\xff\xfe\x00", 400, id="not-text"),
        pytest.param("/v1/predict", b"[]", 400, id="not-an-object"),
        pytest.param("/v1/predict", b'{"features": [1, 2]}', 400, id="too-few"),
        pytest.param("/v1/predict", b'{"features": [' + b"1," * 63 + b'"1"]}', 400, id="a-string"),
        pytest.param("/v1/predict", b'{"features": [' + b"1," * 63 + b"true]}", 400, id="a-boolean"),
        pytest.param("/v1/predict", b'{"features": [' + b"1," * 63 + b"NaN]}", 400, id="not-a-number"),
        pytest.param(
            "/v1/predict", b'{"features": [' + b"1," * 63 + b"1" * 400 + b"]}", 400, id="too-big-a-number"
        ),
        pytest.param("/v1/predict", b" " * 70000, 400, id="too-long"),
        pytest.param("/v1/feedback", b'{"request_id": "a", "label": "7"}', 400, id="label-of-another-type"),
        pytest.param("/v1/feedback", b'{"request_id": "a", "label": true}', 400, id="label-a-boolean"),
        pytest.param("/v1/feedback", b'{"request_id": "nobody", "label": 7}', 404, id="unknown-request"),
        pytest.param("/v2/predict", b"{}", 404, id="unknown-path"),
    ],
)
def test_a_bad_request_gets_a_clear_answer_and_the_server_goes_on(start, path, body, status):
    _, url = start("v12")

    answer = requests.post(url + path, data=body, timeout=10)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert requests.post(f"{url}/v1/predict", json={"features": IMAGE}, timeout=10).status_code == 200


def test_traffic_is_never_faster_than_its_rate(start, held_out):
    _, url = start("v12")
    client = Client(url)
    started = time.monotonic()

    tally = stream(client, held_out, rate=100, label_delay=0.05, count=30)

    client.close()
    assert time.monotonic() - started >= 0.29
    assert (tally.sent, tally.failed, tally.labelled) == (30, 0, 30)


def test_traffic_survives_a_model_that_is_out_of_service(start, held_out):
    service, url = start(None)
    tally, log = send(url, held_out, count=3)
    assert (tally.sent, tally.failed, log) == (3, 3, [])

    service.serve("v12")

    assert send(url, held_out, count=3)[0].labelled == 3
