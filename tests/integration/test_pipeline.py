"""The pipeline over a real store, with one thing failing at a time: a wrong yes must not come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import app, past, pipeline, reading, releasing, secrets
from gateway.appraisals import StoredAppraisal
from gateway.appraiser import Appraiser
from gateway.attempts import Attempt
from gateway.collateral import importing
from gateway.collateral.settings import Collateral
from gateway.config import Config
from gateway.errors import GatewayError, GatewayReason
from gateway.guest import public_jwk
from gateway.http.handlers import Site
from gateway.http.problem import of as problem_of
from gateway.ports import LedgerUnavailable, NewEntry, Supplied
from gateway.protocol.native import report_data
from gateway.refusal import Denied, because
from gateway.simulator.guest import SimulatedGuest
from tests.e2e.support import (
    NOW,
    PATH,
    SECRET,
    SNP,
    TDX,
    documents,
    fresh_key,
    snp_collateral,
    tdx_collateral,
)
from tests.unit.verifiers.carriers import samples
from verifiers.codec import b64
from verifiers.model import Check, Need, Outcome, Verdict


class Clock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Journal:
    """Passes on to a real journal, except that what has entries of `broken` kinds cannot be made durable.
    `kept`: it is written all the same, as when the acknowledgement is lost."""

    def __init__(self, inner: Any, broken: set[str], *, kept: bool) -> None:
        self.inner, self.broken, self.kept = inner, broken, kept
        self.seen: list[list[str]] = []

    def commit(
        self, entries: Sequence[NewEntry], appraisal: StoredAppraisal | None = None, **more: Any
    ) -> Any:
        told = [entry.kind for entry in entries]
        self.seen.append(told)
        if not self.broken.isdisjoint(told):
            if self.kept:
                self.inner.commit(entries, appraisal, **more)
            raise LedgerUnavailable("the disk is full")
        return self.inner.commit(entries, appraisal, **more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    config = Config(data=tmp_path, development=True)
    prepared = app.prepare(config)
    made, store = app.compose(config)
    office = made.office
    from gateway import administration

    for raw in (*snp_collateral(), *tdx_collateral()):
        importing.import_file(made.desk.importer, raw, "test", by="test", now=NOW)
    administration.apply(office, "default", documents(), "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    yield made
    store.close()
    prepared.store.close()


def with_clock(site: Site, clock: Clock) -> Site:
    return replace(site, gateway=replace(site.gateway, clock=clock))


def with_journal(site: Site, *broken: str, kept: bool = False) -> tuple[Site, Journal]:
    journal = Journal(site.gateway.recorder.journal, set(broken), kept=kept)
    gateway = replace(
        site.gateway,
        recorder=replace(site.gateway.recorder, journal=journal),
        releaser=replace(site.gateway.releaser, journal=journal),
    )
    return replace(site, gateway=gateway), journal


def envelope_of(machine: Any, data: bytes) -> Any:
    return SimulatedGuest(machine).evidence(data)


def attest_body(
    site: Site,
    machine: Any = SNP,
    release: tuple[str, ...] = (PATH,),
    carry: Callable[[Any, bytes], Any] = envelope_of,
    **changes: Any,
) -> bytes:
    """carry: machine and report data to what stands under `evidence`. changes: of the runtime data."""
    nonce = pipeline.challenge(site.gateway, "default", b"")["nonce"]
    runtime = json.dumps(
        {
            "nonce": nonce,
            "key": public_jwk(fresh_key().public_key()),
            "aud": site.gateway.issuer,
            "tenant": "default",
            **changes,
        }
    ).encode()
    body = {"evidence": carry(machine, report_data(runtime)), "runtime_data": b64.encode_url(runtime)}
    if release:
        body["release"] = list(release)
    return json.dumps(body).encode()


def kinds(site: Site) -> list[str]:
    return [entry["kind"] for entry in site.office.ledger.tail("default", 1000)]


class Noting:
    """Holds nothing, and notes who lacked it."""

    def __init__(self) -> None:
        self.clients: list[str] = []

    def get(self, needs: Sequence[Need], now: datetime) -> Supplied:
        return Supplied()

    def want(self, needs: Sequence[Need], now: datetime, client: str) -> int | None:
        assert needs
        self.clients.append(client)
        return None


def test_one_network_is_one_client_whatever_tenants_it_names(site: Site) -> None:
    source = Noting()
    gateway = replace(site.gateway, appraiser=replace(site.gateway.appraiser, source=source))
    body = json.dumps({"evidence": envelope_of(SNP, bytes(64))}).encode()
    for tenant in ("default", "made-up-1", "made-up-2"):
        pipeline.verify(gateway, tenant, body, "192.0.2.1")
    pipeline.verify(gateway, "default", body, "192.0.2.2")
    assert source.clients == ["192.0.2.1"] * 3 + ["192.0.2.2"]


# --- the ledger ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("broken", ["attest.accepted", "release.intent", "release.outcome"])
def test_nothing_leaves_when_the_ledger_cannot_be_written(
    site: Site, broken: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = secrets.get

    def get(vault: Any, tenant: str, path: str) -> Any:
        opened.append(path)
        return original(vault, tenant, path)

    monkeypatch.setattr(releasing.secrets, "get", get)
    failing, _ = with_journal(site, broken, kept=kept)
    with pytest.raises(LedgerUnavailable) as caught:
        pipeline.attest(failing.gateway, "default", attest_body(failing))
    told = problem_of(caught.value)
    assert (told.status, told.reason) == (503, "ledger.unavailable")
    assert opened == ([PATH] if broken == "release.outcome" else [])
    written = ["attest.accepted", "release.intent"] if kept or opened else []
    assert kinds(site)[4:] == written + (["release.outcome"] if kept and opened else [])
    assert len(site.gateway.appraisals.recent("default", 9)) == (1 if written else 0)


@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize("broken", ["release.intent", "release.outcome"])
def test_nothing_leaves_on_an_ear_when_the_ledger_cannot_be_written(
    site: Site, broken: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, opened = token_of(site), []
    original = secrets.get

    def get(vault: Any, tenant: str, path: str) -> Any:
        opened.append(path)
        return original(vault, tenant, path)

    monkeypatch.setattr(releasing.secrets, "get", get)
    failing, _ = with_journal(site, broken, kept=kept)
    with pytest.raises(LedgerUnavailable):
        pipeline.release(failing.gateway, "default", release_body(ear))
    assert opened == ([PATH] if broken == "release.outcome" else [])
    written = ["release.intent"] if kept or opened else []
    assert kinds(site)[5:] == written + (["release.outcome"] if kept and opened else [])


def test_intent_is_written_before_the_secret_is_opened(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[list[str]] = []
    watched, journal = with_journal(site)
    original = secrets.get

    def get(vault: Any, tenant: str, path: str) -> Any:
        order.extend(journal.seen)
        return original(vault, tenant, path)

    monkeypatch.setattr(releasing.secrets, "get", get)
    pipeline.attest(watched.gateway, "default", attest_body(watched))
    assert order == [["attest.accepted", "release.intent"]]
    assert journal.seen == [["attest.accepted", "release.intent"], ["release.outcome"]]


OTHER = "payments/db/other"


def outcomes(site: Site) -> list[tuple[str, str]]:
    found = [e["body"] for e in site.office.ledger.tail("default", 99) if e["kind"] == "release.outcome"]
    return [(body["path"], body.get("reason", body["result"])) for body in found]


def test_a_path_without_a_secret_is_refused_beside_one_with(site: Site) -> None:
    reply = pipeline.attest(site.gateway, "default", attest_body(site, release=(OTHER, PATH)))
    assert [(entry["path"], entry["version"]) for entry in reply["releases"]] == [(PATH, 1)]
    told = {"path": OTHER, "reason": "release.secret-absent", "where": "secret"}
    assert reply["refusals"] == [told]
    assert outcomes(site) == [(OTHER, "release.secret-absent"), (PATH, "released")]


def test_a_secret_that_is_not_there_is_in_ledger_and_record(site: Site) -> None:
    """The guest was told an attempt: whoever looks it up must find why."""
    token = pipeline.attest(site.gateway, "default", attest_body(site))["ear"]
    secrets.remove(site.vault, "default", PATH, by="test")
    for ask, body, what in (
        (pipeline.release, release_body(token), "release.refused"),
        (pipeline.attest, attest_body(site), "attest.failed"),
    ):
        with pytest.raises(Denied) as caught:
            ask(site.gateway, "default", body)
        assert caught.value.why.reason == "release.secret-absent"
        entry = site.office.ledger.tail("default", 1)[0]
        assert (entry["kind"], entry["body"]["attempt"]) == (what, caught.value.attempt)
        told = {"path": PATH, "reason": "release.secret-absent", "where": "secret"}
        assert entry["body"]["refusals"] == [told]
        row = site.gateway.appraisals.get("default", caught.value.attempt)
        assert row is not None
        if what == "release.refused":
            assert json.loads(row.record)["refusals"] == [told]
            assert not row.releasable


def test_a_path_that_fails_takes_the_others_with_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one was wrapped already when the second one failed: it stays here, and the ledger says so."""
    secrets.put(site.vault, "default", OTHER, SECRET, by="test")
    original, wrapped = releasing.wrap, []

    def wrap(*given: Any) -> str:
        if wrapped:
            raise GatewayError(GatewayReason.KEYS_UNKNOWN, "lost", where="w", expected="a", found="b")
        wrapped.append(given)
        return original(*given)

    monkeypatch.setattr(releasing, "wrap", wrap)
    body = attest_body(site, release=(PATH, OTHER))
    assert denied(pipeline.attest, site.gateway, "default", body) == "keys.unknown"
    assert len(wrapped) == 1
    assert outcomes(site) == [(PATH, "keys.unknown"), (OTHER, "keys.unknown")]
    assert kinds(site)[-1] == "attest.failed"


def test_nothing_is_handed_out_on_a_plan_that_is_not_in_the_ledger(site: Site) -> None:
    made: list[releasing.Plan] = []
    original = releasing.Releaser.hand_out

    def hand_out(self: Any, attempt: Any, runtime: Any, plan: Any, receipts: Any, row: Any = None) -> Any:
        made.append(plan)
        with pytest.raises(AssertionError, match="not in the ledger"):
            original(self, attempt, runtime, plan, receipts[1:])
        return original(self, attempt, runtime, plan, receipts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releasing.Releaser, "hand_out", hand_out)
        pipeline.attest(site.gateway, "default", attest_body(site))
    assert [entry.kind for plan in made for entry in plan.entries] == ["release.intent"]


def test_a_refusal_that_cannot_be_recorded_is_no_answer(site: Site) -> None:
    failing, _ = with_journal(site, "attest.refused")
    with pytest.raises(LedgerUnavailable):
        pipeline.attest(failing.gateway, "default", attest_body(failing, aud="https://other.example"))


# --- our own bugs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "stage"),
    [
        ("gateway.reading.open_message", "attest.refused"),
        ("gateway.appraiser.registry.verify", "attest.refused"),
        ("gateway.appraiser.appraise", "attest.refused"),
        ("gateway.releasing.decide", "attest.refused"),
        ("gateway.releasing.wrap", "release.outcome"),
    ],
)
def test_a_bug_anywhere_is_a_denial(
    site: Site, where: str, stage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("correct horse")

    monkeypatch.setattr(where, bug)
    with pytest.raises(ZeroDivisionError) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site))
    told = problem_of(caught.value)
    assert (told.status, told.reason, told.detail) == (500, "internal.error", None)
    assert b"horse" not in told.reply().body
    assert stage in kinds(site)
    outcomes = [e for e in site.office.ledger.tail("default", 99) if e["kind"] == "release.outcome"]
    assert [entry["body"]["result"] for entry in outcomes] == (["failed"] if "release" in stage else [])
    assert caplog.records[-1].exc_info is not None


# --- time, and what changes between attestation and release --------------------------------------------


def token_of(site: Site, machine: Any = SNP) -> str:
    return str(pipeline.attest(site.gateway, "default", attest_body(site, machine, release=()))["ear"])


def release_body(token: str) -> bytes:
    return json.dumps({"ear": token, "paths": [PATH]}).encode()


def denied(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(Denied) as caught:
        function(*arguments)
    return caught.value.why.reason


@pytest.mark.parametrize(("seconds", "released"), [(299, True), (300, False), (301, False)])
def test_a_token_ends_at_its_second(site: Site, seconds: int, released: bool) -> None:
    clock = Clock(NOW)
    frozen = with_clock(site, clock)
    token = token_of(frozen)
    clock.at = NOW + timedelta(seconds=seconds)
    if released:
        assert pipeline.release(frozen.gateway, "default", release_body(token))["releases"]
    else:
        before = kinds(site)
        with pytest.raises(GatewayError) as caught:
            pipeline.release(frozen.gateway, "default", release_body(token))
        assert caught.value.reason == "token.expired"
        assert kinds(site) == before, "what rests on no live challenge of ours is counted, not logged"


@pytest.mark.parametrize(("seconds", "accepted"), [(299, True), (300, False)])
def test_a_challenge_ends_after_five_minutes(site: Site, seconds: int, accepted: bool) -> None:
    clock = Clock(NOW)
    frozen = with_clock(site, clock)
    body = attest_body(frozen)
    clock.at = NOW + timedelta(seconds=seconds)
    if accepted:
        assert pipeline.attest(frozen.gateway, "default", body)["releases"]
    else:
        with pytest.raises(GatewayError) as caught:
            pipeline.attest(frozen.gateway, "default", body)
        assert caught.value.reason == "session.nonce-expired"
        assert kinds(site) == ["policy.activate"] * 3 + ["secret.put"]


def test_only_the_first_replay_of_a_challenge_is_logged(site: Site) -> None:
    body = attest_body(site)
    pipeline.attest(site.gateway, "default", body)
    before = kinds(site)
    assert denied(pipeline.attest, site.gateway, "default", body) == "session.nonce-used"
    assert kinds(site) == [*before, "attest.refused"]
    for _ in range(3):
        with pytest.raises(GatewayError) as caught:
            pipeline.attest(site.gateway, "default", body)
        assert caught.value.reason == "session.nonce-used"
    assert kinds(site) == [*before, "attest.refused"]


def test_a_background_check_s_token_writes_nothing(site: Site) -> None:
    evidence = json.loads(attest_body(site))["evidence"]
    told = pipeline.verify(site.gateway, "default", json.dumps({"evidence": evidence}).encode())
    before = kinds(site)
    with pytest.raises(GatewayError) as caught:
        pipeline.release(site.gateway, "default", release_body(told["ear"]))
    assert caught.value.reason == "release.not-releasable"
    assert kinds(site) == before


def test_a_refusal_of_the_longest_paths_is_logged(site: Site) -> None:
    """Sixteen paths of eight segments of 64 characters, none of which any policy owns."""
    long = ["/".join([f"{number:064d}"] * 8) for number in range(16)]
    body = json.dumps({"ear": token_of(site), "paths": long}).encode()
    before = kinds(site)
    assert denied(pipeline.release, site.gateway, "default", body) == "release.no-policy"
    assert kinds(site) == [*before, "release.refused"]


def test_an_entry_that_would_not_fit_is_shortened_and_says_so(site: Site) -> None:
    attempt = Attempt(id="A", tenant="default", kind="release", at=NOW)
    attempt.facts["paths"] = ["x" * 1000] * 30
    site.gateway.recorder.refuse(attempt, because(GatewayReason.NO_POLICY, "paths"))
    body = site.office.ledger.tail("default", 1)[-1]["body"]
    assert (body["reason"], body["left_out"]) == ("release.no-policy", {"paths": 30})
    assert "paths" not in body


def test_evidence_that_nothing_vouches_for_is_not_kept(site: Site) -> None:
    body = json.loads(attest_body(site))
    raw = bytearray(b64.decode_url(body["evidence"]["report"], "report", limit=2000))
    raw[0x90] ^= 1
    body["evidence"]["report"] = b64.encode_url(bytes(raw))
    assert denied(pipeline.attest, site.gateway, "default", json.dumps(body).encode()) == "snp.signature"
    row = site.gateway.appraisals.recent("default", 1)[0]
    assert (row.submission, row.collateral) == (None, None)
    sent = json.loads(row.record)["evidence_sent"]
    assert sent["bytes"] > 1184 and len(sent["sha256"]) == 64


def test_evidence_of_another_challenge_is_not_kept(site: Site) -> None:
    """Genuine quotes lie about in public: sent with our challenge they are noise, not worth keeping."""
    body = json.loads(attest_body(site))
    body["evidence"] = dict(envelope_of(SNP, bytes(64)))
    refused = denied(pipeline.attest, site.gateway, "default", json.dumps(body).encode())
    assert refused == "session.key-not-bound"
    row = site.gateway.appraisals.recent("default", 1)[0]
    assert (row.submission, row.collateral) == (None, None)
    assert json.loads(row.record)["authentic"] is True


def test_a_revocation_between_attestation_and_release_counts(site: Site) -> None:
    """The same token, released once, is refused after the intermediate was revoked."""
    token = token_of(site)
    assert pipeline.release(site.gateway, "default", release_body(token))["releases"]
    from cryptography import x509

    serial = x509.load_der_x509_certificate(SNP.intermediate()).serial_number
    revoked = SNP.crl(revoked=[serial], number=2)
    importing.import_file(site.desk.importer, revoked, "revoked.crl", by="test", now=NOW)
    assert denied(pipeline.release, site.gateway, "default", release_body(token)) == "snp.revoked"


def test_a_token_without_its_record_is_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of(site)
    monkeypatch.setattr(type(site.gateway.appraisals), "get", lambda self, tenant, jti: None)
    assert (
        denied(pipeline.release, site.gateway, "default", release_body(token)) == "release.appraisal-absent"
    )


def test_the_key_comes_from_the_record(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a record's runtime data says, it must be what the evidence was made over."""
    token = token_of(site)
    original = pipeline.evidence.open_stored
    forged = public_jwk(fresh_key().public_key())

    def open_stored(keys: Any, stored: Any) -> Any:
        found = original(keys, stored)
        value = json.loads(found.runtime_data) | {"key": forged}
        return replace(found, runtime_data=json.dumps(value).encode())

    monkeypatch.setattr(pipeline.evidence, "open_stored", open_stored)
    assert denied(pipeline.release, site.gateway, "default", release_body(token)) == "session.key-not-bound"


# --- what evidence comes in ----------------------------------------------------------------------------


def cmw(machine: Any, data: bytes) -> Any:
    return ["application/vnd.acme.snp", b64.encode_url(machine.extended_report(data)), 4]


def cmw_collection(machine: Any, data: bytes) -> Any:
    return {"type": ["application/vnd.acme.other", "AAAA", 2], "cpu": {"inner": cmw(machine, data)}}


def cmw_tsm_with_crl(machine: Any, data: bytes) -> Any:
    table = {"VCEK": machine.leaf, "ASK": machine.ask(), "CRL": machine.good_crl}
    told = {
        "outblob": b64.encode_url(machine.report(data)),
        "auxblob": b64.encode_url(machine.certificate_table(table)),
        "provider": "sev_guest\n",
    }
    return ["application/vnd.veraison.tsm-report+json", b64.encode_url(json.dumps(told).encode())]


def cmw_hcl(machine: Any, data: bytes) -> Any:
    return ["application/vnd.acme.hcl", b64.encode_url(samples.hcl(machine.report(data), "snp"))]


def stored(site: Site) -> Any:
    return json.loads(site.gateway.appraisals.recent("default", 1)[0].record)


@pytest.mark.parametrize("carry", [envelope_of, cmw, cmw_collection, cmw_tsm_with_crl])
def test_an_envelope_or_a_cmw_is_taken_and_opened_again_at_release(
    site: Site, carry: Callable[[Any, bytes], Any]
) -> None:
    body = attest_body(site, release=(), carry=carry)
    ear = pipeline.attest(site.gateway, "default", body)["ear"]
    row = site.gateway.appraisals.recent("default", 1)[0]
    kept = json.loads(pipeline.evidence.open_stored(site.gateway.keys, row).evidence)
    assert kept == json.loads(body)["evidence"]
    assert pipeline.release(site.gateway, "default", release_body(ear))["releases"]


@pytest.mark.parametrize(
    ("carry", "unchecked"), [(cmw, False), (cmw_collection, True), (cmw_tsm_with_crl, True)]
)
def test_what_was_left_aside_is_listed(
    site: Site, carry: Callable[[Any, bytes], Any], unchecked: bool
) -> None:
    reply = pipeline.attest(site.gateway, "default", attest_body(site, carry=carry))
    assert ("evidence.ignored" in stored(site)["unchecked"]) is unchecked
    claims = json.loads(b64.decode_url(reply["ear"].split(".")[1], "payload", limit=100_000))
    said = claims["submods"]["cpu0"]["sealgate"]
    assert ("evidence.ignored" in said["unchecked"]) is unchecked
    assert said["checks"].get("evidence.ignored") == ("not_checked" if unchecked else None)


@pytest.mark.parametrize(
    ("outcome", "verdict", "status"),
    [(Outcome.FAILED, Verdict.REFUSED, 403), (Outcome.UNKNOWN, Verdict.UNDECIDED, 403)],
)
def test_a_note_of_the_carrier_decides_like_a_finding(
    site: Site, outcome: Outcome, verdict: Verdict, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Check("evidence.note", outcome, "one thing", "another", "a test")
    original = reading.open_message
    monkeypatch.setattr(reading, "open_message", lambda obj: replace(original(obj), notes=(note,)))
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site))
    why = caught.value.why
    assert (why.reason, why.verdict, why.status) == ("evidence.note", verdict, status)
    assert kinds(site)[-1] == "attest.refused"
    assert stored(site)["checks"][0]["id"] == "evidence.note"


def test_runtime_claims_that_do_not_belong_to_the_report_refuse(site: Site) -> None:
    body = attest_body(site, carry=cmw_hcl)
    assert denied(pipeline.attest, site.gateway, "default", body) == "evidence.runtime-claims-mismatch"
    assert kinds(site)[-1] == "attest.refused"


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (["application/vnd.acme.snp"], "evidence.bad-value"),
        (["application/vnd.acme.snp", "AAAA"], "evidence.unrecognised"),
        ({"a": cmw(SNP, bytes(64)), "b": cmw(SNP, bytes(64))}, "evidence.composite-unsupported"),
        ({"attestation_report": {}, "cert_chain": []}, "evidence.bad-value"),
        ({"quote": "AAAA"}, "evidence.bad-value"),
    ],
    ids=["half a record", "nothing of ours", "two", "kbs-snp", "kbs-quote"],
)
def test_other_evidence_is_malformed(site: Site, evidence: Any, reason: str) -> None:
    body = attest_body(site, carry=lambda machine, data: evidence)
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", body)
    assert (caught.value.why.reason, caught.value.why.verdict) == (reason, Verdict.MALFORMED)
    assert kinds(site)[-1] == "attest.refused"


# --- collateral ----------------------------------------------------------------------------------------


def test_without_a_crl_nothing_is_released(tmp_path: Path) -> None:
    config = Config(data=tmp_path, development=True)
    prepared = app.prepare(config)
    made, store = app.compose(config)
    from gateway import administration

    administration.apply(made.office, "default", documents(), "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    with pytest.raises(Denied) as caught:
        pipeline.attest(made.gateway, "default", attest_body(made))
    assert (caught.value.why.reason, caught.value.why.verdict) == (
        "collateral.amd-crl-missing",
        Verdict.UNDECIDED,
    )
    with pytest.raises(Denied) as tdx:
        pipeline.attest(made.gateway, "default", attest_body(made, TDX))
    assert tdx.value.why.verdict is Verdict.UNDECIDED
    store.close()
    prepared.store.close()


@pytest.mark.parametrize("state", ["missing", "ended", "too-old"])
@pytest.mark.parametrize("accepted", [False, True], ids=["refused", "accepted-risk"])
def test_only_a_named_risk_does_without_a_current_crl(tmp_path: Path, state: str, accepted: bool) -> None:
    """Missing, past its nextUpdate, or older than we allow: undecided, unless somebody put a name to it."""
    ages = {"amd.crl": 1} if state == "too-old" else {}
    config = Config(data=tmp_path, development=True, collateral=Collateral(maximum_age_days=ages))
    prepared = app.prepare(config)
    made, store = app.compose(config)
    from gateway import administration

    policy = documents()
    if accepted:
        start, end = NOW - timedelta(days=1), NOW + timedelta(days=20)
        policy += (
            "accept_risk:\n  - {id: no-crl, finding: snp.revocation, only_in: snp, reason: kds is down,"
            " owner: asha@acme.example, approved_by: [lena@acme.example],"
            f" from: {start:%Y-%m-%dT%H:%M:%SZ}, expires: {end:%Y-%m-%dT%H:%M:%SZ}}}\n"
        ).encode()
    administration.apply(made.office, "default", policy, "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    if state != "missing":
        issued = NOW - timedelta(days=2)
        ends = NOW if state == "ended" else NOW + timedelta(days=9)
        crl = SNP.crl(this_update=issued, next_update=ends)
        at = issued + timedelta(hours=1)
        importing.import_file(made.desk.importer, crl, "crl", by="test", now=at)
    made = with_clock(made, Clock(NOW))
    if accepted:
        reply = pipeline.attest(made.gateway, "default", attest_body(made))
        assert [each["path"] for each in reply["releases"]] == [PATH]
        (entry,) = store.appraisals.recent("default", 1)
        assert json.loads(entry.record)["waived"] == ["no-crl"]
    else:
        with pytest.raises(Denied) as caught:
            pipeline.attest(made.gateway, "default", attest_body(made))
        reason = "collateral.crl-expired" if state == "ended" else "collateral.amd-crl-missing"
        assert (caught.value.why.reason, caught.value.why.verdict) == (reason, Verdict.UNDECIDED)
    told = json.loads(store.appraisals.recent("default", 1)[0].record)["checks"]
    assert any(check["id"] == "collateral.max-age" for check in told) is (state == "too-old")
    store.close()
    prepared.store.close()


def test_anonymous_noise_is_counted_and_not_logged(site: Site) -> None:
    before = site.office.ledger.head()
    body = json.loads(attest_body(site))
    runtime = json.loads(b64.decode_url(body["runtime_data"], "r", limit=9000)) | {"nonce": "n" * 82}
    body["runtime_data"] = b64.encode_url(json.dumps(runtime).encode())
    with pytest.raises(GatewayError):
        pipeline.attest(site.gateway, "default", json.dumps(body).encode())
    pipeline.verify(site.gateway, "default", json.dumps({"evidence": body["evidence"]}).encode())
    assert site.office.ledger.head() == before
    assert "sealgate_ignored_requests_total{" in site.metrics.text({})


def test_a_document_that_no_longer_compiles_is_our_fault_and_releases_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gateway import policybook

    def broken(*_: object) -> Any:
        return policybook.read(b"sealgate: nonsense/1\n", "stored.yaml")

    monkeypatch.setattr(policybook.Sources, "documents", broken)
    site.office.documents.change(site.office.documents.epoch(), ())
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site))
    told = problem_of(caught.value)
    assert (told.status, told.reason) == (500, "internal.error")
    assert b"stored.yaml" not in told.reply().body
    assert "stored.yaml" in caplog.text


def test_where_our_files_are_is_nobodys_business(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> Any:
        raise GatewayError(
            GatewayReason.KEYS_UNKNOWN, "lost", where="/var/lib/keys", expected="a key", found="none"
        )

    monkeypatch.setattr("gateway.secrets.open_sealed", lost)
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", attest_body(site))
    told = problem_of(caught.value)
    assert (told.status, told.reason) == (500, "keys.unknown")
    assert b"/var/lib" not in told.reply().body
    assert kinds(site)[-2:] == ["release.outcome", "attest.failed"]


def test_a_policy_may_be_named_when_no_path_is_asked_for(site: Site) -> None:
    def asking(policy: str) -> bytes:
        return json.dumps(json.loads(attest_body(site, release=())) | {"policy": policy}).encode()

    assert pipeline.attest(site.gateway, "default", asking("payments-db"))["ear"]
    assert denied(pipeline.attest, site.gateway, "default", asking("nobody")) == "release.no-policy"
    both = json.dumps(json.loads(attest_body(site)) | {"policy": "payments-db"}).encode()
    with pytest.raises(GatewayError) as caught:
        pipeline.attest(site.gateway, "default", both)
    assert caught.value.reason == "request.malformed"


@pytest.mark.parametrize("machine", [SNP, TDX], ids=["snp", "tdx"])
def test_a_stored_record_gives_back_the_very_claims_that_were_judged(site: Site, machine: Any) -> None:
    """What a backtest judges is what was verified; ages alone lose their fractions of a second."""
    seen: list[Any] = []
    judged = site.gateway.appraiser

    class Watching(Appraiser):
        def judge(self, verification: Any, *rest: Any) -> Any:
            seen.append(verification)
            return super().judge(verification, *rest)

    watching = Watching(source=judged.source, book=judged.book, anchors=judged.anchors, cache=judged.cache)
    gateway = replace(site.gateway, appraiser=watching)
    pipeline.attest(gateway, "default", attest_body(site, machine))
    (row,) = gateway.appraisals.recent("default", 1)
    found = past.of(row.record)
    assert found is not None
    assert found.policy == "payments-db"
    whole = {
        name: timedelta(seconds=int(value.total_seconds())) if isinstance(value, timedelta) else value
        for name, value in seen[0].claims.items()
    }
    assert dict(found.verification.claims) == whole
    assert found.verification.evidence == seen[0].evidence
    assert found.verification.verdict is seen[0].verdict


def test_records_without_findings_are_no_past(site: Site) -> None:
    assert past.of(b"{}") is None
    assert past.of(b"\xff") is None
    tampered = json.loads(attest_body(site))
    raw = bytearray(b64.decode_url(tampered["evidence"]["report"], "r", limit=9000))
    raw[0x90] ^= 1
    tampered["evidence"]["report"] = b64.encode_url(bytes(raw))
    with pytest.raises(Denied):
        pipeline.attest(site.gateway, "default", json.dumps(tampered).encode())
    (row,) = site.gateway.appraisals.recent("default", 1)
    assert past.of(row.record) is None
