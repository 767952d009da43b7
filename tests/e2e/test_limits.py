"""One client that asks too often, over real connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

from gateway.http.problem import MEDIA_TYPE
from tests.e2e.support import PATH, SNP, Server, refusal, serving


def post(
    server: Server, path: str, body: bytes, method: str = "POST"
) -> tuple[http.client.HTTPResponse, dict[str, object]]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        with contextlib.suppress(BrokenPipeError):  # the reply may come before the body was sent
            connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply, json.loads(reply.read())
    finally:
        connection.close()


def test_who_asks_too_often_is_told_when_to_come_again_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sealgate.toml"
    file.write_text("[limits]\nattempts_per_minute = 2\n[listen]\nworkers = 1\n")
    with serving(tmp_path, "--config", str(file)) as server:
        server.provide()
        guest = server.guest(SNP)
        secrets = guest.get([PATH])
        assert secrets
        head = server.anonymous.get("/v1/ledger/checkpoint")
        assert post(server, "/v1/attest", b"{}")[0].status == 400
        large = b"x" * 100_000
        for path, body in (("/v1/attest", b"{}"), ("/t/acme/v1/release", b""), ("/v1/verify", large)):
            reply, told = post(server, path, body)
            assert (reply.status, told["reason"]) == (429, "request.rate-limited")
            assert reply.headers["Content-Type"] == MEDIA_TYPE
            assert 1 <= int(reply.headers["Retry-After"]) <= 30
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["Sealgate-Mode"] == "development"
        # Its challenge is granted, for those have a count of their own; the attempt is not.
        assert refusal(guest.get, [PATH]).reason == "request.rate-limited"
        assert server.anonymous.get("/v1/ledger/checkpoint") == head
        assert server.admin.get("/v1/admin/secrets")["secrets"]
        assert 'route="/v1/attest",status="429"' in metrics(server)


def test_no_other_spelling_of_a_route_gets_around_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "sealgate.toml"
    file.write_text("[limits]\nattempts_per_minute = 1\n[listen]\nworkers = 1\n")
    with serving(tmp_path, "--config", str(file)) as server:
        told = [post(server, "/v1/challenge", b"{}")[0].status for _ in range(2)]
        assert told == [200, 429]
        for method, path, status in (
            ("post", "/v1/challenge", 405),
            ("PoSt", "/v1/challenge", 405),
            ("POST", "//v1/challenge", 404),
            ("POST", "///v1/challenge", 404),
            ("POST", "/%2Fv1/challenge", 404),
        ):
            assert post(server, path, b"{}", method)[0].status == status, (method, path)


def metrics(server: Server) -> str:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_whoever_may_not_call_is_told_before_they_send_a_body(tmp_path: Path) -> None:
    """Of four megabytes that were announced not one byte is sent, and the reply is there all the same."""
    file = tmp_path / "sealgate.toml"
    file.write_text("[limits]\nread_seconds = 120\n")
    with serving(tmp_path, "--config", str(file)) as server:
        place = urlsplit(server.url)
        foreign = server.admin.ask("POST", "/t/acme/v1/admin/administrators")["token"]
        for path, token, expected in (
            ("/v1/admin/activations", "", (401, "request.unauthenticated")),
            ("/v1/admin/activations", "sga_" + "0" * 16 + "_" + "A" * 43, (401, "request.unauthenticated")),
            ("/t/other/v1/admin/proposals", foreign, (403, "request.forbidden")),
            ("/t/acme/v1/admin/collateral/bundle", foreign, (403, "request.forbidden")),
        ):
            head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            head += f"Authorization: Bearer {token}\r\nContent-Length: {4 * 2**20}\r\n\r\n"
            with socket.create_connection((place.hostname or "", place.port or 0), timeout=60) as peer:
                peer.sendall(head.encode())
                reply = http.client.HTTPResponse(peer)
                reply.begin()
                assert (reply.status, json.loads(reply.read())["reason"]) == expected
                assert reply.headers["Connection"] == "close"
