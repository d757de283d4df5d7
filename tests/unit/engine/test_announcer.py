"""What is told, to whom: the table of Events decides, not the place that tells."""

import ast
from pathlib import Path

import pytest

from model_rollback.api.reasons import Reason
from model_rollback.core.events import EVENTS
from model_rollback.core.outcome import OUTCOMES
from model_rollback.engine import announcer
from model_rollback.engine.announcer import Announcer

KINDS = ("Rollback", "ModelDeployment", "RollbackPolicy", "Deployment")


PACKAGE = Path(announcer.__file__).resolve().parents[1]


class Notices(list):
    """A Recorder that keeps what it is given."""

    def publish(self, notice):
        self.append(notice)


def concerned():
    return [{"kind": kind, "metadata": {"namespace": "shop", "name": kind.lower()}} for kind in KINDS]


@pytest.mark.parametrize("reason", EVENTS)
def test_an_event_goes_to_the_objects_that_the_table_names(reason):
    published = Notices()

    Announcer(published).tell(reason, "in words", concerned())

    told = {"target" if n.regarding["kind"] == "Deployment" else n.regarding["kind"] for n in published}
    assert told == set(EVENTS[reason].on)
    assert {(n.reason, n.note, n.action, n.warning) for n in published} == {
        (reason, "in words", EVENTS[reason].action, EVENTS[reason].warning)
    }


def test_the_first_object_is_the_subject_of_the_others():
    published = Notices()

    Announcer(published).tell(Reason.ROLLBACK_SUCCEEDED, "v13 to v12", concerned())

    assert [n.related and n.related["kind"] for n in published] == [None, "Rollback", "Rollback", "Rollback"]


def told_reasons():
    """Every `Reason.X` that stands first in a call of `tell` or `Announcement`."""
    for path in [*PACKAGE.glob("core/*.py"), *PACKAGE.glob("engine/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Attribute):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                of = node.args[0].value
                if name in ("tell", "Announcement") and isinstance(of, ast.Name) and of.id == "Reason":
                    yield Reason[node.args[0].attr]


def test_whatever_is_told_is_in_the_table_and_nothing_else():
    results = {outcome.reason for outcome in OUTCOMES.values()}

    assert {*told_reasons(), *results} == set(EVENTS)
