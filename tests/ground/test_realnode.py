"""What a real node would need and get, as far as that shows without starting one (`make realnode` starts them)."""

import asyncio
import io
import ipaddress
import json
import os
import re
import tarfile
from pathlib import Path

import pytest
from hack.localcluster.controlplane.errors import LocalClusterError
from hack.localcluster.controlplane.realnode import forwarding, network, pause_image, requirements, settings
from hack.localcluster.controlplane.realnode.layout import Layout

ROOT = Path(__file__).resolve().parents[2]


def test_a_machine_without_the_packages_is_told_the_apt_get_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "CNI_PROGRAMS", tmp_path)

    with pytest.raises(LocalClusterError) as refused:
        requirements.require(tmp_path, Layout(tmp_path).socket)

    assert (
        "apt-get install --no-install-recommends conntrack containerd containernetworking-plugins iproute2 iptables"
        " mount nftables runc util-linux" in str(refused.value)
    )


def test_who_also_builds_the_images_is_told_all_packages_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LocalClusterError) as refused:
        requirements.require(tmp_path, Layout(tmp_path).socket, images=True)

    (line,) = [line for line in str(refused.value).splitlines() if "apt-get install" in line]
    page = (ROOT / "docs/how-to/run-on-a-real-node.md").read_text()
    (documented,) = re.findall(r"apt-get install --no-install-recommends ((?:.*\\\n)*.*)", page)
    assert set(documented.replace("\\", " ").split()) - {"containernetworking-plugins"} <= set(line.split())


def test_where_docker_builds_the_images_nothing_else_is_needed_for_them(tmp_path, monkeypatch):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LocalClusterError) as refused:
        requirements.require(tmp_path, Layout(tmp_path).socket, images=True)

    assert "buildah" not in str(refused.value)


def test_somebody_else_than_root_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(LocalClusterError, match="needs root"):
        requirements.require(tmp_path, Layout(tmp_path).socket)


def test_a_folder_with_a_path_too_long_for_sockets_is_refused(tmp_path):
    folder = tmp_path / ("x" * 90)

    with pytest.raises(LocalClusterError, match="too long for a socket"):
        requirements.require(folder, Layout(folder).socket)


def test_cable_services_and_pods_share_a_subnet_and_do_not_overlap():
    made = network.Network("10.213.7.0/24")
    cable = ipaddress.ip_network("10.213.7.0/30")
    ranges = [cable, ipaddress.ip_network(made.services), ipaddress.ip_network(made.pods)]

    assert [str(r) for r in ranges] == ["10.213.7.0/30", "10.213.7.64/26", "10.213.7.128/25"]
    assert {ipaddress.ip_address(a) for a in (made.machine, made.node)} == set(cable.hosts())
    assert made.api_service == "10.213.7.65"


def test_a_subnet_that_the_machine_routes_already_is_not_taken(monkeypatch):
    routes = [{"dst": "default"}, {"dst": "10.213.0.0/24"}, {"dst": "10.213.1.77"}]
    monkeypatch.setattr(network, "ip", lambda *_words: json.dumps(routes))

    assert str(network._free_subnet()) == "10.213.2.0/24"


def test_names_on_the_machine_fit_and_differ_between_clusters(tmp_path):
    one, other = Layout(tmp_path / "one"), Layout(tmp_path / "other")

    assert len(one.interface) <= 15
    assert (one.interface, one.cgroup) != (other.interface, other.cgroup)


def test_the_pause_image_is_named_and_holds_the_program_alone(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    pause_image.write(program, tmp_path / "pause.tar")

    with tarfile.open(tmp_path / "pause.tar") as archive:
        contents = {entry.name: archive.extractfile(entry).read() for entry in archive}
    (manifest,) = json.loads(contents["index.json"])["manifests"]
    assert manifest["annotations"] == {"io.containerd.image.name": settings.PAUSE}
    (layer,) = json.loads(contents[_blob(manifest)])["layers"]
    with tarfile.open(fileobj=io.BytesIO(contents[_blob(layer)])) as files:
        assert [(entry.name, entry.mode, entry.size) for entry in files] == [("pause", 0o755, 4)]


def _blob(descriptor: dict) -> str:
    return "blobs/" + descriptor["digest"].replace(":", "/")


async def test_a_connection_of_the_node_reaches_what_listens_on_loopback_only():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.readexactly(5))
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, await forwarding.forwarder("127.0.0.2", port):
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.write(b"hello")
        said = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await writer.wait_closed()

    assert said == b"heard hello"
