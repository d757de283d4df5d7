"""The example's command lines."""

import json
import os

import pytest

from tests.examples.asking import health, share_right
from tests.support.waiting import wait_until


def listening(server) -> str:
    words = server.first_line().split()
    assert words[:2] == ["listening", "on"], server.log()
    return words[2]


def test_training_from_the_command_line_writes_what_the_others_read(program, tmp_path):
    training = program("model_server.train", "--output", tmp_path / "out")

    assert training.process.wait(120) == 0, training.log()
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"v12.npz", "v13.npz", "held-out.npz"}


def test_a_fixed_version_is_served_until_sigterm(program, models):
    server = program("model_server", "--version", "v12", "--models", models)
    url = listening(server)
    wait_until(lambda: health(url)[0] == 200)

    assert health(url) == (200, {"status": "ok", "model_version": "v12"})
    assert server.terminate() == 0
    assert "Traceback" not in server.log()


def test_traffic_writes_its_request_log_and_says_what_users_saw(program, start, artifacts, tmp_path):
    _, url = start("v12")
    traffic = program(
        "model_server.traffic", url, "--held-out", artifacts / "held-out.npz", "--rate", "1000",
        "--label-delay", "0", "--count", "50", "--log", tmp_path / "requests.jsonl",
    )  # fmt: skip

    assert traffic.process.wait(60) == 0, traffic.log()
    log = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert len(log) == 50
    assert f"50 requests, 0 failed, 50 labelled, {round(50 * share_right(log))} right" in traffic.log()


def test_endless_traffic_ends_on_sigterm(program, start, artifacts, tmp_path):
    _, url = start("v12")
    log = tmp_path / "requests.jsonl"
    traffic = program("model_server.traffic", url, "--held-out", artifacts / "held-out.npz", "--log", log)
    wait_until(lambda: log.exists() and log.read_text())

    assert traffic.terminate() == 0
    assert " 0 failed" in traffic.log()


def test_an_api_server_that_does_not_answer_is_said_and_asked_again(program, models, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: c,"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}"
    )
    server = program(
        "model_server", "--deployment", "shop/recommender", "--models", models,
        environment={**os.environ, "KUBECONFIG": str(kubeconfig)},
    )  # fmt: skip
    url = listening(server)
    wait_until(lambda: server.log().count("cannot watch ReplicaSets in shop") >= 2, describe="a second try")

    assert health(url)[0] == 503
    assert server.terminate() == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param([], "one of the arguments --version --deployment is required", id="neither"),
        pytest.param(["--deployment", "recommender"], "takes NAMESPACE/NAME", id="no-namespace"),
        pytest.param(["--deployment", "shop/recommender"], "set KUBECONFIG or --context", id="no-cluster"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused_with_what_to_do(program, tmp_path, words, says):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    server = program("model_server", *words, environment={**environment, "HOME": str(tmp_path)})

    assert server.process.wait(60) != 0
    assert says in server.log()
    assert "Traceback" not in server.log()
