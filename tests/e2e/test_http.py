"""A real gateway process over HTTP: secrets for guests that pass, exact codes for those that do not."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.client import Client, ClientError, Refused
from gateway.guest import Guest
from gateway.protocol.native import report_data
from gateway.release.native import Expected, open_release
from gateway.simulator import logwrite
from gateway.simulator.intel import RTMRS
from gateway.token import verify as offline
from tests.e2e.support import (
    NOW,
    PATH,
    SECRET,
    SNP,
    TDX,
    Server,
    documents,
    fresh_key,
    refusal,
    serving,
    snp_collateral,
    snp_machine,
    tdx_collateral,
    tdx_machine,
)
from verifiers.codec import b64
from verifiers.model import TcbVersion

SPELLINGS = (
    SECRET,
    base64.b64encode(SECRET),
    base64.urlsafe_b64encode(SECRET).rstrip(b"="),
    SECRET.hex().encode(),
)
replies: list[bytes] = []


@pytest.fixture(scope="module", autouse=True)
def recorded() -> Iterator[None]:
    """Keep every reply's bytes; at the end no spelling of the secret may be in one of them."""
    patch = pytest.MonkeyPatch()
    original = Client._read

    def read(self: Client, status: int, raw: bytes) -> Any:
        replies.append(raw)
        return original(self, status, raw)

    patch.setattr(Client, "_read", read)
    yield
    patch.undo()
    assert len(replies) > 50
    assert [raw for raw in replies if any(spelling in raw for spelling in SPELLINGS)] == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        running.provide()
        yield running


def send(guest: Guest, paths: list[str], *, nonce: str | None = None, key: Any = None) -> dict[str, Any]:
    """One attestation, without opening what comes back."""
    key = key or fresh_key()
    runtime = guest.runtime_data(nonce or guest.challenge(), key.public_key())
    return dict(guest.attest(runtime, paths))


def token_of(server: Server, machine: Any = SNP) -> str:
    return str(send(server.guest(machine), [])["ear"])


# --- what passes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "machine", [SNP, TDX, tdx_machine(version=5, body="1.5")], ids=["snp", "tdx4", "tdx5"]
)
def test_an_approved_guest_gets_the_secret(server: Server, machine: Any) -> None:
    opened = server.guest(machine).get([PATH])[PATH]
    assert (opened.secret, opened.version) == (SECRET, 1)
    assert opened.lease is not None and opened.lease.total_seconds() == 12 * 3600


def test_a_token_is_a_handle_for_a_later_release(server: Server) -> None:
    guest, key = server.guest(SNP), fresh_key()
    nonce = guest.challenge()
    token = send(guest, [], nonce=nonce, key=key)["ear"]
    reply = server.anonymous.post("/v1/release", {"ear": token, "paths": [PATH]})
    wanted = Expected(iss=server.issuer, aud=server.issuer, nonce=nonce, path=PATH, tenant="default")
    assert open_release(reply["releases"][0]["release"], guest.jwks, key, wanted).secret == SECRET


def test_the_token_verifies_offline_and_says_simulated(server: Server) -> None:
    jwks = server.anonymous.get("/.well-known/jwks.json")
    token, now = token_of(server), datetime.now(UTC)
    claims = offline.verify(token, jwks, issuer=server.issuer, audience=server.issuer, now=now)
    module = claims["submods"]["cpu0"]
    assert claims["iss"] == "https://development.sealgate.invalid"
    assert module["sealgate"]["simulated"] is True
    assert module["ear.status"] == "warning"
    assert module["ear.trustworthiness-vector"]["executables"] == 3


def test_each_path_is_decided_by_itself(server: Server) -> None:
    reply = send(server.guest(SNP), [PATH, "nobody/owns-this", "payments/db/absent"])
    assert [entry["path"] for entry in reply["releases"]] == [PATH]
    assert {entry["path"]: entry["reason"] for entry in reply["refusals"]} == {
        "nobody/owns-this": "release.no-policy",
        "payments/db/absent": "release.secret-absent",
    }


def test_an_event_log_is_appraised_with_its_quote(server: Server) -> None:
    machine = tdx_machine(log=(*logwrite.BOOT, logwrite.aael("a.example", "PullImage", "one")))
    sent = send(server.guest(machine, event_log=machine.event_log()), [PATH])
    assert [release["path"] for release in sent["releases"]] == [PATH]
    jwks = server.anonymous.get("/.well-known/jwks.json")
    claims = offline.verify(
        sent["ear"], jwks, issuer=server.issuer, audience=server.issuer, now=datetime.now(UTC)
    )
    found = claims["submods"]["cpu0"]["sealgate"]
    assert found["checks"]["tdx.event-log"] == "passed"
    assert "tdx.event-log" not in found["unchecked"]
    assert found["claims"]["event_log_aael"] == ["a.example PullImage one"]
    assert found["provenance"]["replayed"] == [
        "event_log_replayed",
        "event_log_secure_boot",
        "event_log_aael",
    ]
    again = server.anonymous.post("/v1/release", {"ear": sent["ear"], "paths": [PATH]})
    assert [release["path"] for release in again["releases"]] == [PATH]


# --- what is refused -----------------------------------------------------------------------------------

OLD = TcbVersion(bootloader=9, tee=0, snp=22, microcode=72)
REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("one bit of the report flipped", SNP, {"tamper": 0x90}, "snp.signature"),
    ("debug guest", snp_machine(policy=0xB0000), {}, "snp.debug-off"),
    ("wrong measurement", SNP, {"measurement": b"m" * 48}, "guest.not-listed"),
    ("another pod", SNP, {"host_data": b"h" * 32}, "workload.not-listed"),
    ("debug TD", TDX, {"td_attributes": 0x10000001}, "tdx.debug-off"),
    ("other TD image", TDX, {"mr_td": b"m" * 48}, "guest.not-listed"),
    ("old TDX platform", tdx_machine(level="OutOfDate"), {}, "tdx.tcb-status"),
]


EDITED = logwrite.write(logwrite.BOOT[:-1])
"""The log of TDX without its last entry, which is of RTMR1."""


@pytest.mark.parametrize(
    ("log", "reason", "found"),
    [
        (EDITED, "tdx.event-log", f"RTMR1: {RTMRS[1].hex()} in the quote, "),
        (TDX.event_log()[:1000], "tdx.event-log-malformed", "event log.event 9.data: expected 52 bytes"),
        (b"", "tdx.event-log-malformed", "event log: expected a TCG log, found nothing"),
    ],
    ids=["edited", "cut", "empty"],
)
def test_a_log_that_does_not_replay_is_refused(server: Server, log: bytes, reason: str, found: str) -> None:
    refused = refusal(server.guest(TDX, event_log=log).get, [PATH])
    assert (refused.status, refused.reason) == (403, reason)
    shown = server.admin.get(f"/v1/admin/attempts/{refused.problem['attempt']}")
    check = next(check for check in shown["checks"] if check["id"] == "tdx.event-log")
    assert (check["outcome"], check["found"][: len(found)]) == ("failed", found)
    assert "event_log_replayed" not in shown["claims"]


@pytest.mark.parametrize(("what", "machine", "changes", "reason"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_have_their_code(
    server: Server, what: str, machine: Any, changes: dict[str, Any], reason: str
) -> None:
    changes = dict(changes)
    at = changes.pop("tamper", None)
    guest = server.guest(machine, **changes)
    if at is not None:
        guest = tampering(guest, at)
    refused = refusal(guest.get, [PATH])
    assert (refused.status, refused.reason) == (403, reason)
    assert refused.problem["verdict"] == "refused"
    shown = server.admin.get(f"/v1/admin/attempts/{refused.problem['attempt']}")
    assert shown["reason"] == reason
    assert any(check["outcome"] == "failed" and check["expected"] for check in shown["checks"])


def tampering(guest: Guest, at: int) -> Guest:
    honest = guest.evidence

    def evidence(data: bytes) -> dict[str, Any]:
        envelope = dict(honest(data))
        raw = bytearray(b64.decode_url(envelope["report"], "report", limit=2000))
        raw[at] ^= 1
        return envelope | {"report": b64.encode_url(bytes(raw))}

    return Guest(
        client=guest.client,
        audience=guest.audience,
        issuer=guest.issuer,
        tenant=guest.tenant,
        jwks=guest.jwks,
        evidence=evidence,
    )


def test_old_firmware_is_below_the_floor(server: Server) -> None:
    machine = snp_machine()
    old = type(machine)(at=NOW, tcb=OLD, fields=machine.fields)
    assert refusal(server.guest(old).get, [PATH]).reason == "snp.tcb-floor.genoa"


def test_a_nonce_is_good_once_whatever_came_of_it(server: Server) -> None:
    guest = server.guest(SNP)
    nonce = guest.challenge()
    assert send(guest, [PATH], nonce=nonce)["releases"]
    assert refusal(lambda: send(guest, [PATH], nonce=nonce)).reason == "session.nonce-used"
    spent = guest.challenge()
    assert refusal(lambda: send(tampering(guest, 0x90), [PATH], nonce=spent)).reason == "snp.signature"
    assert refusal(lambda: send(guest, [PATH], nonce=spent)).reason == "session.nonce-used"


def test_a_nonce_is_good_once_for_many_at_the_same_time(server: Server) -> None:
    """Eight requests with one challenge race over two worker processes."""
    guest, key = server.guest(SNP), fresh_key()
    runtime = guest.runtime_data(guest.challenge(), key.public_key())
    body = {
        "evidence": dict(guest.evidence(report_data(runtime))),
        "runtime_data": b64.encode_url(runtime),
        "release": [PATH],
    }

    def ask(_: int) -> str:
        try:
            return str(len(server.anonymous.post("/v1/attest", body)["releases"]))
        except Refused as error:
            return error.reason

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(ask, range(8)))
    assert answers == ["1"] + ["session.nonce-used"] * 7


def test_a_nonce_of_somebody_else_is_none(server: Server) -> None:
    guest = server.guest(SNP)
    nonce = guest.challenge()
    changed = nonce[:20] + ("A" if nonce[20] != "A" else "B") + nonce[21:]
    assert refusal(lambda: send(guest, [PATH], nonce=changed)).reason == "session.nonce-forged"
    other = server.guest(SNP, tenant="other").challenge()
    assert refusal(lambda: send(guest, [PATH], nonce=other)).reason == "session.nonce-forged"


def test_a_relayed_key_is_not_bound(server: Server) -> None:
    """The attacker puts its own key beside evidence that was made over the guest's."""
    guest = server.guest(SNP)
    nonce = guest.challenge()
    honest = guest.runtime_data(nonce, fresh_key().public_key())
    evidence = guest.evidence(report_data(honest))
    forged = guest.runtime_data(nonce, fresh_key().public_key())
    body = {"evidence": dict(evidence), "runtime_data": b64.encode_url(forged), "release": [PATH]}
    refused = refusal(server.anonymous.post, "/v1/attest", body)
    assert (refused.status, refused.reason) == (403, "session.key-not-bound")
    assert refused.problem["where"] == "binding.report-data"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"audience": "https://evil.example"}, "session.audience"), ({"tenant": "acme"}, "session.tenant")],
)
def test_evidence_for_another_place_is_refused(server: Server, change: dict[str, str], reason: str) -> None:
    guest = replace(server.guest(SNP), **change)
    assert refusal(lambda: send(guest, [PATH])).reason == reason


def test_another_tenant_has_neither_policy_nor_secret(server: Server) -> None:
    refused = refusal(server.guest(SNP, tenant="acme").get, [PATH])
    assert refused.reason == "release.no-policy"
    token = token_of(server)
    client = Client(url=server.url, tenant="acme")
    assert refusal(client.post, "/v1/release", {"ear": token, "paths": [PATH]}).reason == "session.tenant"


def test_without_a_policy_nothing_is_released(server: Server) -> None:
    refused = refusal(server.guest(SNP).get, ["nobody/owns-this"])
    assert (refused.status, refused.reason) == (403, "release.no-policy")
    flipped = refusal(tampering(server.guest(SNP), 0x90).get, ["nobody/owns-this"])
    assert flipped.reason == "snp.signature"


# --- tokens --------------------------------------------------------------------------------------------


def verified(server: Server, **members: Any) -> dict[str, Any]:
    guest = server.guest(SNP)
    body = {"evidence": dict(guest.evidence(bytes(64)))} | members
    return dict(server.anonymous.post("/v1/verify", body))


def test_a_background_check_never_releases(server: Server) -> None:
    result = verified(server, report_data=b64.encode_url(bytes(64)))
    assert result["verdict"] == "accepted"
    body = {"ear": result["ear"], "paths": [PATH]}
    assert refusal(server.anonymous.post, "/v1/release", body).reason == "release.not-releasable"


def test_a_background_check_with_our_challenge_never_releases_either(server: Server) -> None:
    guest = server.guest(SNP)
    runtime = guest.runtime_data(guest.challenge(), fresh_key().public_key())
    body = {
        "evidence": dict(guest.evidence(report_data(runtime))),
        "runtime_data": b64.encode_url(runtime),
    }
    result = server.anonymous.post("/v1/verify", body)
    assert result["verdict"] == "accepted"
    asked = {"ear": result["ear"], "paths": [PATH]}
    assert refusal(server.anonymous.post, "/v1/release", asked).reason == "release.not-releasable"


def test_a_background_check_without_report_data_is_undecided(server: Server) -> None:
    result = verified(server)
    assert (result["verdict"], result["reason"]) == ("undecided", "binding.not-compared")
    other = verified(server, report_data=b64.encode_url(b"\1" * 64))
    assert (other["verdict"], other["reason"]) == ("refused", "binding.report-data")
    assert "expected" not in other["checks"][0]


def changed_token(server: Server, header: dict[str, Any], key: ECKey | None = None, **claims: Any) -> str:
    """A token of ours, put together anew by somebody else."""
    token = token_of(server)
    payload = json.loads(b64.decode_url(token.split(".")[1], "payload", limit=100_000)) | claims
    old = json.loads(b64.decode_url(token.split(".")[0], "header", limit=1000))
    key = key or ECKey.generate_key("P-256", private=True)
    return jws.serialize_compact(old | header, json.dumps(payload).encode(), key, algorithms=["ES256"])


@pytest.mark.parametrize(
    "forge",
    [
        lambda server: changed_token(server, {}),
        lambda server: changed_token(server, {"kid": "other"}),
        lambda server: token_of(server)[:-4] + "AAAA",
        lambda server: "a.b.c",
        lambda server: ".".join(["eyJhbGciOiJub25lIn0", *token_of(server).split(".")[1:]]),
    ],
    ids=["own key", "other kid", "signature changed", "rubbish", "alg none"],
)
def test_a_token_that_we_did_not_sign_is_refused(server: Server, forge: Callable[[Server], str]) -> None:
    body = {"ear": forge(server), "paths": [PATH]}
    refused = refusal(server.anonymous.post, "/v1/release", body)
    assert (refused.status, refused.reason) == (401, "token.signature")


def test_a_release_is_no_token(server: Server) -> None:
    signed = send(server.guest(SNP), [PATH])["releases"][0]["release"]
    body = {"ear": signed, "paths": [PATH]}
    assert refusal(server.anonymous.post, "/v1/release", body).reason == "token.signature"


def test_policy_is_evaluated_again_at_release(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.provide()
        token = token_of(server)
        strict = documents(version=2).replace(
            b"snp.vmpl: {equals: 0}", b"snp.vmpl: {equals: 0}\n      - snp.guest_svn: {at_least: 7}"
        )
        server.admin.ask("POST", "/v1/admin/policies", strict, "application/yaml")
        body = {"ear": token, "paths": [PATH]}
        refused = refusal(server.anonymous.post, "/v1/release", body)
        assert (refused.status, refused.problem["verdict"]) == (403, "refused")
        assert refused.reason.startswith("snp/")
        server.admin.ask("DELETE", "/v1/admin/policies/release/payments-db")
        assert refusal(server.anonymous.post, "/v1/release", body).reason == "release.no-policy"


# --- modes, restarts -----------------------------------------------------------------------------------


def test_production_refuses_simulated_evidence_and_a_store_keeps_its_mode(tmp_path: Path) -> None:
    with serving(tmp_path, development=False) as server:
        for raw in (*snp_collateral(), *tdx_collateral()):
            with pytest.raises(Refused) as caught:
                server.admin.ask("POST", "/v1/admin/collateral", raw, "application/octet-stream")
            # Intel's documents alone do not say whose root they were meant for.
            assert (
                caught.value.reason in ("evidence.simulated", "dcap.chain")
                or "collateral." in caught.value.reason
            )
        assert server.admin.get("/v1/admin/collateral")["collateral"] == []
        server.activate(documents())
        server.admin.ask("PUT", f"/v1/admin/secrets/{PATH}", SECRET, "application/octet-stream")
        assert refusal(server.guest(SNP).get, [PATH]).reason == "evidence.simulated"
        assert refusal(server.guest(TDX).get, [PATH]).reason == "evidence.simulated"
        assert server.anonymous.get("/healthz")["mode"] == "production"
        assert server.issuer == server.url
    with pytest.raises(AssertionError, match=r"store\.kind-mismatch"), serving(tmp_path, development=True):
        pass


def test_what_was_stored_survives_a_restart_and_challenges_do_not(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.provide()
        nonce = server.guest(SNP).challenge()
        head = server.anonymous.get("/v1/ledger/checkpoint")
    with serving(tmp_path) as server:
        guest = server.guest(SNP)
        assert refusal(lambda: send(guest, [PATH], nonce=nonce)).reason == "session.nonce-expired"
        assert guest.get([PATH])[PATH].secret == SECRET
        assert server.anonymous.get("/v1/ledger/checkpoint")["index"] > head["index"]


def test_one_file_configures_a_gateway_with_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    self_signed(certificate, key)
    config = tmp_path / "sealgate.toml"
    config.write_text(
        f'issuer = "https://gateway.example"\naudiences = ["https://old.example"]\n'
        f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n[listen]\nworkers = 1\n'
    )
    with serving(tmp_path, "--config", str(config), development=False) as server:
        assert server.url.startswith("https://127.0.0.1:")
        client = Client(url=server.url, ca=certificate)
        assert client.get("/.well-known/openid-configuration")["issuer"] == "https://gateway.example"
        with pytest.raises(ClientError, match="certificate"):
            Client(url=server.url).get("/healthz")
        with pytest.raises(ClientError):
            Client(url=server.url.replace("https", "http")).get("/healthz")


def self_signed(certificate: Path, key: Path) -> None:
    private = fresh_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


# --- the ledger ----------------------------------------------------------------------------------------


def test_every_attempt_is_in_the_ledger_intent_first(server: Server) -> None:
    attempt = send(server.guest(SNP), [PATH])["attempt"]
    refused = refusal(server.guest(snp_machine(policy=0xB0000)).get, [PATH]).problem["attempt"]
    entries = server.admin.get("/v1/admin/ledger", limit="1000")["entries"]
    kinds = [entry["kind"] for entry in entries if entry["body"].get("attempt") == attempt]
    assert kinds == ["attest.accepted", "release.intent", "release.outcome"]
    mine = [entry for entry in entries if entry["body"].get("attempt") == refused]
    assert [(entry["kind"], entry["body"]["reason"]) for entry in mine] == [
        ("attest.refused", "snp.debug-off")
    ]
    assert not any(spelling in json.dumps(entries).encode() for spelling in SPELLINGS)


# --- administration ------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "sga_0000000000000000_" + "A" * 43, "Basic x"])
def test_administration_needs_the_credential(server: Server, token: str | None) -> None:
    client = Client(url=server.url, token=token)
    for method, path in (
        ("GET", "/v1/admin/secrets"),
        ("GET", "/v1/admin/attempts"),
        ("GET", "/v1/admin/ledger"),
    ):
        refused = refusal(client.ask, method, path)
        assert (refused.status, refused.reason) == (401, "request.unauthenticated")
    refused = refusal(client.ask, "PUT", f"/v1/admin/secrets/{PATH}", b"x", "application/octet-stream")
    assert refused.status == 401


def test_secrets_are_listed_without_their_values_and_versioned(server: Server) -> None:
    made = server.admin.ask("PUT", "/v1/admin/secrets/payments/db/other", b"one", "application/octet-stream")
    again = server.admin.ask("PUT", "/v1/admin/secrets/payments/db/other", b"two", "application/octet-stream")
    assert (made["version"], again["version"]) == (1, 2)
    listed = {each["path"]: each for each in server.admin.get("/v1/admin/secrets")["secrets"]}
    assert listed["payments/db/other"]["version"] == 2
    assert listed[PATH]["policy"] == "payments-db"
    assert server.admin.ask("DELETE", "/v1/admin/secrets/payments/db/other")["removed"] is True
    assert refusal(server.admin.get, "/v1/admin/secrets/payments/db/other").status == 404


def test_a_policy_with_a_fault_activates_nothing(server: Server) -> None:
    before = server.admin.get("/v1/admin/policies")
    broken = documents(version=5).replace(b"guest: {in_set: guests}", b"guest: {in_set: gusts}")
    refused = refusal(server.admin.ask, "POST", "/v1/admin/policies", broken, "application/yaml")
    assert refused.status == 422
    assert {error["line"] for error in refused.problem["errors"]}
    assert server.admin.get("/v1/admin/policies") == before
    old = refusal(server.admin.ask, "POST", "/v1/admin/policies", documents(version=1), "application/yaml")
    assert (old.status, old.reason) == (409, "store.conflict")


# --- hostile requests ----------------------------------------------------------------------------------


def raw_request(
    server: Server, data: bytes, *, more: Iterator[bytes] | None = None
) -> tuple[int, dict[str, Any]]:
    """Bytes on a socket; status and problem of what comes back."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        try:
            connection.sendall(data)
            for chunk in more or ():
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway has heard enough
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        body = reply.read()
    assert reply.headers["Content-Type"] == "application/problem+json"
    replies.append(body)
    return reply.status, json.loads(body)


def post(path: str, body: bytes, *, media_type: str = "application/json", length: int | None = None) -> bytes:
    declared = len(body) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nHost: g\r\nContent-Type: {media_type}\r\nContent-Length: {declared}\r\n\r\n"
    )
    return head.encode() + body


GOOD_START = b'{"evidence":{"type":"sev-snp"},'
HOSTILE = [
    ("duplicate key", post("/v1/attest", b'{"evidence":{},"evidence":{}}'), 400, "evidence.duplicate"),
    ("NaN", post("/v1/attest", b'{"evidence":NaN}'), 400, "evidence.bad-value"),
    ("deep", post("/v1/attest", b"[" * 100_000), 400, "evidence.too-deep"),
    ("empty", post("/v1/attest", b""), 415, "request.media-type"),
    ("not JSON", post("/v1/attest", b"evidence"), 400, "evidence.bad-value"),
    ("not UTF-8", post("/v1/attest", b'{"evidence":"\xff"}'), 400, "evidence.bad-encoding"),
    ("an array", post("/v1/attest", b"[]"), 400, "request.malformed"),
    ("unknown member", post("/v1/verify", GOOD_START + b'"x":1}'), 400, "request.unknown-member"),
    ("long number", post("/v1/verify", b'{"evidence":' + b"9" * 5000 + b"}"), 400, "evidence.bad-value"),
    ("padded base64", post("/v1/attest", GOOD_START + b'"runtime_data":"e="}'), 400, "evidence.bad-encoding"),
    ("100 MB declared", post("/v1/attest", b"{}", length=100_000_000), 413, "request.too-large"),
    ("wrong media type", post("/v1/attest", b"{}", media_type="text/html"), 415, "request.media-type"),
    ("form", post("/v1/release", b"a=b", media_type="application/x-form"), 415, "request.media-type"),
    ("no such path", post("/v1/nothing", b"{}"), 404, "request.not-found"),
    ("path in a path", post("/v1//attest", b"{}"), 404, "request.not-found"),
    ("bad tenant", post("/t/UPPER/v1/challenge", b""), 400, "request.malformed"),
    ("method", b"GET /v1/attest HTTP/1.1\r\nHost: gateway\r\n\r\n", 405, "request.method"),
    ("trace", b"TRACE /v1/attest HTTP/1.1\r\nHost: gateway\r\n\r\n", 405, "request.method"),
    ("secret path", b"GET /v1/admin/secrets/../k HTTP/1.1\r\nHost: g\r\n\r\n", 401,
     "request.unauthenticated"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "data", "status", "reason"), HOSTILE, ids=[row[0] for row in HOSTILE])
def test_hostile_requests_get_a_problem(
    server: Server, what: str, data: bytes, status: int, reason: str
) -> None:
    if what == "empty":
        data = data.replace(b"application/json", b"text/plain")
    found, problem = raw_request(server, data)
    assert (found, problem["reason"]) == (status, reason)
    assert b"Traceback" not in json.dumps(problem).encode()


def test_a_chunked_body_is_cut_off_at_the_limit(server: Server) -> None:
    head = post("/v1/attest", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    status, problem = raw_request(server, head, more=(chunk for _ in range(1600)))
    assert (status, problem["reason"]) == (413, "request.too-large")
    assert server.anonymous.get("/healthz")["status"] == "ok"


def test_a_slow_body_is_answered_in_time(tmp_path: Path) -> None:
    config = tmp_path / "sealgate.toml"
    config.write_text("[limits]\nread_seconds = 1\n[listen]\nworkers = 1\nthreads = 1\n")
    with serving(tmp_path, "--config", str(config)) as server:
        status, problem = raw_request(server, post("/v1/challenge", b"{", length=100))
        assert (status, problem["reason"]) == (400, "request.malformed")
        assert server.anonymous.get("/healthz")["status"] == "ok"


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_bodies_that_stall_hold_up_nobody_else(tmp_path: Path, chunked: bool) -> None:
    """The peers keep their sockets open: a worker that waits for them is lost to everybody else."""
    config = tmp_path / "sealgate.toml"
    config.write_text("[limits]\nread_seconds = 1\n[listen]\nworkers = 1\nthreads = 2\n")
    stalled = post("/v1/challenge", b"{", length=4000)
    if chunked:
        stalled = stalled.replace(b"Content-Length: 4000", b"Transfer-Encoding: chunked")[:-1] + b"5\r\n{"
    with serving(tmp_path, "--config", str(config)) as server:
        parts = urlsplit(server.url)
        with contextlib.ExitStack() as open_sockets:
            peers = []
            for _ in range(8):
                peer = open_sockets.enter_context(
                    socket.create_connection((parts.hostname, parts.port), timeout=30)
                )
                peer.sendall(stalled)
                peers.append(peer)
            assert server.anonymous.get("/healthz")["status"] == "ok"
            for peer in peers:
                reply = http.client.HTTPResponse(peer)
                reply.begin()
                assert (reply.status, json.loads(reply.read())["reason"]) == (400, "request.malformed")
            assert server.anonymous.get("/healthz")["status"] == "ok"
            assert server.anonymous.post("/v1/challenge", {})["nonce"]


def test_replies_carry_the_mode_and_the_usual_protections(server: Server) -> None:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.request("GET", "/nothing")
    reply = connection.getresponse()
    reply.read()
    assert reply.headers["Sealgate-Mode"] == "development"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    connection.close()


def test_probes_discovery_and_metrics(server: Server) -> None:
    assert server.anonymous.get("/readyz")["ready"] is True
    discovery = server.anonymous.get("/.well-known/openid-configuration")
    assert discovery["issuer"] == server.issuer
    assert server.anonymous.get("/openapi.json")["openapi"] == "3.1.0"
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    assert b"sealgate_http_requests_total{" in text
    assert b"sealgate_development_mode{" in text
    assert b"sealgate_reference_expires_seconds{" in text
    listed = server.admin.get("/v1/admin/policies")["documents"]
    assert all(("valid_until" in row) == (row["kind"] == "reference") for row in listed)


def test_a_refusal_is_an_exception_with_a_reason(server: Server) -> None:
    with pytest.raises(Refused) as caught:
        server.anonymous.post("/v1/release", {})
    assert caught.value.reason == "request.malformed"
