"""The command line of the tests, and the fixtures of `tests/support/fixtures.py`."""

import os
import signal
import uuid
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import places
from tests.support.fixtures import (
    LOGS,
    audit,
    cluster,
    helm,
    kind_cluster,
    kubectl,
    namespace,
    operators,
    place,
    prometheus,
    scratch,
    service_account_kubeconfig,
)

__all__ = [
    "audit",
    "cluster",
    "helm",
    "kind_cluster",
    "kubectl",
    "namespace",
    "operators",
    "place",
    "prometheus",
    "scratch",
    "service_account_kubeconfig",
]

MOST_WORKERS = 6
BYTES_OF_A_WORKER = 3 * 2**30
"""A control plane, a Prometheus and some operators, with room to spare."""

FIRST = ("tests/kills/test_kills.py", "tests/kills/", "tests/scenario/test_kinds.py", "tests/scenario/")
"""Whoever begins with the longest tests lets the others have the rest."""

APART = ("tests/kills/", "tests/scenario/")
"""Here the tests of a file share nothing; elsewhere they stay together, with what is made once for them."""
TOGETHER = "tests/scenario/test_kinds.py"

PYTEST_KIND_DEFAULT_NAME = "pytest-kind"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kind")
    group.addoption(
        "--cluster-in",
        choices=["auto", "local", "kind"],
        default="auto",
        help="Where the cluster runs: kind, the local control plane, or (auto) kind if it can run here",
    )
    group.addoption(
        "--use-context",
        metavar="NAME",
        help="Use the existing cluster of this context of your kubeconfig; tests create namespaces in it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.use_context:
        try:
            places.require_context(config.option.use_context)
        except places.PlaceError as error:
            raise pytest.UsageError(str(error)) from None
    if config.option.cluster_name == PYTEST_KIND_DEFAULT_NAME:
        config.option.cluster_name = f"test-{uuid.uuid4().hex[:8]}"
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist was handed the name that all of them got
        config.option.cluster_name += f"-{config.workerinput['workerid']}"
    # pytest takes its fixtures down on KeyboardInterrupt: so a polite kill ends the cluster, and SIGINT does where a
    # shell has it ignored, as for background jobs.
    for request_to_stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(request_to_stop, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers for each core, because tests wait most of the time; fewer where there is little memory."""
    del config
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(2 * cores, MOST_WORKERS, memory // BYTES_OF_A_WORKER))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next((n for n, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))


class Together(LoadScopeScheduling):
    """Those tests in one worker that share what is made once for their file; in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.startswith(APART) and file != TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """What a worker of pytest-xdist has to say of its cluster's logs is said in the end, with all the others."""
    del error
    told = getattr(node, "workeroutput", {}).get("logs")
    if told:
        node.config.stash[LOGS] = "\n".join([*filter(None, [node.config.stash.get(LOGS, "")]), told])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if LOGS in config.stash:
        terminalreporter.section("logs of the cluster")
        terminalreporter.line(config.stash[LOGS])
