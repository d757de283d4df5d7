"""When nothing is judged, although everything is measured: a version that has just changed, and a rollback at work.

Old samples in a `[5m]` window are of the version before; they must not fire once more. What a Rollback writes itself
opens no breach until it is complete.
"""

from datetime import datetime, timedelta

from model_rollback.api.v1alpha1.model_deployment_status import ModelDeploymentStatus


def settling(status: ModelDeploymentStatus, *, warm_up: timedelta, settle: timedelta, now: datetime) -> str:
    """Why nothing is judged at `now`, in words; empty when it is.

    Args:
        warm_up: how long after a version change that people made.
        settle: how long after one that a Rollback made.
    """
    by, since = status.current_by, status.current_since
    active = status.active_rollback
    if active and (by == active or not status.current_version):
        return f"{active} is at work"
    if since is None or since > now:
        return ""
    until = since + (settle if by else warm_up)
    if until <= now:
        return ""
    left = f"until {until:%H:%M:%S} UTC"
    return f"{by} changed the version, it settles {left}" if by else f"a new version warms up {left}"
