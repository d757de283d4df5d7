"""Each kind of probe against scripted surroundings: what passes, what fails, and what was no answer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from model_rollback.api.v1alpha1.probe import PROBE_KINDS, Probe
from model_rollback.api.v1alpha1.rollback_record import Step
from model_rollback.core.live import LiveTarget
from model_rollback.engine.probes import Round, Surroundings, make
from model_rollback.engine.validation import MISSES, Validator
from model_rollback.errors import Forbidden, NotFound, Unavailable
from model_rollback.ports import LogLine, LogPart, LogStream, ObjectRef, ProbeAnswer
from tests.unit.core.builders import NOW, answer, at, live, make_procedure, make_trigger

POD = LogStream("recommender-x", "uid-1", "server", 0)
TARGET = ObjectRef("apps/v1", "Deployment", "shop", "recommender")
OOM = "CUDA out of memory"


class FakeSource:
    def __init__(self, *values):
        self.values = list(values)

    async def query(self, text, at, *, within=None):
        return answer(*(self.values.pop(0) if len(self.values) > 1 else self.values[0]))


class FreshSource:
    """One series whose samples are as new as can be."""

    value = 0.0

    async def query(self, text, at, *, within=None):
        return answer(at.timestamp() if "timestamp" in text else self.value)


class FakeHttp:
    def __init__(self, *answers):
        self.answers = list(answers)

    async def ask(self, namespace, probe, expected_version):
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


class FakeLogs:
    """Pods as streams, and each stream's lines; `part`: how many lines one read gives."""

    def __init__(self, lines, part=1000):
        self.lines, self.part, self.reads = lines, part, []

    async def streams(self, namespace, selector, container=""):
        assert selector == {"matchLabels": {"app": "recommender"}}
        return [s for s in self.lines if container in ("", s.container)]

    async def read(self, namespace, stream, since):
        self.reads.append((stream.pod, since))
        whole_second = since.replace(microsecond=0)
        found = [line for line in self.lines[stream] if line.at >= whole_second]
        return LogPart(tuple(found[: self.part]), len(found) > self.part)


class FakeObjects:
    def __init__(self, *objects):
        self.stored = dict(objects)
        self.created = []

    async def get(self, ref):
        if ref not in self.stored:
            raise NotFound(str(ref))
        return self.stored[ref]

    async def create(self, ref, body, *, dry_run=False):
        self.created.append(ref.name)
        self.stored[ref] = body
        return body


def deployment():
    return TARGET, {"spec": {"selector": {"matchLabels": {"app": "recommender"}}}}


def around(**fields):
    given = {
        "rollback": ObjectRef("modelrollback.dev/v1alpha1", "Rollback", "shop", "recommender-1a2b3c4d5e"),
        "uid": "uid-rollback",
        "version": "v12",
        "procedure": make_procedure(),
        "began": at(60),
        "target_seen": None,
        "target": lambda name: TARGET if name == "model" else None,
        "sources": {},
        "http": FakeHttp(),
        "logs": FakeLogs({}),
        "objects": FakeObjects(deployment()),
        **fields,
    }
    given.setdefault("writer", given["objects"])
    return Surroundings(**given)


def probe(**fields):
    return Probe.model_validate({"name": "proof", **fields})


def logs_probe(**fields):
    return probe(logs={"component": "model", "pattern": OOM, **fields})


def moment(seconds=120, targets=None, steps=()):
    return Round(targets or [live("v12")], steps, at(seconds))


def line(seconds, text="all is well"):
    return LogLine(at(seconds), text)


def revert(component="model", written=0):
    return Step(name=f"revert-{component}", action="Revert", component=component, written_at=at(written))


def test_every_kind_has_its_room():
    examples = {
        "readiness": {},
        "http": {"service": "recommender", "port": 80},
        "trigger": "accuracy",
        "metric": {"query": "up", "breach": {"operator": "LessThan", "threshold": "1"}},
        "logs": {"component": "model", "pattern": "x"},
        "job": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }
    assert tuple(examples) == PROBE_KINDS
    for kind, body in examples.items():
        made = probe(**{kind: body})
        assert made.kind == kind
        assert make(made, around()) is not None


# --- metric -------------------------------------------------------------------------------------------------------

METRIC = {"query": "avg(engagement)", "breach": {"operator": "LessThan", "threshold": "0.1"}}
MEASURED = {
    "healthy": ((0.2,), "Passed", "Healthy"),
    "breaching": ((0.05,), "Failed", "Breaching"),
    "one bad series of two": ((0.2, 0.05), "Failed", "Breaching"),
    "no series": ((), "Unknown", "NoData"),
    "NaN": ((float("nan"),), "Unknown", "NoData"),
}


@pytest.mark.parametrize("case", MEASURED)
async def test_a_metric_probe_judges_its_own_query(case):
    values, state, observed = MEASURED[case]
    asker = make(probe(metric=METRIC), around(sources={"default": FakeSource(values)}))

    said = await asker.ask(moment())

    assert (said.state, said.observed) == (state, observed)


async def test_a_trigger_has_recovered_only_beyond_where_it_recovers_and_then_the_threshold_counts():
    trigger = make_trigger(recoverAt="0.93", **{"for": "1m"})
    procedure = make_procedure().model_copy(update={"triggers": (trigger,)})
    said, source = [], FreshSource()
    asker = make(probe(trigger="accuracy"), around(procedure=procedure, sources={"default": source}))

    for tick, source.value in enumerate([0.8, 0.92, 0.95, 0.92, 0.8]):
        said.append((await asker.ask(moment(15 * tick))).state)

    assert said == ["Unknown", "Unknown", "Passed", "Passed", "Unknown"]


async def test_a_metric_probe_without_its_source_has_not_passed():
    said = await make(probe(metric=METRIC), around()).ask(moment())

    assert (said.state, "no metricsSource 'default'" in said.message) == ("Unknown", True)


# --- logs ---------------------------------------------------------------------------------------------------------


async def test_logs_without_the_pattern_pass():
    logs = FakeLogs({POD: [line(1), line(2)]})

    said = await make(logs_probe(), around(logs=logs)).ask(moment(steps=[revert()]))

    assert said == ProbeAnswer(
        "Passed", "0", f"0 lines match {OOM!r}, 0 allowed, in the logs of 1 containers"
    )


async def test_a_match_fails_and_the_line_itself_is_not_repeated():
    logs = FakeLogs({POD: [line(1), line(62, f"{OOM}: password=hunter2")]})

    said = await make(logs_probe(), around(logs=logs)).ask(moment(steps=[revert()]))

    assert (said.state, said.observed) == ("Failed", "1")
    assert said.message.endswith("the last in recommender-x/server at 10:01:02 UTC")
    assert "hunter2" not in said.message


async def test_lines_from_before_the_revert_do_not_count():
    logs = FakeLogs({POD: [line(9.5, OOM), line(10, "ready")]})

    said = await make(logs_probe(), around(logs=logs)).ask(moment(steps=[revert(written=10)]))

    assert said.state == "Passed"


async def test_a_component_that_was_not_reverted_counts_from_the_first_write_of_the_plan():
    logs = FakeLogs({POD: [line(1, OOM), line(6, OOM)]})

    said = await make(logs_probe(max_matches=1), around(logs=logs)).ask(
        moment(steps=[revert("features", 5), revert("api", 9)])
    )

    assert (said.state, said.observed) == ("Passed", "1")


async def test_each_line_is_counted_once_though_it_is_read_again():
    lines = [line(1.1, OOM), line(1.1, OOM), line(1.2)]
    logs = FakeLogs({POD: lines})
    asker = make(logs_probe(max_matches=9), around(logs=logs))

    seen = []
    for new in ([], [line(1.2, OOM), line(1.3, OOM)], [], [line(1.3, OOM)]):
        lines.extend(new)
        seen.append((await asker.ask(moment(steps=[revert()]))).observed)

    assert seen == ["2", "4", "4", "5"]
    assert [since for _, since in logs.reads] == [at(0), at(1.2), at(1.3), at(1.3)]


async def test_logs_that_are_longer_than_a_round_reads_are_read_on_and_have_not_passed_meanwhile():
    logs = FakeLogs({POD: [line(i) for i in range(7)]}, part=3)
    asker = make(logs_probe(), around(logs=logs))

    states = [(await asker.ask(moment(steps=[revert()]))).state for _ in range(3)]

    assert states == ["Unknown", "Unknown", "Passed"]


async def test_a_container_that_starts_again_is_another_stream():
    """The last words of the life before are found though the new one says nothing."""
    died = replace(POD, previous=True)
    logs = FakeLogs({died: [line(1, OOM)], replace(POD, life=1): []})

    said = await make(logs_probe(), around(logs=logs)).ask(moment(steps=[revert()]))

    assert said.state == "Failed"


async def test_only_the_named_container_is_read():
    logs = FakeLogs({POD: [line(1)], replace(POD, container="proxy"): [line(1, OOM)]})

    said = await make(logs_probe(container="server"), around(logs=logs)).ask(moment(steps=[revert()]))

    assert said.state == "Passed"


UNREADABLE = {
    "no pods": (logs_probe(), deployment(), "has written a log"),
    "an unknown component": (
        probe(logs={"component": "x", "pattern": "x"}),
        deployment(),
        "no component x",
    ),
    "a target without pods": (logs_probe(), (TARGET, {"spec": {}}), "selects no pods"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_logs_that_cannot_be_read_are_no_proof(case):
    wanted, target, why = UNREADABLE[case]

    said = await make(wanted, around(objects=FakeObjects(target))).ask(moment())

    assert (said.state, why in said.message) == ("Unknown", True)


# --- job ----------------------------------------------------------------------------------------------------------

SMOKE = probe(
    job={
        "template": {
            "metadata": {"labels": {"app": "smoke"}},
            "spec": {
                "containers": [
                    {"name": "smoke", "image": "smoke:1", "env": [{"name": "CASES", "value": "9"}]}
                ]
            },
        },
        "timeout": "90s",
    }
)


class Jobs(FakeObjects):
    """Lets a test end the newest Job."""

    def end(self, type_, **more):
        name = self.created[-1]
        [ref] = [r for r in self.stored if r.name == name]
        condition = {"type": type_, "status": "True", "reason": "R", "message": "M"}
        self.stored[ref] = {**self.stored[ref], "status": {"conditions": [condition]}, **more}


async def test_a_job_is_made_waited_for_and_believed_once():
    jobs = Jobs()
    asker = make(SMOKE, around(objects=jobs))

    assert (await asker.ask(moment())).state == "Unknown"
    assert (await asker.ask(moment())).observed == "running"
    jobs.end("Complete")
    assert (await asker.ask(moment())).state == "Passed"
    jobs.stored.clear()
    assert (await asker.ask(moment())).state == "Passed"
    assert len(jobs.created) == 1


async def test_the_job_belongs_to_the_rollback_and_is_told_the_version():
    jobs = Jobs()
    await make(SMOKE, around(objects=jobs)).ask(moment())

    [(ref, body)] = jobs.stored.items()
    pod = body["spec"]["template"]["spec"]
    assert (ref.kind, ref.namespace) == ("Job", "shop")
    assert ref.name.startswith("recommender-1a2b3c4d5e-proof-1-")
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-rollback"
    assert (body["spec"]["backoffLimit"], body["spec"]["activeDeadlineSeconds"]) == (0, 90)
    assert body["spec"]["template"]["metadata"] == {"labels": {"app": "smoke"}}
    assert pod["containers"][0]["env"] == [
        {"name": "MODEL_ROLLBACK_VERSION", "value": "v12"},
        {"name": "CASES", "value": "9"},
    ]
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("Never", "default")
    assert pod["automountServiceAccountToken"] is False


async def test_a_job_is_created_by_the_account_that_the_modeldeployment_names():
    operator, account = Jobs(), Jobs()
    await make(SMOKE, around(objects=operator, writer=account)).ask(moment())

    assert (operator.created, len(account.created)) == ([], 1)


async def test_three_failed_jobs_fail_the_probe_and_a_new_process_finds_them():
    jobs = Jobs()

    async def rounds(count):
        validator = Validator(around(objects=jobs, procedure=make_procedure(validation=probes(SMOKE))))
        states = []
        for _ in range(count):
            [said] = await validator.ask_all([live("v12")], [], [], now=NOW)
            states.append(said.state)
            if said.observed == "started":
                jobs.end("Failed")
        return states

    assert await rounds(6) == ["Unknown"] * 5 + ["Failed"]
    assert len(jobs.created) == MISSES
    assert await rounds(3) == ["Unknown"] * 2 + ["Failed"]
    assert len(jobs.created) == MISSES


async def test_a_validation_that_is_repeated_runs_new_jobs():
    jobs = Jobs()
    await make(SMOKE, around(objects=jobs)).ask(moment())
    await make(SMOKE, around(objects=jobs, began=at(900))).ask(moment())

    assert len(set(jobs.created)) == 2


async def test_somebody_elses_job_of_that_name_proves_nothing():
    jobs = Jobs()
    asker = make(SMOKE, around(objects=jobs))
    await asker.ask(moment())
    jobs.end("Complete", metadata={"name": "x"})

    said = await asker.ask(moment())

    assert (said.state, "delete it" in said.message) == ("Unknown", True)


@pytest.mark.parametrize("name", ["recommender-1a2b3c4d5e", "a.very.long.name-" * 12 + "1a2b3c4d5e"])
async def test_the_name_of_a_job_fits_the_label_of_its_pods(name):
    jobs = Jobs()
    rollback = ObjectRef("modelrollback.dev/v1alpha1", "Rollback", "shop", name)
    long_probe = SMOKE.model_copy(update={"name": "p" * 63})
    await make(long_probe, around(objects=jobs, rollback=rollback)).ask(moment())

    assert len(jobs.created[0]) <= 63
    assert "." not in jobs.created[0]


# --- rounds -------------------------------------------------------------------------------------------------------


def probes(*wanted):
    return {"probes": [p.model_dump(by_alias=True, exclude_none=True) for p in wanted], "duration": "5m"}


PASSED, FAILED, UNKNOWN = (ProbeAnswer(state, state, state) for state in ("Passed", "Failed", "Unknown"))
HTTP = probe(http={"service": "recommender", "port": 80})

ROUNDS = {
    "three misses in a row": ([FAILED] * 3, ["Unknown", "Unknown", "Failed"]),
    "a pass between them begins anew": (
        [FAILED, FAILED, PASSED, FAILED, FAILED, FAILED],
        ["Unknown", "Unknown", "Passed", "Unknown", "Unknown", "Failed"],
    ),
    "a round without an answer is passed over": (
        [FAILED, UNKNOWN, FAILED, UNKNOWN, FAILED],
        ["Unknown"] * 4 + ["Failed"],
    ),
    "never an answer": ([UNKNOWN] * 5, ["Unknown"] * 5),
    "what raises has not passed": (
        [Unavailable("503"), Forbidden("no"), RuntimeError("a bug")],
        ["Unknown"] * 3,
    ),
}


@pytest.mark.parametrize("case", ROUNDS)
async def test_rounds(case):
    answers, states = ROUNDS[case]
    validator = Validator(around(http=FakeHttp(*answers), procedure=make_procedure(validation=probes(HTTP))))

    seen = [(await validator.ask_all([], [], [], now=at(i)))[0].state for i in range(len(answers))]

    assert seen == states


async def test_only_news_change_the_record_and_the_last_answer_is_kept_aside():
    validator = Validator(
        around(http=FakeHttp(PASSED, PASSED, FAILED), procedure=make_procedure(validation=probes(HTTP)))
    )

    first = await validator.ask_all([], [], [], now=at(0))
    second = await validator.ask_all([], [], first, now=at(15))
    assert second == first
    assert validator.latest[0].at == at(15)
    third = await validator.ask_all([], [], second, now=at(30))
    assert (third[0].state, third[0].at) == ("Unknown", at(30))


async def test_one_probe_that_raises_leaves_the_others_their_answers():
    ready = probe(name="ready", readiness={})
    validator = Validator(
        around(http=FakeHttp(RuntimeError("a bug")), procedure=make_procedure(validation=probes(HTTP, ready)))
    )

    said = await validator.ask_all([live("v12")], [], [], now=NOW)

    assert [(p.probe, p.state) for p in said] == [("proof", "Unknown"), ("ready", "Passed")]


async def test_readiness_wants_every_component_and_what_was_put_there():
    gone = LiveTarget("model", problem="Deployment model does not exist", missing=True)
    asker = make(probe(readiness={}), around())
    held = Step(
        name="revert-model",
        action="Revert",
        component="model",
        after=({"pin": "image", "value": "shop/recommender:v12"},),
    )

    async def state(*targets):
        return (await asker.ask(Round(targets, [held], NOW))).state

    assert await state(live("v12")) == "Passed"
    assert await state(live("v13")) == "Failed"
    assert await state(gone) == "Failed"
    assert await state(live("v12"), live("v12", "api", readiness=gone.readiness)) == "Failed"
    assert (await asker.ask(Round([], [held], NOW))).state == "Unknown"


def test_settle_waits_for_the_window_of_a_metric_probe_too():
    long = probe(metric={**METRIC, "query": "avg_over_time(engagement[15m])"})

    assert make_procedure(validation=probes(long)).settle == timedelta(minutes=15)
