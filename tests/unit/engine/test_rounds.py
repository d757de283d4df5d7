"""Rounds of validation: what makes a rollback successful, and what keeps it from being called so."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Literal

from model_rollback.api.v1alpha1 import RollbackStatus
from model_rollback.api.v1alpha1.rollback_record import ProbeStatus
from model_rollback.core import machine
from model_rollback.engine.context import Context
from model_rollback.engine.validating import Validating
from model_rollback.engine.validation import Validator
from model_rollback.errors import Unavailable
from tests.unit.core.builders import at, live, validating

Word = Literal["Passed", "Failed", "Unknown"]


class Probes(Validator):
    """Says one word after another."""

    def __init__(self, *words: Word) -> None:
        self.words = list(words)

    async def ask_all(self, *_: Any, **__: Any) -> tuple[ProbeStatus, ...]:
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        self.latest = (ProbeStatus(probe="answers", state=word, at=at(0), message=word),)
        return self.latest


class Play(Context):
    """A Rollback that has reverted `model` to v12, in memory. `seconds` is the time since the revert."""

    def __init__(self, runs: str = "v12") -> None:
        status = validating("model")
        self.held = machine.change_step(status, "validate", at=at(0), state="Running", started_at=at(0))
        self.seconds = 0.0
        self.sight: Exception | None = None
        self.system = SimpleNamespace(  # type: ignore[assignment]
            ref=SimpleNamespace(namespace="shop", name="recommender"),
            key=("shop", "recommender"),
            targets=[live(runs)],
            live={"model": live(runs)},
        )
        self.world = SimpleNamespace(look_at_targets=self._look)  # type: ignore[assignment]

    @property
    def status(self) -> RollbackStatus:
        return self.held

    def now(self) -> Any:
        return at(self.seconds)

    async def write(self, change: machine.Change) -> None:
        self.held = change(self.held)

    def tell(self, *_: Any, components: Sequence[str] = ()) -> None:
        del components

    async def _look(self, _: Any) -> None:
        if self.sight is not None:
            raise self.sight


async def rounds(play: Play, *words: Word, until: float = 1200, interval: float = 15) -> str:
    """Plays rounds until there is a result or it halts; says which."""
    phase = Validating(play)
    phase._validator = Probes(*words)
    while play.seconds < until:
        await phase.validate()
        if play.held.result:
            return str(play.held.result)
        if machine.phase_of(play.held) is machine.Phase.HALTED:
            return "Halted"
        play.seconds += interval
    return ""


async def test_probes_that_pass_for_the_whole_duration_are_success():
    play = Play()

    assert await rounds(play, "Passed") == "Succeeded"
    assert play.seconds == play.procedure.duration.total_seconds()


async def test_probes_that_pass_for_less_are_none():
    assert await rounds(Play(), "Passed", until=299) == ""


async def test_a_probe_that_cannot_be_asked_has_not_passed():
    play = Play()

    assert await rounds(play, "Unknown", until=900) == ""
    assert await rounds(play, "Unknown") == "Halted"


async def test_a_round_that_did_not_pass_makes_the_duration_begin_anew():
    assert await rounds(Play(), *["Passed"] * 10, "Unknown", "Passed", until=310) == ""


async def test_a_probe_that_fails_is_no_success():
    play = Play()
    halting = play.procedure.model_copy(update={"on_validation_failure": "Halt"})
    play.held = play.held.model_copy(update={"procedure": halting})

    assert await rounds(play, *["Passed"] * 10, "Failed", "Passed") == "Halted"


async def test_targets_that_cannot_be_looked_at_pass_nothing():
    play = Play()
    play.sight = Unavailable("no answer within 10 s")

    assert await rounds(play, "Passed", until=900) == ""


async def test_the_bad_version_that_came_back_is_no_success_whatever_the_probes_say():
    assert await rounds(Play(runs="v13"), "Passed") == "Halted"


async def test_a_newer_deploy_ends_it_as_superseded():
    assert await rounds(Play(runs="v14"), "Passed") == "Superseded"
