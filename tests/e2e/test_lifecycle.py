"""Two approvers, a production gateway, and the commands between them: from files to what counts, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Server, documents, refusal, serving
from tests.support import ROOT


@dataclass
class Team:
    """A production gateway and the folder of the people around it."""

    server: Server
    folder: Path

    def run(self, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        environ = {
            "SEALGATE_GATEWAY": self.server.url,
            "SEALGATE_ADMIN_TOKEN": self.server.token if token is None else token,
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-m", "gateway", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)

    def good(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def bad(self, *arguments: str, code: int = 1) -> str:
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def path(self, name: str, content: bytes | None = None) -> str:
        path = self.folder / name
        if content is not None:
            path.write_bytes(content)
        return str(path)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.good("admin", "tenant", "show", "default", "--json"))
        return found

    def sign(self, who: str, file: str, out: str, **changes: Any) -> str:
        """The path of the signature."""
        told = self.told()
        given = {"store": told["store"], "sequence": told["next"], **changes}
        options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        (self.folder / out).unlink(missing_ok=True)
        self.good("policy", "sign", file, "--key", self.path(f"{who}.pem"), "--out", self.path(out), *options)
        return self.path(out)

    def employ(self, name: str, role: str = "approver") -> None:
        """An administrator of the tenant with this role, to whom the key belongs."""
        made = json.loads(self.good("admin", "add", "--tenant", "default", "--role", role, "--json"))["id"]
        self.good("admin", "key", "add", self.path(f"{name}.pub"), "--administrator", made)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("people")
    with serving(tmp_path_factory.mktemp("gateway"), development=False) as server:
        team = Team(server, folder)
        for name, algorithm in (("alice", "ed25519"), ("bob", "EC"), ("mallory", "ed25519")):
            private, public = team.path(f"{name}.pem"), team.path(f"{name}.pub")
            more = ["-pkeyopt", "ec_paramgen_curve:P-256"] if algorithm == "EC" else []
            subprocess.run(
                ["openssl", "genpkey", "-algorithm", algorithm, *more, "-out", private], check=True
            )
            os.chmod(private, 0o600)
            subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        for name in ("alice", "bob"):
            team.employ(name)
        yield team


def test_from_files_to_what_counts_and_back(team: Team) -> None:
    """In order, as it happens: each step rests on the one before."""
    assert "2 approvals needed, 2 keys count" in team.good("admin", "tenant", "show", "default")
    first = team.path("v1.yaml", documents())
    alice, bob = team.sign("alice", first, "a1"), team.sign("bob", first, "b1")

    told = team.told()
    about = ("--store", told["store"], "--sequence", "1", "--keys", team.path("alice.pub"))
    keys = (*about, "--keys", team.path("bob.pub"))
    said = team.good("policy", "verify", first, "--signature", alice, "--signature", bob, *keys)
    assert said.count("approves") == 2 and "2 keys approve activation of " in said
    assert "approval.unknown-key" in team.bad("policy", "verify", first, "--signature", bob, *about)

    # Refusals: nothing of them counts, and each says why.
    assert "needs 2 approvals, found 0" in team.bad("policy", "apply", first)
    assert "needs 2 approvals, found 1" in team.bad("policy", "apply", first, "--signature", alice)
    twice = team.bad("policy", "apply", first, "--signature", alice, "--signature", alice)
    assert "found 1 (one key counts once)" in twice
    mallory = team.sign("mallory", first, "m1")
    stranger = team.bad("policy", "apply", first, "--signature", alice, "--signature", mallory)
    assert "approval.unknown-key" in stranger
    for changes in ({"tenant": "acme"}, {"store": "0" * 32}, {"sequence": 2}, {"action": "rollback"}):
        other = team.sign("bob", first, "other", **changes)
        said = team.bad("policy", "apply", first, "--signature", alice, "--signature", other)
        assert "approval.signature" in said, changes
    tampered = team.path("t.yaml", documents() + b"# harmless\n")
    said = team.bad("policy", "apply", tampered, "--signature", alice, "--signature", bob)
    assert "approval.signature" in said
    assert (
        refusal(team.server.admin.ask, "POST", "/v1/admin/policies", documents(), "application/yaml").reason
        == "approval.missing"
    )
    assert team.server.admin.get("/v1/admin/history") == {"changes": []}

    said = team.good("policy", "apply", first, "--signature", alice, "--signature", bob)
    assert "payments-db@1" in said and "change 1 of default: 2 of 2" in said
    replayed = team.bad("policy", "apply", first, "--signature", alice, "--signature", bob)
    assert "signed this as change 1; the next change is 2" in replayed

    second = team.path("v2.yaml", documents(version=2, lease="6h"))
    team.good("policy", "apply", second, *signatures(team, second, "2"))

    # Back: the release policy alone, as change 3.
    only = team.path("only.yaml", documents())
    assert "approval.missing" in team.bad("policy", "rollback", "payments-db", "--to", "1")
    told = json.loads(team.good("policy", "history", "--json"))
    assert [change["sequence"] for change in told] == [2, 1]
    back = signatures(team, only, "3", action="rollback")
    said = team.bad("policy", "rollback", "payments-db", "--to", "1", *back)
    assert "approval.signature" in said, "they signed all three documents of that file"
    everything = ("--also", "guests@1", "--also", "pods@1")
    said = team.good("policy", "rollback", "payments-db", "--to", "1", *everything, *back)
    assert "change 3 of default: 2 of 2" in said

    # A revoked key.
    third = team.path("v3.yaml", documents(version=3))
    late = signatures(team, third, "4")
    gone = next(key["key"] for key in team.told()["keys"] if key["algorithm"] == "ES256")
    team.good("admin", "key", "revoke", gone)
    assert "approval.unknown-key" in team.bad("policy", "apply", third, *late)
    assert "doesn't" not in team.bad("admin", "key", "add", team.path("bob.pub"))

    said = team.good("policy", "history")
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["3", "2", "1"]
    assert "rollback" in said
    kinds = [e["kind"] for e in team.server.admin.get("/v1/admin/ledger")["entries"]]
    assert kinds.count("policy.activate") == 6 and kinds.count("policy.rollback") == 3


def signatures(team: Team, file: str, name: str, **changes: Any) -> tuple[str, ...]:
    """--signature options of both."""
    alice = team.sign("alice", file, f"a{name}", **changes)
    return "--signature", alice, "--signature", team.sign("bob", file, f"b{name}", **changes)


def test_what_cannot_be_read_is_said(team: Team) -> None:
    file = team.path("v1.yaml", documents())
    about = ("--store", "0" * 32, "--sequence", "1")
    for key, said in (
        (team.path("noise.pem", b"noise"), "0600"),
        (team.path("alice.pub"), "0600"),
        (team.path("absent.pem"), "absent.pem"),
    ):
        assert said in team.bad("policy", "sign", file, "--key", key, *about, code=2)
    os.chmod(team.path("noise.pem"), 0o600)
    said = team.bad("policy", "sign", file, "--key", team.path("noise.pem"), *about, code=2)
    assert "expected a private key in PEM" in said
    said = team.bad("policy", "apply", file, "--signature", team.path("noise", b"noise"), code=2)
    assert "approval.malformed" in said
    assert "expected a public key" in team.bad("admin", "key", "add", team.path("alice.pem"), code=2)
    assert "expected a public key" in team.bad("admin", "key", "add", team.path("noise"), code=2)


BAD = {
    "no files": ({}, "request.malformed"),
    "other member": ({"files": [], "force": True}, "request.unknown-member"),
    "files no list": ({"files": {}}, "request.malformed"),
    "no documents": ({"files": []}, "request.malformed"),
    "not base64": ({"files": [{"name": "f", "source": "*"}]}, "evidence.bad-encoding"),
    "number for a name": ({"files": [{"name": 7, "source": ""}]}, "request.malformed"),
    "signature no text": ({"files": [], "signatures": [7]}, "request.malformed"),
    "too many signatures": ({"files": [], "signatures": ["x"] * 17}, "request.malformed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused(team: Team, name: str) -> None:
    body, reason = BAD[name]
    found = refusal(team.server.admin.post, "/v1/admin/activations", body)
    assert (found.reason, found.status) == (reason, 400)


def test_a_proposal_becomes_active(team: Team) -> None:
    """With whichever two of the keys count by now."""
    team.employ("mallory")
    file = team.path("v9.yaml", documents(version=9))
    name = json.loads(team.good("policy", "propose", file, "--json"))["proposal"]
    report = team.path("report.xml", b"<testsuites/>")
    said = team.good("policy", "report", name[:10], "tested", report, "--passed", "12", "--failed", "0")
    assert "tested by " in said and "passed 12" in said
    assert "approval.malformed" in team.bad("policy", "approve", name, report, code=2)
    for who in ("alice", "mallory"):
        said = team.good("policy", "approve", name, team.sign(who, file, f"p-{who}"))
    assert "2 approvals for the next change" in said
    assert "request.not-found" in team.bad("policy", "apply", "0" * 32)
    assert "2 of 2" in team.good("policy", "apply", name)
    assert "active" in team.good("policy", "status", name)
    (row,) = [line for line in team.good("policy", "status").splitlines() if name in line]
    assert row.split()[1] == "active"
    assert refusal(team.server.admin.post, f"/v1/admin/proposals/{name}/reports", {}).status == 400
    again = team.bad("policy", "apply", name)
    assert "approval.missing" in again
    assert "0 of 0 running leases" in team.good("policy", "leases")


def test_no_key_is_registered_for_who_was_revoked(team: Team) -> None:
    made = team.server.admin.ask("POST", "/v1/admin/administrators")
    team.good("admin", "revoke", made["id"])
    auditor = team.server.admin.post("/v1/admin/administrators", {"roles": ["auditor"]})["id"]
    route = "/t/acme/v1/admin/administrators"
    foreign = team.server.admin.post(route, {"roles": ["approver"]})["id"]
    for whose in (made["id"], auditor, foreign, "0" * 16):
        said = team.bad("admin", "key", "add", team.path("mallory.pub"), "--administrator", whose, code=1)
        assert "an administrator who counts and may approve here" in said
    said = team.bad("admin", "key", "add", team.path("mallory.pub"))
    assert "keys of nobody do not count here" in said


def test_an_administrator_of_a_tenant_registers_no_key(team: Team) -> None:
    made = team.server.admin.ask("POST", "/v1/admin/administrators")
    for arguments in (
        ("admin", "key", "add", team.path("mallory.pub")),
        ("admin", "key", "add", team.path("mallory.pub"), "--scope", "gateway"),
        ("admin", "tenant", "set", "default", "--approvals", "1"),
        ("admin", "tenant", "set", "--scope", "gateway", "--approvals", "1"),
    ):
        done = team.run(*arguments, token=made["token"])
        assert (done.returncode, "request.forbidden" in done.stderr) == (1, True), done.stderr
