"""Administrators by command and over HTTP: added, listed, revoked, made anew when none is left."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.client import Client
from tests.e2e.support import Server, refusal, serving
from tests.support import ROOT

TOKEN = re.compile(r"sga_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
ROUTE = "/v1/admin/administrators"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def run(*arguments: str, token: str = "", url: str = "") -> subprocess.CompletedProcess[str]:
    environ = {"SEALGATE_GATEWAY": url, "SEALGATE_ADMIN_TOKEN": token, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True
    )


def good(server: Server, *arguments: str, token: str | None = None) -> str:
    done = run(*arguments, token=server.token if token is None else token, url=server.url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def credential(said: str) -> str:
    (found,) = TOKEN.findall(said)
    return str(found)


def client(server: Server, token: str, tenant: str | None = None) -> Client:
    return Client(url=server.url, token=token, tenant=tenant)


def test_an_administrator_is_added_works_and_is_revoked(server: Server) -> None:
    token = credential(good(server, "admin", "add", "--tenant", "acme"))
    name = token.split("_")[1]
    theirs = client(server, token, "acme")
    assert theirs.get("/v1/admin/secrets") == {"secrets": []}
    assert [each["id"] for each in theirs.get(ROUTE)["administrators"]] == [name]
    assert name in good(server, "admin", "list")
    assert f"revoked {name}" in good(server, "admin", "revoke", name)
    assert refusal(theirs.get, "/v1/admin/secrets").reason == "request.unauthenticated"
    (row,) = [each for each in server.admin.get(ROUTE)["administrators"] if each["id"] == name]
    assert (row["tenant"], row["revoked"] is None) == ("acme", False)
    assert token not in good(server, "admin", "list", "--json")
    entries = client(server, server.token, "acme").get("/v1/admin/ledger")["entries"]
    by = server.token.split("_")[1]
    assert [(e["kind"], e["body"]["id"], e["body"]["by"]) for e in entries] == [
        ("admin.create", name, by), ("admin.revoke", name, by),
    ]  # fmt: skip


def test_one_of_a_tenant_manages_its_own_tenant_only(server: Server) -> None:
    ours = credential(good(server, "admin", "add", "--tenant", "ours"))
    theirs = credential(good(server, "admin", "add", "--tenant", "theirs"))
    wide = credential(good(server, "admin", "add", "--scope", "gateway"))
    mine = client(server, ours, "ours")
    for foreign in (theirs, wide, "sga_" + "0" * 16 + "_"):
        gone = refusal(mine.ask, "DELETE", f"{ROUTE}/{foreign.split('_')[1]}")
        assert (gone.status, gone.reason) == (404, "request.not-found")
    assert refusal(mine.ask, "POST", ROUTE, None, None, {"scope": "gateway"}).reason == "request.forbidden"
    assert refusal(client(server, ours, "theirs").ask, "POST", ROUTE).reason == "request.forbidden"
    assert client(server, theirs, "theirs").get("/v1/admin/secrets") == {"secrets": []}
    made = mine.ask("POST", ROUTE)
    assert made["tenant"] == "ours"
    assert len(mine.get(ROUTE)["administrators"]) == 2
    assert client(server, wide).ask("DELETE", f"{ROUTE}/{made['id']}")["revoked"] is True
    assert refusal(client(server, made["token"], "ours").get, ROUTE).status == 401


def test_where_two_must_approve_nobody_adds_their_own_second_administrator(server: Server) -> None:
    mine = client(server, credential(good(server, "admin", "add", "--tenant", "strict")), "strict")
    assert mine.ask("POST", ROUTE)["tenant"] == "strict"
    mine.ask("PUT", "/v1/admin/approvals", b'{"approvals": 2}', "application/json")
    before = mine.get(ROUTE)
    found = refusal(mine.ask, "POST", ROUTE)
    assert (found.status, found.reason) == (403, "request.forbidden")
    assert mine.get(ROUTE) == before
    assert client(server, server.token, "strict").ask("POST", ROUTE)["tenant"] == "strict"


def test_a_new_credential_goes_to_a_new_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    said = good(server, "admin", "add", "--out", str(file))
    assert not TOKEN.search(said)
    assert file.stat().st_mode & 0o777 == 0o600
    assert client(server, file.read_text()).get("/v1/admin/secrets")
    before = len(server.admin.get(ROUTE)["administrators"])
    for path in (file, tmp_path / "absent" / "token"):
        done = run("admin", "add", "--out", str(path), token=server.token, url=server.url)
        assert (done.returncode, str(path) in done.stderr) == (2, True)
    counting = [each for each in server.admin.get(ROUTE)["administrators"][before:] if not each["revoked"]]
    assert counting == []


def test_the_last_administrator_needs_a_successor(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        first = server.token.split("_")[1]
        client(server, server.token, "acme").ask("POST", ROUTE)
        done = run("admin", "revoke", first, token=server.token, url=server.url)
        assert done.returncode == 1
        assert "add a successor first" in done.stderr
        successor = credential(good(server, "admin", "add", "--scope", "gateway"))
        assert first in good(server, "admin", "revoke", first, token=successor)
        assert refusal(server.admin.get, ROUTE).status == 401


def test_who_holds_the_folder_makes_a_new_administrator_running_or_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(tmp_path) as server:
        nonce = server.anonymous.ask("POST", "/v1/challenge")["nonce"]
        done = run("admin", "recover", "--data", str(state))
        assert done.returncode == 0, done.stderr
        fresh = client(server, credential(done.stdout))
        entry = fresh.get("/v1/admin/ledger", scope="gateway")["entries"][-1]
        assert (entry["kind"], entry["body"]["by"]) == ("admin.recover", "local")
        assert fresh.ask("DELETE", f"{ROUTE}/{server.token.split('_')[1]}")["revoked"] is True
        # The gateway went on: a challenge from before is as good as one of now.
        later = server.anonymous.ask("POST", "/v1/challenge")["nonce"]
        assert epoch_of(nonce) == epoch_of(later)
    out = tmp_path / "fresh"
    done = run("admin", "recover", "--data", str(state), "--out", str(out), "--json")
    assert (done.returncode, json.loads(done.stdout)["file"]) == (0, str(out)), done.stderr
    with serving(tmp_path) as server:
        assert client(server, out.read_text()).get("/v1/admin/secrets") == {"secrets": []}


def epoch_of(nonce: str) -> bytes:
    from verifiers.codec import b64

    return b64.decode_url(nonce, "nonce", limit=200)[1:5]


@pytest.mark.parametrize("lost", ["db", "keys"])
def test_recovery_takes_database_and_keys(tmp_path: Path, lost: str) -> None:
    with serving(tmp_path):
        pass
    (tmp_path / "state" / lost).rename(tmp_path / lost)
    done = run("admin", "recover", "--data", str(tmp_path / "state"), "--out", str(tmp_path / "t"))
    assert done.returncode == 2
    assert not TOKEN.search(done.stdout)
    assert not (tmp_path / "t").exists()
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / lost).rename(tmp_path / "state" / lost)
    with serving(tmp_path) as server:
        assert len(server.admin.get(ROUTE)["administrators"]) == 1
