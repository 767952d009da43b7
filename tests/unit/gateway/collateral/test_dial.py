"""Every way in which a vendor may answer ends in one outcome, bounded in size and time."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from gateway.collateral.dial import Dialler, Outcome, Request

QUICK = Dialler(connect_seconds=1, read_seconds=1, total_seconds=2)
CAP = 1000


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """One connection, answered by hand; the URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def run() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    answer(connection)
            except OSError:
                return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/there?x=1"
    thread.join(5)


def asked(raw: bytes, *, cap: int = CAP) -> tuple[Outcome, bytes, int | None]:
    with serving(lambda c: c.sendall(raw)) as url:
        reply = QUICK.get(Request(url=url, cap=cap))
    return reply.outcome, reply.body, reply.retry_after


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "Connection: close", "", "")).encode()


def test_a_body_and_its_headers() -> None:
    with serving(lambda c: c.sendall(head("200 OK", "TCB-Info-Issuer-Chain: x%20y") + b"abc")) as url:
        reply = QUICK.get(Request(url=url, cap=CAP))
    assert (reply.outcome, reply.body) == (Outcome.OK, b"abc")
    assert reply.headers["tcb-info-issuer-chain"] == "x%20y"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("204 No", Outcome.MALFORMED),
        ("301 Moved", Outcome.REDIRECTED),
        ("302 Found", Outcome.REDIRECTED),
        ("304 Same", Outcome.REDIRECTED),
        ("400 Bad", Outcome.MALFORMED),
        ("401 No", Outcome.FORBIDDEN),
        ("403 No", Outcome.FORBIDDEN),
        ("404 No", Outcome.NOT_FOUND),
        ("410 Gone", Outcome.GONE),
        ("500 Oops", Outcome.UNAVAILABLE),
        ("503 Later", Outcome.UNAVAILABLE),
    ],
)
def test_a_status_is_an_outcome(status: str, outcome: Outcome) -> None:
    assert asked(head(status, "Location: http://127.0.0.1:1/", "Content-Length: 0"))[0] is outcome


@pytest.mark.parametrize(
    ("status", "line", "seconds"),
    [
        ("429 Slow", "Retry-After: 120", 120),
        ("429 Slow", "Retry-After: 0", 1),
        ("429 Slow", "Retry-After: 99999999999999999999", 3600),
        ("429 Slow", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", 60),
        ("429 Slow", "Retry-After: -5", 60),
        ("429 Slow", "X: y", 60),
        ("503 Later", "Retry-After: 7", 7),
    ],
)
def test_a_pause_that_is_asked_for_is_clamped(status: str, line: str, seconds: int) -> None:
    assert asked(head(status, line, "Content-Length: 0")) == (Outcome.THROTTLED, b"", seconds)


@pytest.mark.parametrize(
    ("size", "outcome"), [(CAP - 1, Outcome.OK), (CAP, Outcome.OK), (CAP + 1, Outcome.OVERSIZED)]
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_ends_at_its_cap(size: int, outcome: Outcome, declared: bool) -> None:
    lines = [f"Content-Length: {size}"] if declared else []
    found, body, _ = asked(head("200 OK", *lines) + b"x" * size)
    assert (found, len(body)) == (outcome, size if outcome is Outcome.OK else 0)


def test_a_body_without_end_ends_at_its_cap() -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked"))
        for _ in range(10_000):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with serving(pour) as url:
        assert QUICK.get(Request(url=url, cap=CAP)).outcome is Outcome.OVERSIZED


def test_nothing_is_decompressed() -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    raw = head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb
    assert asked(raw, cap=10_000)[0] is Outcome.MALFORMED


def test_half_a_body_is_none() -> None:
    assert asked(head("200 OK", "Content-Length: 100") + b"x" * 50)[0] is Outcome.UNAVAILABLE
    chunked = head("200 OK", "Transfer-Encoding: chunked") + b"64\r\n" + b"x" * 50
    assert asked(chunked)[0] is Outcome.UNAVAILABLE


@pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n"])
def test_what_is_not_http_is_no_answer(raw: bytes) -> None:
    assert asked(raw)[0] is Outcome.UNAVAILABLE


@pytest.mark.parametrize("start", [b"", head("200 OK", "Content-Length: 900"), head("200 OK")[:-2] + b"X: "])
def test_a_peer_that_drips_ends_at_the_deadline(start: bytes) -> None:
    """One byte in less than the read timeout, for longer than all of it may take."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(start or b"HTTP/1.1 ")
        while not stop.wait(0.2):
            connection.sendall(b"1")

    with serving(drip) as url:
        reply = QUICK.get(Request(url=url, cap=CAP))
        stop.set()
    assert reply.outcome is Outcome.UNAVAILABLE


def test_a_silent_peer_and_a_closed_port() -> None:
    with serving(lambda c: time.sleep(3)) as url:
        assert QUICK.get(Request(url=url, cap=CAP)).outcome is Outcome.UNAVAILABLE
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert QUICK.get(Request(url=f"http://127.0.0.1:{port}/", cap=CAP)).outcome is Outcome.UNAVAILABLE


def test_tls_that_nobody_vouches_for_is_no_answer() -> None:
    from gateway.lab import Lab
    from tests.stores import FakeClock

    with Lab(FakeClock(), https=True) as lab:
        url = f"{lab.urls.kds}/vcek/v1/Genoa/crl"
        reply = QUICK.get(Request(url=url, cap=100_000))
        assert lab.journal.count() == 0
    assert reply.outcome is Outcome.UNAVAILABLE and "certificate" in reply.detail.lower()


def test_no_proxy_or_credential_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:

    def answer(connection: socket.socket) -> None:
        connection.sendall(head("200 OK") + b"direct")

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with serving(answer) as url:
        assert QUICK.get(Request(url=url, cap=CAP)).body == b"direct"


def test_a_secret_header_is_not_shown() -> None:
    assert "hunter2" not in repr(Request(url="http://x/", cap=1, secret_headers={"Key": "hunter2"}))
