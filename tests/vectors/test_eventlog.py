"""Recorded event logs: each replays to what the manifest says, and to its quote where there is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import load_manifest, needs_vectors, vector_bytes
from tests.vectors.tdx_vectors import BY_ID, UNBOUND, at, endorsements, file
from verifiers import registry
from verifiers.dcap import quote
from verifiers.errors import Reason
from verifiers.eventlog import reading, runtime, tcg2
from verifiers.eventlog.binding import bound, is_runtime, shown
from verifiers.eventlog.log import DSTACK_RUNTIME, EventLog, Format
from verifiers.eventlog.replay import replay
from verifiers.model import Check, Outcome, Verification

pytestmark = needs_vectors("tdx")
LOGS: list[dict[str, Any]] = load_manifest("tdx").get("event_logs", [])
QUOTED = [(entry, name) for entry in LOGS for name in entry["matches_quote"] or ()]
ALL = [pytest.param(entry, id=entry["id"]) for entry in LOGS]
PAIRS = [pytest.param(entry, name, id=f"{entry['id']}-{name}") for entry, name in QUOTED]


def raw_of(entry: dict[str, Any]) -> bytes:
    """The log's bytes; a dstack reply holds it as text."""
    raw = vector_bytes("tdx", entry["file"])
    return raw if entry["format"].startswith("TCG2") else json.loads(raw)["event_log"].encode()


def log_of(name: str) -> EventLog:
    return reading.parse(raw_of(next(entry for entry in LOGS if entry["id"] == name)))


def verify(name: str, log: bytes) -> Verification:
    vector = BY_ID[name]
    parsed = quote.parse(file(vector, "quote"))
    return registry.verify(parsed, endorsements(vector), UNBOUND, at(vector), event_log=log)


def check_of(found: Verification) -> Check:
    return next(check for check in found.checks if check.id == "tdx.event-log")


def test_there_are_logs_and_quotes_for_them() -> None:
    assert (len(LOGS), len(QUOTED)) == (5, 5)


@pytest.mark.parametrize("entry", ALL)
def test_every_log_replays_as_recorded(entry: dict[str, Any]) -> None:
    raw = raw_of(entry)
    log = reading.parse(raw)
    assert [value.hex() for value in replay(log.events)] == [entry["replay"][f"rtmr{n}"] for n in range(4)]
    if log.format is Format.TCG2:
        assert (len(log.events) + 1, log.used) == (entry["events"], entry["used_bytes"])  # with the header
        assert tcg2.write(log) == raw[: log.used]
    else:
        assert len(log.events) == entry["events"]
        assert sum(map(is_runtime, log.events)) == entry["runtime_digest_rule_holds"]


@pytest.mark.parametrize(("entry", "name"), PAIRS)
def test_every_log_replays_to_its_quote(entry: dict[str, Any], name: str) -> None:
    found = verify(name, raw_of(entry))
    assert check_of(found).outcome is Outcome.PASSED
    assert found.claims["tdx.event_log.replayed"] is True


@pytest.mark.parametrize(("entry", "name"), PAIRS)
def test_an_edited_digest_is_refused_with_its_register(entry: dict[str, Any], name: str) -> None:
    raw = raw_of(entry)
    for event in reading.parse(raw).events:
        if not event.extends or event.type == DSTACK_RUNTIME:
            continue
        spelled = event.digest if raw[:1] != b"[" else event.digest.hex().encode()
        changed = spelled[:-1] + (b"0" if spelled[-1:] != b"0" else b"1")
        found = check_of(verify(name, raw.replace(spelled, changed)))
        assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.TDX_EVENT_LOG)
        # One digest can stand in several registers (separators): the first is named.
        assert int(found.found[4]) <= event.index - 1


def test_a_log_of_another_machine_is_refused() -> None:
    found = check_of(verify("tdx4-gcp-cos113@ev17", vector_bytes("tdx", "eventlogs/gke-grub-ccel.bin")))
    assert (found.outcome, found.found[:6]) == (Outcome.FAILED, "RTMR0:")


def test_an_edited_runtime_event_is_refused() -> None:
    entry, name = next((e, n) for e, n in QUOTED if e["id"] == "dstack-quote-report")
    events = json.loads(raw_of(entry))
    hash_at = next(i for i, event in enumerate(events) if event["event"] == "compose-hash")
    events[hash_at]["event_payload"] = "00" * 32
    contradicts = check_of(verify(name, json.dumps(events).encode()))
    assert contradicts.reason == Reason.TDX_EVENT_LOG_MALFORMED
    assert f"event {hash_at}.digest (RTMR3)" in contradicts.found
    events[hash_at]["digest"] = ""
    differs = check_of(verify(name, json.dumps(events).encode()))
    assert (differs.reason, differs.found[:6]) == (Reason.TDX_EVENT_LOG, "RTMR3:")


def test_runtime_digests_may_be_left_out() -> None:
    entry, name = next((e, n) for e, n in QUOTED if e["id"] == "dstack-quote-report")
    bare = [e | {"digest": ""} if e["event_type"] == DSTACK_RUNTIME else e for e in json.loads(raw_of(entry))]
    found = verify(name, json.dumps(bare).encode())
    assert check_of(found).outcome is Outcome.PASSED
    assert found.claims["tdx.event_log.dstack"] == runtime.dstack_events(reading.parse(raw_of(entry)))


CLAIMS = {
    "aael-alibabacloud-ccel": (False, 2, 0),
    "gcp-cos113-ccel": (False, 0, 0),
    "gke-grub-ccel": (False, 0, 0),
    "ovmf-ccel": (False, 0, 0),
    "dstack-quote-report": (False, 0, 8),
}


@pytest.mark.parametrize("entry", ALL)
def test_what_recorded_logs_say(entry: dict[str, Any]) -> None:
    log = reading.parse(raw_of(entry))
    secure, aael, dstack = CLAIMS[entry["id"]]
    assert runtime.secure_boot(log) is secure
    assert len(runtime.aael(log) or ()) == aael
    assert len(runtime.dstack_events(log) or ()) == dstack


def test_the_attestation_agents_entries() -> None:
    assert runtime.aael(log_of("aael-alibabacloud-ccel")) == {
        "coco.com some-operation some-content",
        'coco.com some-operation {"key": "value", "nested-key": {"sub-key": "value"}}',
    }


def test_the_rules_by_type_hold_for_the_recorded_logs() -> None:
    """Types whose data is always bound, and types whose data never is."""
    logs = [log_of(entry["id"]) for entry in LOGS]
    told: dict[int, set[bool]] = {}
    for log in logs:
        for event in log.events:
            told.setdefault(event.type, set()).add(bound(event) is not None)
    always = {0x4, 0x80000001, 0x80000002, 0x80000006, 0x80000007, 0x800000E0, DSTACK_RUNTIME}
    never = {0x1, 0x3, 0xA, 0x80000003, 0x8000000A, 0x8000000B}
    assert {kind for kind, seen in told.items() if seen == {True}} == always
    assert {kind for kind, seen in told.items() if seen == {False}} == never


def test_the_command_line_is_shown_with_its_label_in_doubt() -> None:
    said = [shown(event) for event in log_of("gcp-cos113-ccel").events]
    assert sum("label 'kernel_cmdline' not verified" in line for line in said) == 1
    assert sum("label 'grub_cmd' not verified" in line for line in said) == 14
