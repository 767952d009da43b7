"""The event log in a TDX verification: passed, failed with the first register, not checked; its claims."""

from __future__ import annotations

import hashlib
import json

import pytest

from gateway.simulator import logwrite
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.simulator.logwrite import LogEntry, aael
from verifiers import claims, registry
from verifiers.claimtypes import Provenance
from verifiers.dcap import quote
from verifiers.errors import Reason
from verifiers.eventlog import dstack
from verifiers.eventlog.log import DSTACK_RUNTIME
from verifiers.model import Check, Outcome, ReportData, Verdict, Verification, first_reason
from verifiers.sevsnp import abi
from verifiers.tdx import eventlog

DATA = bytes(range(64))
PULL = aael("github.com/confidential-containers", "PullImage", '{"image":"a","digest":"sha256:00"}')
MACHINE = TdxMachine(log=(*logwrite.BOOT, PULL))


def verify(log: bytes | None, machine: TdxMachine = MACHINE, **fields: bytes) -> Verification:
    parsed = quote.parse(machine.quote(DATA, **fields))
    return registry.verify(parsed, machine.endorsements(), ReportData(DATA), machine.at, event_log=log)


def check_of(found: Verification) -> Check:
    return next(check for check in found.checks if check.id == "tdx.event-log")


def logged(found: Verification) -> dict[str, object]:
    return {name: value for name, value in found.claims.items() if name.startswith("tdx.event_log.")}


@pytest.mark.parametrize("size", [None, 65536])
def test_a_log_that_replays(size: int | None) -> None:
    found = verify(MACHINE.event_log(size=size))
    assert (found.verdict, check_of(found).outcome) == (Verdict.ACCEPTED, Outcome.PASSED)
    assert check_of(found).found == "it does; events by register: RTMR0 10, RTMR1 5, RTMR2 2, RTMR3 1"
    assert logged(found) == {
        "tdx.event_log.replayed": True,
        "tdx.event_log.secure_boot": True,
        "tdx.event_log.aael": {PULL.data[8:].decode()},
    }


@pytest.mark.parametrize("version", [4, 5])
def test_every_kind_of_td_report(version: int) -> None:
    machine = TdxMachine(version=version)
    assert check_of(verify(machine.event_log(), machine)).outcome is Outcome.PASSED


def test_without_a_log_nobody_asked_and_nothing_is_claimed() -> None:
    found = verify(None)
    check = check_of(found)
    assert (found.verdict, check.outcome) == (Verdict.ACCEPTED, Outcome.NOT_CHECKED)
    assert (check.code, check.found) == (Reason.TDX_EVENT_LOG_NOT_GIVEN, "no event log was given")
    assert logged(found) == {}


@pytest.mark.parametrize("number", range(4))
def test_the_first_register_that_differs_is_named_with_both_values(number: int) -> None:
    quoted = {f"rtmr{n}": bytes([n]) * 48 for n in range(number, 4)}
    found = verify(MACHINE.event_log(), **quoted)
    replayed = logwrite.registers(MACHINE.log)
    assert (found.verdict, first_reason(found.checks)) == (Verdict.REFUSED, Reason.TDX_EVENT_LOG)
    assert check_of(found).found == (
        f"RTMR{number}: {(bytes([number]) * 48).hex()} in the quote, {replayed[number].hex()} from the log"
    )
    assert logged(found) == {}


def test_every_entry_and_every_digest_counts() -> None:
    for position, entry in enumerate(MACHINE.log):
        rest = MACHINE.log[:position] + MACHINE.log[position + 1 :]
        forged = LogEntry(register=entry.register, type=entry.type, data=entry.data, digest=b"f" * 48)
        other = LogEntry(
            register=(entry.register + 1) % 4, type=entry.type, data=entry.data, digest=entry.extended_with
        )
        for changed in (
            rest,
            (*MACHINE.log[: position + 1], *MACHINE.log[position:]),
            (*rest[:position], forged, *rest[position:]),
            (*rest[:position], other, *rest[position:]),
        ):
            found = verify(logwrite.write(changed))
            assert first_reason(found.checks) == Reason.TDX_EVENT_LOG
            named = int(check_of(found).found[4])
            assert named in (entry.register, (entry.register + 1) % 4)
            assert logged(found) == {}


def test_entries_that_extend_nothing_change_nothing() -> None:
    note = LogEntry(register=2, type=0x3, data=b"a note", digest=b"x" * 48)
    found = verify(logwrite.write((note, *MACHINE.log)))
    assert check_of(found).outcome is Outcome.PASSED
    assert logged(found) == logged(verify(MACHINE.event_log()))


def test_a_text_that_was_changed_is_no_claim() -> None:
    """The digest is kept, so that the log still replays; what it says is then nobody's word."""
    lie = LogEntry(register=3, type=6, data=aael("a.example", "Good", "x").data, digest=PULL.extended_with)
    found = verify(logwrite.write((*logwrite.BOOT, lie)))
    assert check_of(found).outcome is Outcome.PASSED
    assert logged(found).keys() == {"tdx.event_log.replayed", "tdx.event_log.secure_boot"}


@pytest.mark.parametrize("raw", [b"", b"log", b"[", b"[{}]", MACHINE.event_log()[:700], b"\xff" * 4096])
def test_a_log_that_cannot_be_read_fails_closed(raw: bytes) -> None:
    found = verify(raw)
    assert (found.verdict, first_reason(found.checks)) == (Verdict.REFUSED, Reason.TDX_EVENT_LOG_MALFORMED)
    assert "expected" in check_of(found).found
    assert logged(found) == {}


def test_a_dstack_log_with_bare_digests() -> None:
    event = {"imr": 3, "event_type": DSTACK_RUNTIME, "digest": "", "event": "app-id", "event_payload": "00ff"}
    digest = dstack.runtime_digest(DSTACK_RUNTIME, "app-id", b"\0\xff")
    machine = TdxMachine(log=(LogEntry(register=3, type=DSTACK_RUNTIME, data=b"", digest=digest),))
    found = verify(json.dumps([event]).encode(), machine)
    assert logged(found) == {"tdx.event_log.replayed": True, "tdx.event_log.dstack": {"app-id=00ff"}}
    changed = verify(json.dumps([event | {"event_payload": "00fe"}]).encode(), machine)
    assert check_of(changed).found.startswith("RTMR3: ")
    assert digest == hashlib.sha384(b"\x01\0\0\x08:app-id:\0\xff").digest()


def test_other_evidence_has_no_log() -> None:
    sgx, snp = SgxMachine(), SnpMachine()
    parsed = quote.parse(sgx.quote(DATA))
    with pytest.raises(ValueError, match="event log"):
        registry.verify(parsed, sgx.endorsements(), ReportData(DATA), sgx.at, event_log=b"")
    report = abi.parse(snp.report(DATA))
    with pytest.raises(ValueError, match="event log"):
        registry.verify(report, snp.endorsements(), ReportData(DATA), snp.at, event_log=b"")


def test_the_provenance_of_every_claim() -> None:
    found = verify(MACHINE.event_log())
    told = claims.provenances(found)
    assert told["replayed"] == ["event_log_replayed", "event_log_secure_boot", "event_log_aael"]
    assert {"mr_td", "rtmr3", "report_data", "qe_isv_svn"} <= set(told["hardware"])
    assert {"tcb_status", "pck_ppid", "fmspc", "collateral_pck_crl", "qe_status"} <= set(told["endorsed"])
    assert sorted(key for keys in told.values() for key in keys) == sorted(claims.json_claims(found))
    assert {spec.name for spec in claims.TABLE if spec.provenance is Provenance.REPLAYED} == {
        spec.name for spec in eventlog.TABLE
    }


def test_claims_of_snp_from_certificates_are_endorsed() -> None:
    endorsed = {spec.name for spec in claims.TABLE if spec.provenance is Provenance.ENDORSED}
    assert {"snp.hwid", "snp.csp_id", "collateral.amd_crl", "evidence.simulated"} <= endorsed
    assert endorsed.isdisjoint({"snp.measurement", "snp.chip_id", "evidence.type", "sgx.mr_enclave"})
