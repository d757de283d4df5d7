"""The quick look at a trigger that was healthy and is healthy still.

Nearly every tick of nearly every policy is one of these; what is remembered of it is that it was. Anything else, and
anything that takes more than comparing plain values, is left to `measure` and `advance`.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_rollback.api.v1alpha1.trigger import Trigger
from model_rollback.core.comparison import is_breaching, is_relative
from model_rollback.core.measure import Verdict
from model_rollback.core.questions import Answers, Questions
from model_rollback.core.triggers import TriggerMemory
from model_rollback.ports import Answer


@dataclass(slots=True)
class Calm:
    """What a full evaluation rested on, by identity, and the newest tick that was passed over.

    Attributes:
        until: when it is evaluated in full whatever happens.
        seen: the newest tick; its values were healthy.
    """

    rests_on: tuple[Any, ...]
    live: tuple[Any, ...]
    until: datetime
    seen: datetime


def is_plain(trigger: Trigger) -> bool:
    """Whether its values can be judged one by one, without asking anything else."""
    return (
        trigger.traffic is None
        and trigger.reduce == "Any"
        and trigger.max_sample_age is None
        and not is_relative(trigger.breach)
    )


def is_settled(memory: TriggerMemory) -> bool:
    """Whether nothing is under way: the newest tick was measured and healthy, and no breach is open."""
    return (
        memory.state == "Healthy"
        and not memory.open
        and memory.streak == 0
        and memory.measurement is not None
        and memory.measurement.verdict is Verdict.HEALTHY
    )


def is_calm(trigger: Trigger, questions: Questions, answers: Answers) -> bool:
    """Whether this tick's answer is healthy beyond doubt; `trigger` is plain, its memory settled."""
    answer = answers[questions.value]
    if not isinstance(answer, Answer) or answer.warnings:
        return False
    mine = answer.matching(trigger.series)
    for sample in mine:  # spelled out, because it is asked of every policy at every tick
        if not math.isfinite(sample.value) or is_breaching(trigger.breach, sample.value):
            return False
    return bool(mine)
