"""Builds that happen at once, are stopped, or fail.

Most tests put a program named `go` on PATH that waits until the test lets it go on: real processes, in the
order that the test wants. The last one stops the real Go.
"""

import signal
import sys
from pathlib import Path

import pytest
from hack.localcluster.controlplane.places import cache_root

from tests.ground.localcluster import run, running_in, started
from tests.support.waiting import wait_until

GO = f"""#!{sys.executable}
import subprocess, sys, time
from pathlib import Path

here = Path(__file__).parent
command = sys.argv[1]
if command == "version":
    print("go version go1.26.99 linux/amd64")
elif command == "list":
    print("one\\ntwo")
elif command == "build":
    if (here / "fail").exists():
        sys.exit("example.test/broken: no such module")
    compiler = subprocess.Popen(["sleep", "300"])
    with (here / "builds").open("a") as builds:
        builds.write("build\\n")
    print("example.test/one", file=sys.stderr, flush=True)
    while not (here / "go-on").exists():
        time.sleep(0.01)
    compiler.kill()
    compiler.wait()
    out = Path(sys.argv[sys.argv.index("-o") + 1])
    for package in (argument for argument in sys.argv if "/cmd/" in argument or "/etcd/" in argument):
        name = "server" if "/etcd/" in package else package.rpartition("/")[2]
        (out / name).write_text("built")
"""


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A machine with an empty cache on which `go` is the program above; gives the folder of that program."""
    folder = tmp_path / "machine"
    folder.mkdir()
    go = folder / "go"
    go.write_text(GO)
    go.chmod(0o755)
    (folder / "sleep").symlink_to("/bin/sleep")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def left_in_cache() -> list[str]:
    return sorted(path.name for path in cache_root().iterdir())


def test_of_two_builds_at_once_one_builds_and_the_other_waits(machine, tmp_path):
    first_log, second_log = tmp_path / "first.log", tmp_path / "second.log"
    with started("build", log=first_log) as first:
        wait_until((machine / "builds").exists)
        with started("build", log=second_log) as second:
            wait_until(lambda: "another process builds the same" in second_log.read_text())
            (machine / "go-on").touch()
            assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)

    assert (machine / "builds").read_text().splitlines() == ["build"]
    folder = first_log.read_text().splitlines()[-1]
    assert second_log.read_text().splitlines()[-1] == folder
    assert len(list(Path(folder).iterdir())) == 10
    assert run("bin").stdout.strip() == folder
    assert left_in_cache() == [Path(folder).parent.name]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "TERM"]
)
def test_a_stopped_build_leaves_no_child_and_no_half_folder(machine, tmp_path, number, code):
    log = tmp_path / "build.log"
    with started("build", log=log) as build:
        wait_until((machine / "builds").exists)
        assert len(running_in(cache_root())) > 1, "the compiler runs"

        build.send_signal(number)

        assert build.wait(timeout=60) == code
    assert running_in(cache_root()) == []
    assert left_in_cache() == []
    assert "nothing is left behind" in log.read_text()
    assert "the programs are not built yet" in run("bin").stderr


def test_what_a_killed_build_left_is_gone_after_the_next(machine, tmp_path):
    with started("build", log=tmp_path / "killed.log") as build:
        wait_until((machine / "builds").exists)
        build.kill()
        build.wait()
    assert len(left_in_cache()) > 1

    (machine / "go-on").touch()
    done = run("build")

    assert done.returncode == 0, done.stderr
    assert running_in(cache_root()) == []
    assert left_in_cache() == [Path(done.stdout.strip()).parent.name]


def test_a_failed_build_says_why_keeps_its_log_and_says_what_to_do(machine):
    (machine / "fail").touch()

    done = run("build")

    [log] = cache_root().glob("*.build.log")
    assert done.returncode == 1
    assert "compiling the tools failed" in done.stderr
    assert "example.test/broken: no such module" in done.stderr
    assert f"The whole log is kept: {log}" in done.stderr
    assert "run this again" in done.stderr
    assert left_in_cache() == [log.name]


def test_progress_is_told_line_by_line_without_a_terminal(machine):
    (machine / "go-on").touch()

    lines = run("build").stderr.splitlines()

    assert "localcluster: fetching the sources that are not in Go's module cache yet" in lines
    assert any("etcd is built (" in line for line in lines)
    assert any(line.endswith("(10 of 10)") for line in lines)
    assert "10 programs built in" in lines[-1]


def test_a_second_build_has_nothing_to_do(machine):
    (machine / "go-on").touch()
    first = run("build")

    second = run("build")

    assert (second.stdout, second.stderr) == (first.stdout, "")


@pytest.mark.cluster
def test_ctrl_c_ends_the_real_go_and_all_its_compilers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    log = tmp_path / "build.log"
    with started("build", log=log) as build:
        wait_until(lambda: "sources complete" in log.read_text(), 200)
        wait_until(lambda: len(running_in(cache_root())) > 1, describe="a compiler or linker runs")

        build.send_signal(signal.SIGINT)

        assert build.wait(timeout=60) == 130
    assert running_in(cache_root()) == []
    assert left_in_cache() == []
