"""Which programs are built, what the key of a build stands for, and what of the machine may be used."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from hack.localcluster.controlplane import building, machine_tools, places, toolset
from hack.localcluster.controlplane.gotoolchain import parse_go_version, probe
from hack.localcluster.controlplane.toolset import BUILD_FLAGS, KUBERNETES, TOOLSETS, Tool, minimum_go

TOOLS = {tool.name: tool for tools in TOOLSETS.values() for tool in tools}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A copy of go.mod and go.sum that a test may change."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(places.SOURCE / name, folder)
    monkeypatch.setattr(building, "SOURCE", folder)
    return folder


def a_plan(**changes) -> building.Plan:
    facts = {"build": TOOLSETS["cluster"], "adopt": {}, "go_version": "1.26.8 linux/amd64"} | changes
    return building.Plan(**facts)


def test_the_key_is_the_same_for_the_same_sources(source):
    assert a_plan().key == a_plan().key
    assert re.fullmatch("[0-9a-f]{16}", a_plan().key)


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_another_pin_gives_another_key(source, name):
    before = a_plan().key

    with (source / name).open("a") as file:
        file.write("// one line more\n")

    assert a_plan().key != before


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"go_version": "1.26.9 linux/amd64"}, id="another Go"),
        pytest.param({"build": TOOLSETS["realnode"]}, id="other tools"),
        pytest.param({"adopt": {"kubectl": Path(sys.executable)}}, id="a program of the machine"),
    ],
)
def test_another_build_has_another_key(source, changes):
    assert a_plan(**changes).key != a_plan().key


def test_other_flags_give_another_key(source, monkeypatch):
    before = a_plan().key

    monkeypatch.setattr(building, "BUILD_FLAGS", (*BUILD_FLAGS, "-race"))

    assert a_plan().key != before


def test_a_change_of_our_own_program_gives_another_key(source, monkeypatch):
    monkeypatch.setattr(toolset, "SOURCE", source)
    file = source / "pause/main.go"
    file.parent.mkdir()
    file.write_text("package main")
    before = a_plan(build=TOOLSETS["realnode"]).key

    file.write_text("package main // otherwise")

    assert a_plan(build=TOOLSETS["realnode"]).key != before
    assert "package main" in (places.SOURCE / "pause/main.go").read_text()


def test_every_tool_is_named_as_a_tool_in_go_mod():
    go_mod = (places.SOURCE / "go.mod").read_text()
    block = re.search(r"^tool \((.*?)^\)", go_mod, re.MULTILINE | re.DOTALL)

    assert block is not None
    fetched = {tool.package for tool in TOOLS.values() if not tool.package.startswith("./")}
    assert set(block[1].split()) == fetched
    assert f"k8s.io/kubernetes v{KUBERNETES}" in go_mod


@pytest.mark.parametrize(
    ("package", "name"),
    [("go.etcd.io/etcd/server/v3", "server"), ("helm.sh/helm/v4/cmd/helm", "helm")],
)
def test_the_file_that_go_writes_is_known(package, name):
    assert Tool("x", package, "1.").built_as == name


@pytest.mark.parametrize(
    ("tool", "output", "fits"),
    [
        ("kube-apiserver", "Kubernetes v1.36.3\n", True),
        ("kube-apiserver", "Kubernetes v1.35.9\n", False),
        ("kube-apiserver", "Kubernetes v1.36.0-rc.1\n", False),
        ("kubectl", '{"clientVersion": {"major": "1", "gitVersion": "v1.36.0"}}', True),
        ("kubectl", '{"clientVersion": {"gitVersion": "v1.36.1+k3s1"}}', False),
        ("etcd", "etcd Version: 3.6.8\nGo Version: go1.26.8\n", True),
        ("etcd", "etcd Version: 3.5.21\nGo Version: go3.6.1\n", False),
        ("helm", "v4.3.1", True),
        ("helm", "v3.19.0", False),
        ("prometheus", "prometheus, version 3.12.0 (branch: HEAD, revision: 1)\n", True),
        ("prometheus", "prometheus, version 2.53.0 (branch: HEAD, revision: 1)\n", False),
        ("kwok", "kwok version v0.8.0 go1.26.8 (linux/amd64)\n", True),
        ("kwok", "kwok version v0.7.0 go1.26.8 (linux/amd64)\n", False),
        ("kwok", "command not found", False),
    ],
)
def test_only_a_fitting_version_may_stand_in(tool, output, fits):
    assert TOOLS[tool].accepts(output) is fits


def program(folder: Path, name: str, output: str, code: int = 0) -> Path:
    """A real program that says `output` about its version."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{output}'\nexit {code}\n")
    file.chmod(0o755)
    return file


def test_a_fitting_program_of_the_machine_is_used_and_an_unfit_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    etcd = program(tmp_path, "etcd", "etcd Version: 3.6.9")
    program(tmp_path, "helm", "v3.19.0")
    program(tmp_path, "kwok", "kwok version v0.8.1", code=1)

    assert machine_tools.find_fitting(TOOLSETS["cluster"]) == {"etcd": etcd}


def test_what_was_built_here_is_not_mistaken_for_a_program_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = places.cache_root() / "0123456789abcdef" / "bin"
    program(built, "etcd", "etcd Version: 3.6.9")
    monkeypatch.setenv("PATH", str(built))

    assert machine_tools.find_fitting(TOOLSETS["cluster"]) == {}


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("go version go1.26.8 linux/amd64\n", (1, 26, 8)),
        ("go version go1.27 linux/arm64\n", (1, 27, 0)),
        ("go version devel go1.28-0c2c1f0 linux/amd64\n", None),
        ("gccgo (GCC) 14.2.0\n", None),
    ],
)
def test_the_version_of_go_is_read(output, version):
    assert parse_go_version(output) == version


@pytest.mark.parametrize(
    ("version", "fits"), [("1.26.0", True), ("1.27.1", True), ("1.25.9", False), ("1.9.9", False)]
)
def test_an_older_go_than_go_mod_allows_is_not_used(tmp_path, version, fits):
    go = program(tmp_path, "go", f"go version go{version} linux/amd64")

    assert (probe(go, (1, 26, 0)) is not None) is fits


def test_go_mod_says_which_go_is_needed():
    assert minimum_go("module x\n\ngo 1.26.0\n") == (1, 26, 0)
    assert minimum_go((places.SOURCE / "go.mod").read_text()) >= (1, 26, 0)
