"""Gates that look at the version which would be put back."""

from model_rollback.api.reasons import Reason
from model_rollback.core.candidates import known_versions
from model_rollback.core.gates.observation import Blocked, Observation


def already_at_target(o: Observation) -> Blocked | None:
    """What would be put back is what runs: the pinned version, or the only Verified one."""
    if o.policy is None or o.system is None or o.choice.candidate is not None:
        return None
    target, current = o.policy.target, o.status.current_version
    pinned = target.strategy == "Pinned" and target.version == current
    others = known_versions(o.system, o.status)
    verified = (
        target.strategy == "LastVerified"
        and o.status.last_verified_version == current
        and not any(c.safe and c.version != current for c in others)
    )
    if not (pinned or verified):
        return None
    if pinned:
        return Blocked(Reason.ALREADY_AT_TARGET, f"the pinned target {current} is what runs now")
    return Blocked(
        Reason.ALREADY_AT_TARGET, f"{current}, the only Verified version to go back to, is what runs now"
    )


def no_safe_target(o: Observation) -> Blocked | None:
    """No version may be put back; the message says for each one why not."""
    if o.policy is None or o.system is None or o.choice.candidate is not None or o.choice.missing:
        return None
    return Blocked(Reason.NO_SAFE_TARGET, f"there is no version to go back to: {o.choice.why}")


def artifact_missing(o: Observation) -> Blocked | None:
    """Versions could be put back, but something that each of them needs was found missing."""
    if o.choice.candidate is not None or not o.choice.missing:
        return None
    return Blocked(Reason.ARTIFACT_MISSING, f"there is no version to go back to: {o.choice.why}")
