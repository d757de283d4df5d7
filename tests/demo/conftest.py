"""Demos that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.demo.playing import Play


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., Play]]:
    """`play(*flags, environment=…)`: a demo in a process; its output is shown when the test fails."""
    running: list[Play] = []

    def start(*flags: str, **options: dict[str, str]) -> Play:
        running.append(Play(tmp_path / "state", *flags, **options))
        return running[-1]

    yield start
    for each in running:
        each.close()
        print(each.output)
