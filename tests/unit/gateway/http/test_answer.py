"""Who a client is, as handlers are told, and how little of what a stranger sends is remembered for it. Who is
told what is wrong with a document."""

from __future__ import annotations

import json

import pytest

from gateway.http import answer
from gateway.http.routes import ROUTES, Route
from policies.errors import Place, PolicyError, Source

CLIENT = "203.0.113.9"


def client(peer: str, forwarded: str, *proxies: str) -> str:
    return answer._client({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}, proxies)


@pytest.mark.parametrize("proxies", [(), ("10.0.0.1",)], ids=["none", "another"])
def test_what_a_stranger_says_of_others_is_not_remembered(proxies: tuple[str, ...]) -> None:
    answer._network.cache_clear()
    for number in range(50):
        assert client("192.0.2.1", "x" * 9000 + f", {number}, {CLIENT}", *proxies) == "192.0.2.1"
    assert answer._network.cache_info().currsize == 1


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "[::ffff:10.0.0.1]"])
def test_of_what_a_proxy_of_ours_says_the_end_is_remembered(peer: str) -> None:
    answer._network.cache_clear()
    for number in range(50):
        assert (
            client(peer, f"{number}," + "x" * 9000 + f", {CLIENT}, 10.0.0.2", "10.0.0.1", "10.0.0.2")
            == CLIENT
        )
    assert answer._network.cache_info().currsize == 1


def test_all_hops_that_count_fit() -> None:
    longest = "2001:0db8:1111:2222:3333:4444:5555:6666"
    forwarded = ", ".join([CLIENT, *["1111:2222:3333:4444:5555:6666:7777:8888"] * 15])
    assert client("10.0.0.1", forwarded, "10.0.0.1", "1111:2222:3333:4444:5555:6666:7777:8888") == CLIENT
    assert client("10.0.0.1", longest, "10.0.0.1") == "2001:db8:1111:2222::/64"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_documents_are_explained_to_administrators_only(route: Route) -> None:
    place = Place(Source("disk.yaml", ("allow: confidential-line",), "sha256:" + "0" * 64), 1, 1)
    error = PolicyError("policy.unknown-key", place, "unknown key", hint="allow")
    reply = answer._failed(route, error).reply()
    told = json.loads(reply.body)
    if not route.access.open:
        assert (reply.status, told["reason"]) == (422, "policy.unknown-key")
        assert [(e["file"], e["line"], e["hint"]) for e in told["errors"]] == [("disk.yaml", 1, "allow")]
    else:
        assert (reply.status, told["reason"]) == (500, "internal.error")
        assert b"disk.yaml" not in reply.body and b"confidential-line" not in reply.body
