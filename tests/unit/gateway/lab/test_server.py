"""The lab as a server: loopback only, bounded, quick to stop, honest about being simulated."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from urllib.parse import urlsplit

import pytest

from gateway.adapters import SystemClock
from gateway.lab import Lab, names
from gateway.lab.journal import MAX_ENTRIES, Entry, Journal
from gateway.lab.server import CONNECTIONS
from gateway.simulator import seeds
from tests.unit.gateway.lab.support import Clock, get

CRL = "/vcek/v1/Genoa/crl"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


@pytest.mark.parametrize("where", ["0.0.0.0", "192.0.2.1", "::"])
def test_it_listens_on_loopback_only(where: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        Lab(Clock(), address=where)


def test_stopping_gives_every_port_back() -> None:
    with Lab(Clock()) as lab:
        ports = [address(getattr(lab.urls, name)) for name in (*names.HOSTS, "control")]
        lab.set("kds", "refused")
    for each in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(each, timeout=1)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(each)
            again.listen()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lab ")]


def test_a_given_port_is_the_first_of_five_in_a_row() -> None:
    with Lab(Clock()) as lab:
        free = address(lab.urls.control)[1]
    try:
        with Lab(Clock(), port=free) as lab:
            assert [address(getattr(lab.urls, name))[1] for name in ("control", *names.HOSTS)] == list(
                range(free, free + 5)
            )
    except OSError:
        pytest.skip("somebody else has one of the ports")


def test_connections_are_bounded() -> None:
    with Lab(Clock()) as lab:
        held = [socket.create_connection(address(lab.urls.kds), timeout=5) for _ in range(CONNECTIONS)]
        refused = 0
        for _ in range(5):
            with socket.create_connection(address(lab.urls.kds), timeout=5) as extra:
                extra.sendall(b"GET / HTTP/1.1\r\n\r\n")
                try:
                    refused += extra.recv(1) == b""
                except ConnectionResetError:
                    refused += 1
        assert refused == 5
        for each in held:
            each.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"x" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET /?" + b"&".join(b"a=1" for _ in range(100)) + b" HTTP/1.1\r\n\r\n",
        b"POST /vcek/v1/Genoa/crl HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["tls", "short", "version", "long-line", "many-headers", "bad-url", "many-fields", "body", "length"],
)
def test_hostile_requests_leave_it_serving(raw: bytes) -> None:
    with Lab(Clock()) as lab:
        with socket.create_connection(address(lab.urls.kds), timeout=5) as peer:
            try:
                peer.sendall(raw)
                peer.shutdown(socket.SHUT_WR)
                assert b" 200 " not in peer.recv(4096)
            except (ConnectionResetError, BrokenPipeError):
                pass
        assert get(lab.urls.kds, CRL).status == 200


def test_other_methods_are_refused() -> None:
    with Lab(Clock()) as lab:
        got = get(lab.urls.kds, CRL, method="POST", body=b"x")
        assert (got.status, got.headers["allow"]) == (405, "GET")


def test_every_answer_says_that_it_is_simulated_and_gives_the_labs_time() -> None:
    with Lab(Clock()) as lab:
        got = get(lab.urls.pcs, "/")
        assert "simulated" in got.headers["server"]
        assert got.headers["date"] == "Tue, 30 Jun 2026 12:00:00 GMT"


def test_it_speaks_https_to_whoever_trusts_its_certificate() -> None:
    with Lab(SystemClock(), https=True) as lab:
        assert lab.urls.kds.startswith("https://127.0.0.1:")
        assert lab.urls.control.startswith("http://")
        host, port = address(lab.urls.kds)
        trusting = ssl.create_default_context(cadata=lab.certificate_pem.decode())
        connection = http.client.HTTPSConnection(host, port, timeout=10, context=trusting)
        connection.request("GET", CRL)
        assert connection.getresponse().status == 200
        connection.close()
        strange = http.client.HTTPSConnection(host, port, timeout=10, context=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            strange.request("GET", CRL)
        strange.close()
        lab.set("*", "error")
        connection = http.client.HTTPSConnection(host, port, timeout=10, context=trusting)
        connection.request("GET", CRL)
        assert connection.getresponse().status == 500
        connection.close()


def test_the_journal_counts_by_endpoint_and_key() -> None:
    with Lab(Clock()) as lab:
        for path in (CRL, CRL, "/vcek/v1/Milan/crl", "/nowhere"):
            get(lab.urls.kds, path)
        assert lab.journal.count("amd.crl") == 3
        assert lab.journal.count("amd.crl", product="Genoa") == 2
        assert lab.journal.count(host="kds") == 4
        assert lab.journal.count("intel.tcb-info") == 0
        (strange,) = lab.journal.entries("")
        assert (strange.target, strange.status) == ("/nowhere", 404)


def test_the_journal_is_bounded() -> None:
    journal = Journal()
    for _ in range(MAX_ENTRIES + 10):
        journal.add(Entry(at=seeds.EPOCH, host="kds", method="GET", target="/", endpoint="", key={}))
    assert journal.count() == MAX_ENTRIES
