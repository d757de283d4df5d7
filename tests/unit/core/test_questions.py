"""What triggers ask: questions are values, so that many policies share one request."""

from datetime import timedelta

from model_rollback.core.questions import Question, questions_of
from tests.unit.core.builders import NOW, at, make_trigger


def test_a_question_is_asked_at_the_tick_or_before_it_or_at_a_moment_of_its_own():
    assert Question("up").moment(NOW) == NOW
    assert Question("up", timedelta(seconds=30)).moment(NOW) == at(-30)
    assert Question("up", at(-7)).moment(NOW) == at(-7)


def test_triggers_of_one_query_text_ask_one_question():
    ours, theirs = make_trigger(series={"model": "a"}), make_trigger("other", series={"model": "b"})

    assert len({*questions_of(ours), *questions_of(theirs)}) == 1
