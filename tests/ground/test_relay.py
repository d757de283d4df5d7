"""A relay leaves no connection behind, whatever its peers do; a leftover is a warning, and warnings are errors."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import requests

from tests.scenario.gateway import Gateway
from tests.support.waiting import wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@contextmanager
def endless_server() -> Iterator[str]:
    """Answers every connection with a stream without an end, faster than anybody reads."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(connection: socket.socket) -> None:
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(ANSWER)
                    while True:
                        connection.sendall(CHUNK)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "the relay still holds a connection to the server"


@pytest.mark.parametrize("reads", [True, False], ids=["a client that reads", "a client that does not read"])
def test_streams_are_cut_when_the_relay_ends(reads: bool) -> None:
    with endless_server() as upstream, Gateway(upstream) as gateway:
        client = socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])))
        client.sendall(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        assert client.recv(16)
        drained = threading.Thread(target=lambda: _drain(client), daemon=True)
        if reads:
            drained.start()
        gateway.close()
        if reads:
            drained.join(20)
            assert not drained.is_alive(), "the relay still holds the client's connection"
        client.close()
    gc.collect()


def _drain(client: socket.socket) -> None:
    try:
        while client.recv(65536):
            pass
    except OSError:
        return


def test_idle_connections_of_clients_are_closed() -> None:
    with endless_server() as upstream, Gateway(upstream) as gateway:
        gateway.fail(lambda _method, _target: 503)
        with closing(requests.Session()) as session:
            assert session.get(gateway.url, timeout=20).status_code == 503
            silent = socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])))
            gateway.close()
            silent.settimeout(20)
            assert wait_until(lambda: _is_closed(silent), 20)
            silent.close()


def _is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except OSError:
        return True
