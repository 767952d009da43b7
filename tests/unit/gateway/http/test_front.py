"""The front: what granian says becomes an environ; bodies are bounded in bytes, in time and all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.http import front
from gateway.http.body import ARRIVED, Arrived
from gateway.http.front import Front, environ_of

Headers = list[tuple[str, str]]


def scope(*headers: tuple[str, str], method: str = "POST", path: str = "/x") -> Any:
    return SimpleNamespace(
        proto="http", http_version="1.1", server="127.0.0.1:8443", client="127.0.0.1:5", scheme="http",
        method=method, path=path, query_string="a=%20", headers=dict_of(headers),
    )  # fmt: skip


def dict_of(pairs: tuple[tuple[str, str], ...]) -> Any:
    return SimpleNamespace(items=lambda: list(pairs))


class Protocol:
    """A peer that sends `chunks`; `stall` keeps the last one for ever."""

    def __init__(self, *chunks: bytes, stall: bool = False, broken: bool = False) -> None:
        self.chunks, self.stall, self.broken = chunks, stall, broken
        self.taken = 0
        self.replies: list[tuple[int, Headers, bytes]] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk
        if self.stall:
            await asyncio.sleep(3600)
        if self.broken:
            raise RuntimeError("the peer is gone")

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self.replies.append((status, headers, body))


def serve(
    protocol: Protocol, *headers: tuple[str, str], limit: int = 10, seconds: float = 5
) -> tuple[Any, Front]:
    """What the application found in its environ."""
    seen: list[Any] = []

    def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        seen.append(environ)
        start("200 OK", [("X-A", "b")])
        return [b"he", b"llo"]

    made = Front(application, lambda method, path: limit, threads=1, seconds=seconds)
    asyncio.run(made.__rsgi__(scope(*headers), protocol))
    assert protocol.replies == [(200, [("x-a", "b")], b"hello")]
    return seen[0], made


def length(size: int) -> tuple[str, str]:
    return ("content-length", str(size))


CHUNKED = ("transfer-encoding", "chunked")


def test_a_body_is_read_whole() -> None:
    environ, _ = serve(Protocol(b"abc", b"de"), length(5))
    assert environ[ARRIVED] == Arrived(b"abcde", 5)
    assert environ["wsgi.input"].read() == b""


def test_reading_ends_where_the_head_says() -> None:
    protocol = Protocol(b"abc", b"de", stall=True)
    environ, _ = serve(protocol, length(5), seconds=0.5)
    assert (environ[ARRIVED], protocol.taken) == (Arrived(b"abcde", 0.5), 2)


def test_a_body_that_stalls_is_given_up() -> None:
    environ, _ = serve(Protocol(b"abc", stall=True), length(5), seconds=0.01)
    assert (environ[ARRIVED].late, environ[ARRIVED].body) == (True, b"abc")


def test_a_connection_that_breaks_is_said() -> None:
    environ, _ = serve(Protocol(b"abc", broken=True), length(5))
    assert environ[ARRIVED].broken


@pytest.mark.parametrize("header", [length(11), length(0), ("content-length", "1e3"), ("x-other", "1")])
def test_nothing_is_read_where_the_head_says_enough(header: tuple[str, str]) -> None:
    protocol = Protocol(b"abcdefghijk")
    environ, _ = serve(protocol, header)
    assert (protocol.taken, environ[ARRIVED]) == (0, Arrived(b""))


def test_nothing_is_read_where_no_route_takes_a_body() -> None:
    protocol = Protocol(b"abc")
    serve(protocol, length(3), limit=0)
    assert protocol.taken == 0


def test_an_endless_body_is_read_one_byte_past_the_limit() -> None:
    protocol = Protocol(*[b"abcd"] * 1000)
    environ, _ = serve(protocol, CHUNKED)
    assert (environ[ARRIVED].body, protocol.taken) == (b"abcdabcdabc", 3)


def test_large_bodies_share_a_budget_and_small_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SMALL", 4)
    monkeypatch.setattr(front, "BUDGET", 3)
    fits, made = serve(Protocol(b"abcd", b"efg"), CHUNKED)
    assert (fits[ARRIVED].body, fits[ARRIVED].crowded) == (b"abcdefg", False)
    crowded, made = serve(Protocol(b"abcd", b"efg", b"h"), CHUNKED)
    assert crowded[ARRIVED].crowded
    small, _ = serve(Protocol(b"abcd"), CHUNKED)
    assert not small[ARRIVED].crowded
    assert made._held == 0, "what a request held is let go when it is answered"


@pytest.mark.parametrize("header", [length(3), CHUNKED], ids=["declared", "chunked"])
def test_whoever_may_not_call_is_told_before_anything_is_read(header: tuple[str, str]) -> None:
    protocol = Protocol(b"abc", stall=True)
    seen: list[Any] = []

    def guard(environ: dict[str, Any]) -> tuple[int, Headers, bytes]:
        seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION")))
        return 401, [("connection", "close")], b"who?"

    def application(environ: object, start: object) -> list[bytes]:
        raise AssertionError("it was let pass")

    made = Front(
        application, lambda method, path: 10, threads=1, seconds=5, guard_of=lambda method, path: guard
    )
    asyncio.run(made.__rsgi__(scope(header, ("authorization", "Bearer x")), protocol))
    assert protocol.replies == [(401, [("connection", "close")], b"who?")]
    assert (protocol.taken, seen, made._held) == (0, [("POST", "/x", "Bearer x")], 0)


@pytest.mark.parametrize("guard", [None, lambda environ: None], ids=["open", "let-pass"])
def test_whoever_may_call_is_read(guard: Any) -> None:
    protocol = Protocol(b"abc")

    def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [])
        return [environ[ARRIVED].body]

    made = Front(
        application, lambda method, path: 10, threads=1, seconds=5, guard_of=lambda method, path: guard
    )
    asyncio.run(made.__rsgi__(scope(length(3)), protocol))
    assert protocol.replies == [(200, [], b"abc")]


def test_the_environ_follows_pep_3333() -> None:
    environ = environ_of(
        scope(("content-type", "text/x"), ("x-a", "1"), ("x-a", "2"), ("x_a", "3"), path="/ä/b")
    )
    assert environ["PATH_INFO"] == "/ä/b".encode().decode("latin-1")
    assert (environ["CONTENT_TYPE"], environ["HTTP_X_A"]) == ("text/x", "1,2")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["QUERY_STRING"]) == (
        "127.0.0.1", "8443", "a=%20",
    )  # fmt: skip


def test_our_own_bug_is_an_answer_without_words() -> None:
    def application(environ: object, start: object) -> list[bytes]:
        raise RuntimeError("a bug")

    protocol = Protocol()
    made = Front(application, lambda method, path: 0, threads=1, seconds=1)
    asyncio.run(made.__rsgi__(scope(), protocol))
    assert protocol.replies == [(500, [], b"")]
