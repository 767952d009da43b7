"""The limiter: how often a client may ask, who the client is, and that what is remembered is bounded."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.http.front import Front
from gateway.http.limiter import LIMITED, Buckets, Limiter


class Seconds:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


def scope(path: str = "/v1/attest", client: str = "192.0.2.1:5", method: str = "POST", **headers: str) -> Any:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return SimpleNamespace(
        proto="http", method=method, path=path, client=client, headers=SimpleNamespace(items=lambda: pairs)
    )


def limiter(per_minute: int = 2, *proxies: str) -> tuple[Limiter, Seconds, list[str]]:
    now, counted = Seconds(), list[str]()
    made = Limiter(per_minute, proxies=proxies, headers={"X-Fixed": "yes"}, count=counted.append, now=now)
    return made, now, counted


def refused(made: Limiter, *scopes: Any) -> list[bool]:
    return [made.refusal(each) is not None for each in scopes]


def test_what_is_limited_is_what_anybody_may_post() -> None:
    assert LIMITED == ("/v1/challenge", "/v1/attest", "/v1/release", "/v1/verify")


def test_a_bucket_begins_full_and_fills_again() -> None:
    now = Seconds()
    buckets = Buckets(2, now=now)
    assert [buckets.wait(("a", False)) for _ in range(4)] == [0, 0, 30, 30]
    now.at += 29.9
    assert buckets.wait(("a", False)) == 1
    now.at += 0.1
    assert [buckets.wait(("a", False)) for _ in range(2)] == [0, 30]
    now.at += 3600
    assert [buckets.wait(("a", False)) for _ in range(3)] == [0, 0, 30]


def test_clients_do_not_count_for_one_another_nor_challenges_for_attempts() -> None:
    made, _, _ = limiter(1)
    other = scope(client="192.0.2.2:5")
    challenge = scope("/v1/challenge")
    given = [scope(), scope("/v1/release"), challenge, challenge, other, other]
    assert refused(made, *given) == [False, True, False, True, False, True]


@pytest.mark.parametrize(
    ("path", "method", "limited"),
    [("/v1/attest", "POST", True), ("/t/acme/v1/verify", "POST", True), ("/t/a b\n/v1/release", "POST", True),
     ("/v1/attest", "GET", False), ("/v1/attest/", "POST", False), ("/v1/attest\n", "POST", False),
     ("/t/a/b/v1/attest", "POST", False), ("/v1/admin/policies", "POST", False), ("/healthz", "GET", False)],
)  # fmt: skip
def test_only_routes_that_cost_something_count(path: str, method: str, limited: bool) -> None:
    made, _, counted = limiter(1)
    assert refused(made, *[scope(path, method=method)] * 2) == [False, limited]
    assert len(counted) == limited


def test_zero_is_no_limit() -> None:
    made, _, _ = limiter(0)
    assert not any(refused(made, *[scope()] * 1000))


def test_the_answer_is_a_problem_that_says_when_to_come_again() -> None:
    made, _, counted = limiter(1)
    made.refusal(scope())
    answer = made.refusal(scope("/t/acme/v1/attest"))
    assert answer is not None
    status, headers, body = answer
    assert (status, counted) == (429, ["/v1/attest"])
    assert dict(headers) == {
        "x-fixed": "yes", "retry-after": "60", "connection": "close",
        "content-type": "application/problem+json",
    }  # fmt: skip
    assert json.loads(body) == {
        "type": "urn:sealgate:problem:request.rate-limited", "title": "Too many requests", "status": 429,
        "reason": "request.rate-limited", "detail": "this client asked too often; again in 60 s",
    }  # fmt: skip


def test_many_clients_take_bounded_memory() -> None:
    buckets = Buckets(1, most=100)
    for number in range(1000):
        assert buckets.wait((f"client {number}", False)) == 0
    assert len(buckets) == 100
    assert buckets.wait(("client 999", False)) > 0
    assert buckets.wait(("client 0", False)) == 0, "a forgotten client begins anew"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("192.0.2.1:1", "192.0.2.1:2", True), ("[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:2", True),
     ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", False), ("[::ffff:192.0.2.1]:1", "192.0.2.1:9", True),
     ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", False), ("", "unix:", True),
     ("[fe80::1%eth0]:1", "[fe80::2%eth0]:1", True)],
)  # fmt: skip
def test_who_is_one_client(one: str, other: str, same: bool) -> None:
    made, _, _ = limiter(1)
    assert refused(made, scope(client=one), scope(client=other)) == [False, same]


PROXY, CLIENT = "10.0.0.1:7", "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        pytest.param("192.0.2.1:5", CLIENT, "192.0.2.1", id="not a proxy of ours"),
        pytest.param(PROXY, CLIENT, CLIENT, id="named"),
        pytest.param(PROXY, f"1.1.1.1, {CLIENT}", CLIENT, id="what the client made up is to the left"),
        pytest.param(PROXY, f"1.1.1.1,{CLIENT}, 10.0.0.2", CLIENT, id="two proxies"),
        pytest.param(PROXY, "10.0.0.2, 10.0.0.1", "10.0.0.1", id="proxies only"),
        pytest.param(PROXY, f"{CLIENT}, nonsense", "10.0.0.1", id="unreadable"),
        pytest.param(PROXY, "", "10.0.0.1", id="empty"),
        pytest.param(PROXY, f"{CLIENT}," + "10.0.0.2," * 5000 + "10.0.0.2", "10.0.0.1", id="endless"),
    ],
)
def test_a_proxy_of_ours_says_who_the_client_is_and_nobody_else(peer: str, forwarded: str, who: str) -> None:
    made, _, _ = limiter(1, "10.0.0.1", "10.0.0.2")
    assert made._client(scope(client=peer, X_Forwarded_For=forwarded)) == who


def test_without_proxies_the_header_is_nothing() -> None:
    made, _, _ = limiter(1)
    given = [scope(X_Forwarded_For=f"203.0.113.{number}") for number in range(3)]
    assert refused(made, *given) == [False, True, True]


def test_the_front_answers_before_anything_is_read() -> None:
    made, _, _ = limiter(1)
    made.refusal(scope())

    class Protocol:
        def __init__(self) -> None:
            self.replies: list[Any] = []

        def __aiter__(self) -> Any:
            raise AssertionError("the body was asked for")

        def response_bytes(self, *reply: Any) -> None:
            self.replies.append(reply)

    def never(*_: Any) -> Any:
        raise AssertionError("the application was asked")

    protocol, front = Protocol(), Front(never, never, threads=1, seconds=1, refusal=made.refusal)
    asyncio.run(front.__rsgi__(scope(), protocol))
    assert [reply[0] for reply in protocol.replies] == [429]
