"""What the laws are tried on: measurements, tapes of ticks, systems and their histories."""

from hypothesis import strategies as st

from model_rollback.api.v1alpha1.target import Target
from model_rollback.core.versions import component_statuses
from tests.unit.core.builders import (
    BAD,
    ERROR,
    GOOD,
    LOW_TRAFFIC,
    NO_DATA,
    STALE,
    at,
    declared,
    live,
    make_component,
    make_status,
    make_system,
    make_trigger,
    quarantined,
    recorded,
)

VERSIONS = ("v9", "v10", "v11", "v12", "v13")

measurements = st.sampled_from([BAD, BAD, GOOD, NO_DATA, ERROR, STALE, LOW_TRAFFIC])
unmeasured = st.sampled_from([NO_DATA, ERROR, STALE, LOW_TRAFFIC])

durations = st.sampled_from(["0s", "15s", "30s", "1m", "2m", "10m"])
triggers = st.builds(
    lambda for_, consecutive, max_hold: make_trigger(
        **{"for": for_, "consecutive": consecutive, **({"maxHold": max_hold} if max_hold else {})}
    ),
    durations,
    st.integers(1, 5),
    st.none() | durations,
)
"""Triggers that hold while nothing is measured, as is the default."""


def tapes(of=measurements, max_size=40):
    """Ticks in order: how many seconds after the one before, and what was measured."""
    return st.lists(st.tuples(st.sampled_from([1, 15, 15, 15, 40, 400]), of), max_size=max_size)


targets = st.one_of(
    st.builds(
        Target,
        strategy=st.sampled_from(["LastVerified", "Previous"]),
        allow_unverified=st.sampled_from(["Never", "WhenNoVerified"]),
    ),
    st.builds(lambda version: Target(strategy="Pinned", version=version), st.sampled_from(VERSIONS)),
)
safety = st.sampled_from(["Verified", "Unverified"])


@st.composite
def systems(draw):
    """A spec and a status: some versions recorded, some declared, some quarantined, one live, maybe locked."""
    current = draw(st.sampled_from(VERSIONS))
    history = draw(st.lists(st.sampled_from(VERSIONS), unique=True))
    names = draw(st.lists(st.sampled_from(VERSIONS), unique=True))
    banned = draw(st.lists(st.sampled_from(VERSIONS), unique=True, max_size=2))
    spec = make_system(versions=[declared(name, draw(safety)) for name in names])
    until = draw(st.sampled_from([at(-1), at(0), at(1), at(3600)]))
    status = make_status(
        current,
        history=tuple(recorded(name, safe=draw(safety)) for name in history),
        quarantined=tuple(quarantined(name, until) for name in banned),
        components=component_statuses([live(current)]),
        episode=draw(st.integers(0, 2)),
        active_rollback=draw(st.sampled_from(["", "", "recommender-1a2b3c4d5e"])),
    )
    return spec, status


@st.composite
def component_graphs(draw):
    """Components whose dependencies run in no circle, listed in any order."""
    names = [f"c{n}" for n in range(draw(st.integers(1, 8)))]
    components = [
        make_component(name, dependsOn=draw(st.lists(st.sampled_from(names[:n]), unique=True)) if n else [])
        for n, name in enumerate(names)
    ]
    return draw(st.permutations(components))
