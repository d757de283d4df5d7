"""The example model server: trained once per session, started per test."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.running import EXAMPLE, Program, run

sys.path.insert(0, str(EXAMPLE))

from model_server.dataset import Labelled, load_labelled
from model_server.http_api import ModelServer
from model_server.service import PredictionService


@pytest.fixture(scope="session")
def train() -> ModuleType:
    """`model_server.train`, for whoever trains: it imports scikit-learn, which takes seconds in every worker."""
    from model_server import train

    return train


@pytest.fixture(scope="session")
def artifacts(train: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `python -m model_server.train` writes: `models/` and `held-out.npz`."""
    output = tmp_path_factory.mktemp("artifacts")
    train.train_all(output)
    return output


@pytest.fixture(scope="session")
def models(train: ModuleType, artifacts: Path) -> Path:
    return artifacts / train.MODELS


@pytest.fixture(scope="session")
def held_out(train: ModuleType, artifacts: Path) -> Labelled:
    return load_labelled(artifacts / train.HELD_OUT)


@pytest.fixture
def start(models: Path) -> Iterator[Callable[..., tuple[PredictionService, str]]]:
    """Start a server that serves `version`; answers its service and its URL."""
    running: list[tuple[ModelServer, threading.Thread]] = []

    def _start(version: str | None, models: Path = models) -> tuple[PredictionService, str]:
        service = PredictionService("recommender", models)
        service.serve(version)
        server = ModelServer(service)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return service, server.url

    yield _start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """`program(module, *words, environment=…)`: a process that ends with the test."""
    running: list[Program] = []

    def _program(module: str, *words: str | Path, environment: Mapping[str, str] | None = None) -> Program:
        running.append(
            run(module, *words, stderr=tmp_path / f"{len(running)}.stderr", environment=environment)
        )
        return running[-1]

    yield _program
    for each in running:
        each.close()
