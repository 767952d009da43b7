"""Stored attempts judged again: the same for ever, and when not, said why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import administration, app, pipeline, record, secrets
from gateway.collateral import importing
from gateway.config import Config
from gateway.errors import GatewayError, GatewayReason
from gateway.http.handlers import Site
from gateway.refusal import Denied
from gateway.replay import again, bundle
from gateway.replay.again import Differences
from gateway.replay.bundle import Bundle
from gateway.simulator import inteldocs
from gateway.simulator.amd import SnpMachine
from tests.e2e.support import (
    NOW,
    PATH,
    SECRET,
    SNP,
    TDX,
    documents,
    snp_collateral,
    snp_machine,
    tdx_collateral,
    tdx_machine,
)
from tests.integration.test_pipeline import attest_body
from verifiers.codec import b64
from verifiers.model import Verdict

DEBUG = 0xB0000
MACHINES = {
    "snp": SNP,
    "tdx": TDX,
    "snp, debug": snp_machine(policy=DEBUG),
    "snp, other image": snp_machine(measurement=bytes(48)),
    "tdx, out of date": tdx_machine(level="OutOfDate"),
}
REASONS = {
    "snp": None,
    "tdx": None,
    "snp, debug": "snp.debug-off",
    "snp, other image": "guest.not-listed",
    "tdx, out of date": "tdx.tcb-status",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Bundles of good attempts, for tests that only read them."""
    with opened(tmp_path_factory.mktemp("samples")) as made:
        return {
            name: site_bundle(made, attempted(made, MACHINES[name]), with_now=True) for name in ("snp", "tdx")
        }


@pytest.fixture
def snp(samples: dict[str, bytes]) -> Any:
    return json.loads(samples["snp"])


@pytest.fixture
def tdx(samples: dict[str, bytes]) -> Any:
    return json.loads(samples["tdx"])


@contextmanager
def opened(folder: Path) -> Iterator[Site]:
    config = Config(data=folder, development=True)
    prepared = app.prepare(config)
    made, store = app.compose(config)
    for raw in (*snp_collateral(), *tdx_collateral()):
        given(made, raw)
    administration.apply(made.office, "default", documents(), "test.yaml", by="test", baselines=True)
    secrets.put(made.vault, "default", PATH, SECRET, by="test")
    yield made
    store.close()
    prepared.store.close()


def given(site: Site, raw: bytes, channel: str | None = None) -> None:
    """Collateral that an operator brings."""
    importing.import_file(site.desk.importer, raw, "test", by="test", now=NOW, channel=channel)


def attempted(site: Site, machine: Any, release: tuple[str, ...] = (PATH,)) -> str:
    """An attestation, whatever comes of it; its id."""
    try:
        reply = pipeline.attest(site.gateway, "default", attest_body(site, machine, release))
    except Denied as error:
        return error.attempt
    return str(reply["attempt"])


def site_bundle(site: Site, attempt: str, *, with_now: bool = False) -> bytes:
    return site.archive.bundle("default", attempt, with_now=with_now)


def bundled(site: Site, attempt: str, *, with_now: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site_bundle(site, attempt, with_now=with_now))
    return found


def parsed(value: dict[str, Any]) -> Bundle:
    return bundle.parse(record.encode(value))


def replayed(kept: Bundle, *, now: bool = False, **later: float) -> Differences:
    pieces = kept.now if now else kept.collateral
    assert pieces is not None
    appraisal = again.repeat(kept, at=kept.at + timedelta(**later), pieces=pieces)
    return again.compare(kept, appraisal, pieces)


def reason_of(call: Callable[[], object]) -> tuple[GatewayReason, str]:
    with pytest.raises(GatewayError) as caught:
        call()
    return caught.value.reason, f"{caught.value.where}: {caught.value.expected}"


# --- the same, for ever --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REASONS)
def test_a_replay_is_the_record_byte_for_byte(site: Site, name: str) -> None:
    kept = parsed(bundled(site, attempted(site, MACHINES[name])))
    found = replayed(kept)
    assert found.identical and found.same_inputs
    assert (found.checks, found.members, found.verifier[0]) == ((), (), found.verifier[1])
    assert kept.record.get("reason") == REASONS[name]
    assert found.verdict == (("accepted",) * 2 if REASONS[name] is None else ("refused",) * 2)


@pytest.mark.parametrize("release", [(PATH,), (), ("nobody/owns",)], ids=["path", "none", "no policy"])
def test_under_whatever_policy_it_was_judged(site: Site, release: tuple[str, ...]) -> None:
    assert replayed(parsed(bundled(site, attempted(site, SNP, release)))).identical


def test_undecided_is_replayed_as_undecided(site: Site) -> None:
    """A TDX machine of another family: nothing that we hold is about it."""
    kept = parsed(bundled(site, attempted(site, tdx_machine(fmspc=bytes.fromhex("5EA16A7E0001")))))
    found = replayed(kept)
    assert (found.identical, found.verdict) == (True, ("undecided", "undecided"))


def test_what_the_gateway_required_is_required_again(site: Site) -> None:
    """No CRL of that product is held: nobody would have to ask for one, but a gateway does."""
    kept = parsed(bundled(site, attempted(site, SnpMachine(product="Milan", at=NOW))))
    outcomes = {check["id"]: check["outcome"] for check in kept.record["checks"]}
    assert outcomes["snp.revocation"] == "unknown"
    assert replayed(kept).identical


def test_a_refused_release_is_replayed_from_what_the_attestation_kept(site: Site) -> None:
    ear = pipeline.attest(site.gateway, "default", attest_body(site, release=()))["ear"]
    from cryptography import x509

    serial = x509.load_der_x509_certificate(SNP.intermediate()).serial_number
    revoked = SNP.crl(revoked=[serial], number=2)
    given(site, revoked)
    with pytest.raises(Denied) as caught:
        pipeline.release(site.gateway, "default", json.dumps({"ear": ear, "paths": [PATH]}).encode())
    kept = parsed(bundled(site, caught.value.attempt))
    found = replayed(kept)
    assert (found.identical, found.reason[1], kept.record["kind"]) == (True, "snp.revoked", "release")
    rows = site.gateway.appraisals.recent("default", 9)
    assert len({row.submission.digest for row in rows if row.submission}) == 1


def test_a_release_that_was_granted_can_be_judged_again(site: Site) -> None:
    ear = pipeline.attest(site.gateway, "default", attest_body(site, release=()))["ear"]
    body = json.dumps({"ear": ear, "paths": [PATH]}).encode()
    reply = pipeline.release(site.gateway, "default", body)
    kept = parsed(bundled(site, reply["attempt"]))
    assert (replayed(kept).identical, kept.record["kind"]) == (True, "release")
    assert (kept.record["verdict"], kept.record["rule"]) == ("accepted", "snp")
    row = site.gateway.appraisals.get("default", reply["attempt"])
    assert row is not None and not row.releasable


def test_collateral_that_was_superseded_still_counts_for_what_was_decided_on_it(site: Site) -> None:
    attempt = attempted(site, TDX)
    before = bundled(site, attempt)
    newer = TDX.tcb_info(tcbEvaluationDataNumber=21, issueDate=NOW - timedelta(hours=1))
    given(site, newer)
    assert bundled(site, attempt) == before
    assert replayed(parsed(before)).identical


def test_documents_that_were_replaced_or_retired_still_count(site: Site) -> None:
    attempt = attempted(site, SNP)
    before = bundled(site, attempt)
    administration.apply(site.office, "default", documents(version=2), "2.yaml", by="test", baselines=True)
    administration.retire(site.office, "default", "release", "payments-db", by="test")
    after = bundled(site, attempt)
    assert after == before
    assert {(each["kind"], each["name"]) for each in after["policies"]} >= {
        ("release", "payments-db@1"),
        ("reference", "guests@1"),
        ("baseline", "amd-sev-snp@1"),
    }
    assert replayed(parsed(after)).identical


def test_replaying_leaves_nothing_behind(site: Site) -> None:
    attempt = attempted(site, SNP)
    head, rows = site.office.ledger.head(), site.gateway.appraisals.recent("default", 9)
    replayed(parsed(bundled(site, attempt, with_now=True)))
    assert (site.office.ledger.head(), site.gateway.appraisals.recent("default", 9)) == (head, rows)


def test_evidence_does_not_lie_in_the_store_in_clear(site: Site, tmp_path: Path) -> None:
    body = attest_body(site)
    pipeline.attest(site.gateway, "default", body)
    runtime = b64.decode_url(json.loads(body)["runtime_data"], "runtime data", limit=9000)
    nonce = json.loads(runtime)["nonce"].encode()
    report = json.loads(body)["evidence"]["report"][:200].encode()
    lying = b"".join(path.read_bytes() for path in (tmp_path / "db").iterdir())
    assert nonce not in lying and report not in lying
    assert PATH.encode() in lying  # what is in clear would be found


# --- what changed --------------------------------------------------------------------------------------


def out_of_date() -> bytes:
    """A TCB info of the next evaluation, in which no platform of today is up to date."""
    sgx, tdx = inteldocs.SGX_SVNS["UpToDate"], inteldocs.TDX_SVNS["UpToDate"]
    levels = [
        inteldocs.tcb_level("UpToDate", sgx=(9, *sgx[1:]), tdx=(5, 0, 9, *tdx[3:])),
        inteldocs.tcb_level("OutOfDate", sgx=sgx, tdx=tdx, advisories=("INTEL-SA-09999",)),
    ]
    return TDX.tcb_info(tcbEvaluationDataNumber=21, issueDate=NOW - timedelta(hours=1), tcbLevels=levels)


def test_todays_collateral_shows_what_differs(site: Site) -> None:
    attempt = attempted(site, TDX)
    given(site, out_of_date())
    kept = parsed(bundled(site, attempt, with_now=True))
    assert replayed(kept).identical
    found = replayed(kept, now=True)
    assert (found.identical, found.verdict, found.reason[1]) == (
        False,
        ("accepted", "refused"),
        "tdx.tcb-status",
    )
    assert [piece.kind for piece in (*found.gone, *found.fresh)] == ["tcb-info", "tcb-info"]
    changed = {change.id: change for change in found.checks}
    assert {"dcap.tcb-info", "dcap.tcb", "tdx.tcb-status"} <= changed.keys()
    was, now = changed["tdx.tcb-status"].was, changed["tdx.tcb-status"].now
    assert was is not None and now is not None
    assert (was["outcome"], now["outcome"]) == ("passed", "failed")
    assert {"tcb", "used", "claims"} <= set(found.members)


def test_a_later_time_shows_what_has_expired(site: Site) -> None:
    found = replayed(parsed(bundled(site, attempted(site, SNP))), days=40)
    assert found.verdict == ("accepted", "undecided")
    changed = {change.id for change in found.checks}
    assert "snp.revocation" in changed and not found.gone and not found.same_inputs


def test_another_verifier_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = parsed(bundled(site, attempted(site, SNP)))
    monkeypatch.setattr(again.build, "identity", lambda: "9.9.9 feed")
    assert replayed(kept).verifier == (kept.verifier, "9.9.9 feed")


def test_a_check_that_came_twice_is_compared_with_its_own_kind() -> None:
    def check(outcome: str) -> dict[str, str]:
        return {"id": "x", "outcome": outcome}

    changes = again._changes([check("passed"), check("failed")], [check("passed"), check("passed")])
    assert [(c.was, c.now) for c in changes] == [(check("failed"), check("passed"))]
    assert [c.now for c in again._changes([check("passed")], [])] == [None]


# --- what is lacking or altered ------------------------------------------------------------------------


def test_an_object_that_is_gone_is_named(tdx: Any) -> None:
    lacking = tdx["collateral"][-1]
    lacking["source"] = None
    kept = parsed(tdx)
    reason, said = reason_of(lambda: replayed(kept))
    assert reason is GatewayReason.REPLAY_INCOMPLETE
    assert lacking["sha256"] in said and lacking["kind"] in said


def test_an_object_that_the_store_has_lost_is_null_in_the_bundle(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempted(site, SNP)
    monkeypatch.setattr(type(site.archive.collateral), "by_digests", lambda self, digests: {})
    monkeypatch.setattr(type(site.archive.documents), "versions", lambda self, tenant, names: ())
    value = bundled(site, attempt)
    assert {each["source"] for each in (*value["collateral"], *value["policies"])} == {None}
    assert reason_of(lambda: replayed(parsed(value)))[0] is GatewayReason.REPLAY_INCOMPLETE


def flipped(text: str) -> str:
    raw = bytearray(b64.decode_url(text, "text", limit=1 << 22))
    raw[len(raw) // 2] ^= 1
    return b64.encode_url(bytes(raw))


def alter(value: dict[str, Any], what: str) -> None:
    match what:
        case "evidence" | "runtime_data":
            value[what] = flipped(value[what])
        case "collateral" | "policies" | "collateral_now":
            value[what][0]["source"] = flipped(value[what][0]["source"])
        case "collateral digest":
            value["collateral"][0]["sha256"] = "00" * 32
            value["collateral"][0]["source"] = None
        case "collateral order":
            value["collateral"].reverse()
        case "collateral left out":
            del value["collateral"][0]
        case "policy digest":
            value["policies"][0]["digest"] = "sha256:" + "00" * 32
            value["policies"][0]["source"] = None
        case "policy left out":
            del value["policies"][-1]
        case "policy added":
            value["policies"].append(value["policies"][-1])
        case "time":
            value["at"] = "2020-01-01T00:00:00Z"
        case "attempt" | "tenant":
            value[what] = "other"


@pytest.mark.parametrize(
    "what",
    [
        "evidence", "runtime_data", "collateral", "policies", "collateral_now", "collateral digest",
        "collateral order", "collateral left out", "policy digest", "policy left out", "policy added", "time",
        "attempt", "tenant",
    ],
)  # fmt: skip
def test_a_bundle_that_was_altered_is_refused(tdx: Any, what: str) -> None:
    parsed(tdx)
    alter(tdx, what)
    assert reason_of(lambda: parsed(tdx))[0] is GatewayReason.REPLAY_ALTERED


@pytest.mark.parametrize("member", sorted(bundle._MEMBERS))
@pytest.mark.parametrize("worth", [None, 1, "x", [], [1], {}, {"a": 1}, ...], ids=str)
def test_what_is_no_bundle_is_said_to_be_none(snp: Any, member: str, worth: Any) -> None:
    if worth is ...:
        del snp[member]
    else:
        snp[member] = worth
    reason, _ = reason_of(lambda: parsed(snp))
    assert reason in (GatewayReason.REPLAY_MALFORMED, GatewayReason.REPLAY_ALTERED)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"format":1}', b'{"a":1,"a":1}', b"\xff"])
def test_garbage_is_no_bundle(raw: bytes) -> None:
    assert reason_of(lambda: bundle.parse(raw))[0] is GatewayReason.REPLAY_MALFORMED


@pytest.mark.parametrize("name", ["verifier", "anchors", "binding", "profile", "required", "baselines"])
@pytest.mark.parametrize("worth", [None, 1, "x", [1], {"report_data": "AAAA"}], ids=str)
def test_a_record_that_says_it_otherwise_is_no_bundle(snp: Any, name: str, worth: Any) -> None:
    snp["record"]["replay"][name] = worth
    if (name, worth) == ("verifier", "x"):
        assert parsed(snp).verifier == "x"
        return
    assert reason_of(lambda: parsed(snp))[0] is GatewayReason.REPLAY_MALFORMED


@pytest.mark.parametrize("check", [None, {}, {"id": 1}, {"id": "a", "outcome": "passed"}])
def test_checks_that_are_none_are_refused(snp: Any, check: Any) -> None:
    snp["record"]["checks"].append(check)
    assert reason_of(lambda: parsed(snp))[0] is GatewayReason.REPLAY_MALFORMED


def test_what_nothing_vouched_for_cannot_be_replayed(site: Site) -> None:
    body = json.loads(attest_body(site))
    body["evidence"]["report"] = flipped(body["evidence"]["report"])
    with pytest.raises(Denied) as caught:
        pipeline.attest(site.gateway, "default", json.dumps(body).encode())
    attempt = caught.value.attempt
    assert reason_of(lambda: bundled(site, attempt))[0] is GatewayReason.REPLAY_NOT_KEPT
    assert reason_of(lambda: bundled(site, "0000"))[0] is GatewayReason.REQUEST_NOT_FOUND
    other = attempted(site, SNP)
    assert (
        reason_of(lambda: site.archive.bundle("other", other, with_now=False))[0]
        is GatewayReason.REQUEST_NOT_FOUND
    )


def test_the_verdict_is_an_appraisal_like_any_other(site: Site) -> None:
    kept = parsed(bundled(site, attempted(site, SNP)))
    assert again.repeat(kept, at=kept.at, pieces=kept.collateral).verdict is Verdict.ACCEPTED
