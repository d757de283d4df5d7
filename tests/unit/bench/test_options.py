"""The command line of the bench."""

import pytest
from bench.__main__ import options


def test_without_a_part_all_are_meant():
    assert options().parse_args([]).parts == []


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        options().parse_args(["speed"])

    assert "there is no 'speed', only latency, storm, scale" in capsys.readouterr().err
