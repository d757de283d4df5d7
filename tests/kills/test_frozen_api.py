"""The answer to the revert does not come, comes as a 500, or the request itself comes late: never two patches."""

from collections.abc import Callable

import pytest

from tests.kills.boundaries import Boundary
from tests.kills.faults import at
from tests.kills.series import run_all, run_clean
from tests.kills.trial import PATIENCE, Ground, Succession, Trial
from tests.support.api_proxy import ApiProxy, Held, Stage
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.kills, pytest.mark.timeout(600)]

REVERT = Boundary("PATCH", "deployments", "revert of features")


class Freeze:
    """Holds the first revert at one stage and lets `thaw` say what becomes of it; the operator lives on."""

    succession: Succession = "restart"

    def __init__(self, what: str, stage: Stage, thaw: Callable[[Held, Trial], None]) -> None:
        self._what = what
        self._stage = stage
        self._thaw = thaw
        self._held: Held

    def __str__(self) -> str:
        return self._what

    def arm(self, proxy: ApiProxy) -> None:
        self._held = proxy.hold(at(REVERT), self._stage)

    def happen(self, trial: Trial) -> None:
        self._held.wait(PATIENCE)
        self._thaw(self._held, trial)

    @property
    def begun(self) -> bool:
        return self._held.caught


def refuse(held: Held, _: Trial) -> None:
    held.answer(500, "etcdserver: request timed out")


def hang_up(held: Held, _: Trial) -> None:
    held.drop()


def say_nothing(held: Held, _: Trial) -> None:
    held.wait_abandoned(PATIENCE)
    held.drop()


def deliver_when_given_up(held: Held, _: Trial) -> None:
    held.wait_abandoned(PATIENCE)
    held.go_on()


def deliver_after_the_second_try(held: Held, trial: Trial) -> None:
    held.wait_abandoned(PATIENCE)
    wait_until(
        lambda: trial.get("apps/v1", "deployments/features")["metadata"]["generation"],
        PATIENCE,
        accept=lambda generation: generation == 3,
        describe="the second try",
    )
    held.go_on()
    late = held.wait(PATIENCE)
    wait_until(
        lambda: late.code, accept=lambda code: code == 422, describe="the late duplicate to be refused"
    )


CASES: list[tuple[str, Stage, Callable[[Held, Trial], None]]] = [
    ("the API server did it and answers 500", "after", refuse),
    ("the API server did it and the connection breaks", "after", hang_up),
    ("the API server did it and never answers", "after", say_nothing),
    ("the request arrives when the operator has given it up", "before", deliver_when_given_up),
    ("the request arrives after the second try", "before", deliver_after_the_second_try),
]


def test_a_revert_with_unknown_outcome_is_never_done_twice(ground: Ground, subtests: pytest.Subtests) -> None:
    _, bad_pins = run_clean(ground)

    def maker(what: str, stage: Stage, thaw: Callable[[Held, Trial], None]) -> Callable[[], Freeze]:
        return lambda: Freeze(what, stage, thaw)

    for verdict in run_all(ground, [maker(*case) for case in CASES], bad_pins):
        with subtests.test(str(verdict.fault)):
            assert not verdict.wrong, verdict.wrong
