"""Whether the demo showed what it promises, asked of the model server and its users."""

import contextlib

from .observing import Snapshot
from .recommender import Recommender, Served
from .sandbox import DemoError, Sandbox

JUDGED = 200
"""Labelled answers in a row that must all be from the version that was put back."""


def problems(
    sandbox: Sandbox, recommender: Recommender, seen: Snapshot, *, wanted: str, threshold: float
) -> list[str]:
    """What is wrong at the end; empty when `wanted` answers again, is good again, and the Rollback says so."""
    found = []
    if not seen.rollback:
        found.append("no Rollback was started")
    elif seen.result != "Succeeded":
        halted = seen.condition("Halted")
        state = f"is halted: {halted['message']}" if halted.get("status") == "True" else "is not finished"
        found.append(
            f"the Rollback {seen.rollback['metadata']['name']} {f'ended {seen.result}' if seen.result else state}"
        )
    else:
        _wait_for_answers(sandbox, recommender, wanted)
    serving = recommender.serving()
    if serving != wanted:
        found.append(f"{serving or 'nobody'} answers over HTTP, not {wanted}")
    served = recommender.latest_answers(JUDGED)
    if not _is_enough(served, wanted):
        who = ", ".join(sorted(served.versions)) or "nobody"
        found.append(f"the last {served.answers} answers are from {who}")
    if served.accuracy < threshold:
        found.append(
            f"{served.accuracy:.3f} of the last {served.answers} answers were right, not {threshold:.2f}"
        )
    return found


def _is_enough(served: Served, wanted: str) -> bool:
    return served.answers == JUDGED and served.versions == {wanted}


def _wait_for_answers(sandbox: Sandbox, recommender: Recommender, wanted: str) -> None:
    """Gives a slow machine time for enough answers after the revert."""
    with contextlib.suppress(DemoError):  # what is wrong then is said by the caller
        sandbox.until(
            lambda: _is_enough(recommender.latest_answers(JUDGED), wanted), f"{JUDGED} answers of {wanted}"
        )
    sandbox.require_alive()
