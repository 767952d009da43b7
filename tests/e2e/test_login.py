"""Administrators who sign their requests, and those who come from an identity provider: as users see it."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway import approval, signedrequests
from gateway.client import Client
from gateway.http.message import JSON, OCTETS
from tests.e2e.provider import Provider, providing, until
from tests.e2e.support import Server, fresh_key, refusal, serving
from tests.support import ROOT

ROUTE = "/v1/admin/administrators"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gateway")
    file = folder / "sealgate.toml"
    file.write_text(
        f"""verify_credentials = ["acme"]
[listen]
workers = 1
[oidc]
issuer = "{provider.issuer}"
audience = "sealgate"
roles = {{authors = ["policy-author"], ops = ["operator", "auditor"], boss = ["owner"]}}
tenants = {{acme-team = "acme", platform = "*"}}
"""
    )
    with serving(folder, "--config", str(file)) as running:
        until(lambda: "/jwks" in provider.asked)
        yield running


def run(server: Server, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT,
        env={"SEALGATE_GATEWAY": server.url, "PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
    )


def as_person(server: Server, token: str, tenant: str | None = "acme") -> Client:
    return Client(url=server.url, token=token, tenant=tenant)


# --- keys ---


def test_a_key_is_registered_and_signs_every_request_of_a_command(server: Server, tmp_path: Path) -> None:
    private, public = tmp_path / "ops.pem", tmp_path / "ops.pub"
    for command in (
        ["genpkey", "-algorithm", "ed25519", "-out", str(private)],
        ["pkey", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *command], check=True)
    private.chmod(0o600)
    added = run(
        server, "admin", "add", "--tenant", "keyed", "--role", "secret-owner", "--key", str(public),
        SEALGATE_ADMIN_TOKEN=server.token,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    assert "secret-owner" in added.stdout and "sga_" not in added.stdout
    secret = tmp_path / "secret"
    secret.write_bytes(b"hush")
    signs = {"SEALGATE_ADMIN_KEY": str(private), "SEALGATE_AUDIENCE": server.issuer}
    for arguments in (("secret", "put", "a/b", str(secret)), ("secret", "list")):
        done = run(server, *arguments, "--tenant", "keyed", **signs)
        assert done.returncode == 0, done.stderr
    assert "a/b" in done.stdout
    denied = run(server, "admin", "list", "--tenant", "keyed", **signs)
    assert (denied.returncode, "request.role" in denied.stderr) == (1, True)
    wrong = run(
        server, "secret", "list", "--tenant", "keyed", **{**signs, "SEALGATE_AUDIENCE": "https://x.example"}
    )
    assert (wrong.returncode, "one for this gateway" in wrong.stderr) == (1, True)
    again = run(server, "admin", "add", "--key", str(public), SEALGATE_ADMIN_TOKEN=server.token)
    assert (again.returncode, "store.conflict" in again.stderr) == (1, True)
    leak = run(server, "admin", "add", "--key", str(private), SEALGATE_ADMIN_TOKEN=server.token)
    assert (leak.returncode, "expected a public key" in leak.stderr) == (2, True)


class Signer:
    """An owner of the tenant who signs, and what was sent."""

    def __init__(self, server: Server, tenant: str = "signers") -> None:
        self.server, self.key, self.sent = server, fresh_key(), list[tuple[str, str, bytes, str]]()
        body = {"roles": ["owner"], "key": dict(approval.of_public(self.key.public_key()).jwk)}
        self.id = server.admin.post(f"/t/{tenant}{ROUTE}", body)["id"]
        self.client = Client(url=server.url, tenant=tenant, sign=self.sign)

    def sign(self, method: str, target: str, body: bytes) -> str:
        token = signedrequests.sign(
            self.key, audience=self.server.issuer, method=method, target=target, body=body,
            now=datetime.now(UTC), jti=hashlib.sha256(str(len(self.sent)).encode()).digest()[:16],
        )  # fmt: skip
        self.sent.append((method, target, body, token))
        return f"Signed {token}"

    def replayed(self, **changes: Any) -> tuple[int, str]:
        method, target, body, token = self.sent[-1]
        method, target = changes.get("method", method), changes.get("target", target)
        body = changes.get("body", body)
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=30)
        headers = {"Authorization": f"Signed {token}", "Content-Type": OCTETS}
        connection.request(method, target, body or None, headers)
        reply = connection.getresponse()
        told = json.loads(reply.read())
        connection.close()
        return reply.status, str(told.get("reason", ""))


def test_a_signed_request_counts_once_and_for_itself_only(server: Server) -> None:
    signer = Signer(server)
    assert signer.client.get("/v1/admin/secrets") == {"secrets": []}
    gone = (401, "request.unauthenticated")
    assert signer.replayed() == gone
    path = "/v1/admin/secrets/x/y"
    assert signer.client.ask("PUT", path, b"one", OCTETS)["version"] == 1
    for change in (
        {}, {"body": b"two"}, {"method": "DELETE"}, {"target": "/t/signers/v1/admin/secrets/x/z"},
        {"target": "/t/other/v1/admin/secrets/x/y"},
        {"target": "/t/signers/v1/admin/secrets/x/y?expect=present"},
    ):  # fmt: skip
        assert signer.replayed(**change) == gone
    (held,) = signer.client.get("/v1/admin/secrets")["secrets"]
    assert held["version"] == 1
    server.admin.ask("DELETE", f"{ROUTE}/{signer.id}")
    assert refusal(signer.client.get, "/v1/admin/secrets").status == 401


def test_of_many_who_send_the_same_signed_request_one_is_heard(server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    signer = Signer(server, "crowd")
    signer.sign("PUT", "/t/crowd/v1/admin/secrets/a/b", b"once")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: signer.replayed()[0], range(8)))
    assert sorted(found) == [201, *[401] * 7]


# --- an identity provider ---


def test_who_comes_from_the_provider_may_what_the_claims_say(server: Server, provider: Provider) -> None:
    author = as_person(server, provider.token())
    assert author.get("/v1/admin/proposals") == {"proposals": []}
    assert refusal(author.get, ROUTE).reason == "request.role"
    assert refusal(as_person(server, provider.token(), "globex").get, "/v1/admin/proposals").reason == (
        "request.forbidden"
    )
    wide = as_person(server, provider.token(sub="root", groups=["boss", "platform"]), None)
    assert wide.get("/v1/admin/collateral")["collateral"] is not None
    for change, reason in (
        ({"groups": ["acme-team"]}, "request.role"),
        ({"groups": ["authors"]}, "request.forbidden"),
        ({"aud": "other"}, "request.unauthenticated"),
        ({"exp": 1}, "request.unauthenticated"),
        ({"iss": "https://evil.example"}, "request.unauthenticated"),
    ):
        given = provider.token(**change)
        assert refusal(as_person(server, given).get, "/v1/admin/proposals").reason == reason, change
    head, body, _ = provider.token().split(".")
    forged = as_person(server, f"{head}.{body}.{'A' * 86}")
    assert refusal(forged.get, "/v1/admin/proposals").reason == "request.unauthenticated"


def test_a_person_has_one_id_and_no_name(server: Server, provider: Provider) -> None:
    """Neither the ledger nor the store nor a list says who they are."""
    person = {"sub": "carol@acme.example", "email": "carol@acme.example"}
    as_person(server, provider.token(**person)).get("/v1/admin/proposals")
    rows = {each["id"] for each in server.admin.get(ROUTE)["administrators"]}
    as_person(server, provider.token(**person)).get("/v1/admin/proposals")
    listed = server.admin.get(ROUTE)["administrators"]
    assert {each["id"] for each in listed} == rows
    acme = Client(url=server.url, token=server.token, tenant="acme")
    entries = acme.get("/v1/admin/ledger")["entries"]
    made = [e["body"] for e in entries if e["kind"] == "admin.create" and e["body"]["by"] == "oidc"]
    assert all(set(body) == {"id", "roles", "by"} for body in made) and made
    everything = json.dumps([listed, entries]).encode()
    for path in (server.data / "state").rglob("*"):
        everything += path.read_bytes() if path.is_file() else b""
    assert b"carol" not in everything and b"alice@acme" not in everything


def test_other_claims_are_other_roles_from_then_on_and_revoked_is_revoked(
    server: Server, provider: Provider
) -> None:
    person = {"sub": "dave"}
    acme = Client(url=server.url, token=server.token, tenant="acme")
    before = {each["id"] for each in acme.get(ROUTE)["administrators"]}
    as_person(server, provider.token(**person)).get("/v1/admin/proposals")
    (found,) = [each for each in acme.get(ROUTE)["administrators"] if each["id"] not in before]
    assert (found["login"], found["roles"], found["tenant"]) == ("oidc", ["policy-author"], "acme")
    as_person(server, provider.token(**person, groups=["ops", "acme-team"])).get("/v1/admin/ledger")
    last = acme.get("/v1/admin/ledger")["entries"][-1]
    assert (last["kind"], last["body"]["roles"]) == ("admin.assign", ["auditor", "operator"])
    acme.ask("DELETE", f"{ROUTE}/{found['id']}")
    gone = refusal(as_person(server, provider.token(**person)).get, "/v1/admin/proposals")
    assert (gone.status, gone.reason) == (401, "request.unauthenticated")


def test_a_strangers_token_makes_nobody_fetch(server: Server, provider: Provider) -> None:
    before = len(provider.asked)
    for number in range(40):
        given = provider.token(kid=f"unknown-{number}")
        assert refusal(as_person(server, given).get, "/v1/admin/proposals").status == 401
    assert len(provider.asked) - before <= 2  # one look: discovery and keys


def test_the_device_flow_ends_in_a_token_file(server: Server, provider: Provider, tmp_path: Path) -> None:
    out = tmp_path / "me.jwt"
    about = ("--issuer", provider.issuer, "--client-id", "sealgate-cli", "--out", str(out))
    done = run(server, "admin", "login", *about)
    assert done.returncode == 0, done.stderr
    assert f"open {provider.issuer}/go and enter WDJB-MJHT" in done.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    said = run(server, "policy", "status", "--tenant", "acme", "--token-file", str(out))
    assert (said.returncode, said.stdout) == (0, "no proposals\n"), said.stderr
    provider.answer = "access_denied"
    try:
        done = run(server, "admin", "login", *about)
    finally:
        provider.answer = ""
    assert done.returncode == 2 and "access_denied" in done.stderr and len(done.stderr.splitlines()) == 2
    other = run(server, "admin", "login", "--issuer", provider.issuer + "/", *about[2:])
    assert other.returncode == 2 and "another" in other.stderr


# --- relying parties ---


def test_a_tenant_may_demand_credentials_for_background_checks(server: Server) -> None:
    acme = Client(url=server.url, tenant="acme")
    found = refusal(acme.post, "/v1/verify", {})
    assert (found.status, found.reason) == (401, "request.unauthenticated")
    told = server.admin.post(f"/t/acme{ROUTE}", {"roles": ["relying-party"]})
    party = replace(acme, token=told["token"])
    assert refusal(party.post, "/v1/verify", {}).reason == "request.malformed"
    auditor = server.admin.post(f"/t/acme{ROUTE}", {"roles": ["auditor"]})["token"]
    assert refusal(replace(acme, token=auditor).post, "/v1/verify", {}).reason == "request.role"
    # Elsewhere, and for everything else, nothing is asked for.
    assert refusal(server.anonymous.post, "/v1/verify", {}).reason == "request.malformed"
    assert acme.ask("POST", "/v1/challenge")["nonce"]
    assert refusal(acme.ask, "POST", "/v1/attest", b"{}", JSON).status == 400
