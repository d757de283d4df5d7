"""`kubectl rollback backtest`, on a history in memory; `tests/cluster/test_backtest.py` asks a real Prometheus."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from model_rollback.api.v1alpha1 import RollbackPolicySpec
from model_rollback.cli.backtesting import Backtest, backtest
from model_rollback.cli.history import Window, replay, window
from model_rollback.core.presets import Policy, resolve_policy
from model_rollback.core.questions import Question
from model_rollback.ports import Answer, RangeAnswer, Sample, Series
from tests.unit.api.objects import ROLLBACK_POLICY, with_fields
from tests.unit.cli.running import run

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
STEP = timedelta(seconds=15)
TRIGGER = "spec.triggers.0"


class Memory:
    """A metrics source that remembers one value, a sample of its own, for each step from START on; None: no sample."""

    def __init__(self, values: Sequence[float | None]) -> None:
        self.values = values
        self.ranges: list[tuple[datetime, datetime]] = []

    def _at(self, text: str, moment: datetime) -> float | None:
        step = (moment - START) // STEP
        value = self.values[step] if 0 <= step < len(self.values) else None
        return moment.timestamp() if "timestamp(" in text and value is not None else value

    async def query(self, text: str, at: datetime, *, within: timedelta | None = None) -> Answer:
        value = self._at(text, at)
        return Answer((Sample({}, value),) if value is not None else ())

    async def query_range(self, text: str, start: datetime, end: datetime, step: timedelta) -> RangeAnswer:
        self.ranges.append((start, end))
        moments = tuple(start + i * step for i in range((end - start) // step + 1))
        return RangeAnswer(moments, (Series({}, tuple(self._at(text, m) for m in moments)),))


def make_policy(change: dict[str, Any]) -> Policy:
    return resolve_policy(RollbackPolicySpec.model_validate(with_fields(ROLLBACK_POLICY, change)["spec"]))


async def replayed(values: Sequence[float | None], **change: Any) -> Backtest:
    changes: Mapping[str, Any] = {key.replace("__", "."): value for key, value in change.items()}
    policy = make_policy(dict(changes))
    moments = Window(START, START + (len(values) - 1) * STEP, STEP)
    return await backtest(policy, None, Memory(values), moments, lambda _: None)


def at(steps: int) -> datetime:
    return START + steps * STEP


async def test_a_breach_fires_once_and_says_how_long_it_took():
    result = await replayed([0.95] * 4 + [0.81] * 40 + [0.95] * 4)

    (fire,) = result.fires
    assert (fire.at, fire.first_bad, fire.delay) == (at(12), at(4), timedelta(minutes=2))
    assert fire.reason == "accuracy 0.81 < 0.90 for 2m"
    assert fire.recovered_at == at(44)
    assert result.held == []


async def test_a_breach_that_lasts_to_the_end_has_not_recovered():
    (fire,) = (await replayed([0.81] * 20)).fires

    assert fire.recovered_at is None


@pytest.mark.parametrize("mode", ["Enforce", "Observe", "Suspended"])
async def test_the_mode_does_not_matter(mode: str):
    assert len((await replayed([0.81] * 20, spec__mode=mode)).fires) == 1


async def test_a_second_breach_in_the_cooldown_is_told_as_held_back_and_fires_after_it():
    result = await replayed([0.81] * 10 + [0.95] * 10 + [0.81] * 200)

    assert [f.at for f in result.fires] == [at(8), at(8) + timedelta(minutes=30)]
    (held,) = result.held
    assert (held.at, held.gate, held.triggers) == (at(28), "CooldownActive", ("accuracy",))


async def test_every_breach_is_judged_as_if_there_were_a_target():
    result = await replayed(([0.81] * 10 + [0.95] * 10) * 3, spec__guards={"cooldown": "0s"})

    assert [f.at for f in result.fires] == [at(8), at(28), at(48)]


async def test_near_misses_and_gaps_are_counted():
    result = await replayed([None] * 4 + [0.95] * 4 + [0.81] * 6 + [0.95] * 4 + [0.81] * 2 + [0.95, None])

    course = result.courses["accuracy"]
    assert result.fires == []
    assert (course.near_misses, course.longest_miss) == (2, timedelta(seconds=75))
    assert course.measured_from == at(4)
    assert course.states == {"NoData": 5, "Healthy": 9, "Pending": 8}


async def test_history_is_asked_in_pieces_that_leave_nothing_out():
    source = Memory([0.95] * 4500)
    moments = Window(START, at(4499), STEP)
    done: list[int] = []

    seen = [
        moment async for moment, _ in replay(source, [Question("x"), Question("x")], moments, done.append)
    ]

    assert seen == [at(step) for step in range(4500)]
    assert source.ranges == [(at(0), at(1999)), (at(2000), at(3999)), (at(4000), at(4499))]
    assert sum(done) == moments.steps == 4500


async def test_a_question_about_earlier_or_about_a_fixed_moment_is_asked_there():
    source = Memory([float(step) for step in range(40)])
    earlier, fixed = Question("x", 4 * STEP), Question("x", at(7))

    answers = [
        answered
        async for _, answered in replay(
            source, [earlier, fixed], Window(at(10), at(12), STEP), lambda _: None
        )
    ]

    assert [a[earlier].samples[0].value for a in answers] == [6, 7, 8]
    assert [a[fixed].samples[0].value for a in answers] == [7, 7, 7]


async def test_the_target_of_a_comparison_was_last_live_when_it_is_said():
    drop = {"operator": "DropsBy", "threshold": "10%", "baseline": {"version": "Target"}}
    policy = make_policy({f"{TRIGGER}.breach": drop, f"{TRIGGER}.for": "0s"})
    source, moments = Memory([0.5] * 10 + [0.95] * 10 + [0.8] * 10), Window(at(10), at(29), STEP)

    then = await backtest(policy, None, source, moments, lambda _: None, target_seen=at(12))
    long_ago = await backtest(policy, None, source, moments, lambda _: None, target_seen=at(5))

    assert [f.at for f in then.fires] == [at(20)]
    assert long_ago.fires == []


def test_ticks_are_where_the_operator_has_them():
    found = window(START - timedelta(seconds=7), START + timedelta(seconds=40), STEP)

    assert (found.first, found.last, found.steps) == (at(0), at(2), 3)
    with pytest.raises(ValueError, match="since must be the earlier one"):
        window(at(3), at(1), STEP)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say whom to ask"),
        (["--prometheus", "localhost:9090"], "a metrics source needs a URL"),
        (
            ["--prometheus", "http://127.0.0.1:1", "--config", "c.yaml"],
            "either --prometheus URL, or --config",
        ),
        (["--config", "none.yaml"], "none.yaml"),
        (["--prometheus", "http://127.0.0.1:1", "--since", "30d"], "'30d' is not a duration"),
        (["--prometheus", "http://127.0.0.1:1", "--since", "2026-13-01T00:00:00Z"], "--since"),
        (["--prometheus", "http://127.0.0.1:1", "--step", "0s"], "--step 0s"),
        (
            ["--prometheus", "http://127.0.0.1:1", "--policy", "another"],
            "exactly one RollbackPolicy 'another'",
        ),
        (["--prometheus", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_what_cannot_be_used(words: list[str], says: str):
    outcome = run("backtest", "-f", "-", *words, stdin=yaml.safe_dump(ROLLBACK_POLICY))

    assert outcome.code == 2
    assert says in outcome.err


def test_a_source_of_the_configuration_is_named_by_the_policy(tmp_path):
    config = tmp_path / "operator.yaml"
    config.write_text("metricsSources: {eu: {url: 'http://127.0.0.1:1'}}")
    policy = with_fields(ROLLBACK_POLICY, {"spec.metricsSource": "eu"})

    asked = run("backtest", "-f", "-", "--config", str(config), stdin=yaml.safe_dump(policy))
    unknown = run("backtest", "-f", "-", "--config", str(config), stdin=yaml.safe_dump(ROLLBACK_POLICY))

    assert "127.0.0.1:1 cannot be reached" in asked.err
    assert "has no metricsSource 'default', which the policy names; it has: eu" in unknown.err
