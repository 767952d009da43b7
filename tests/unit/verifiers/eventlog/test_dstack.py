"""The JSON log of dstack guests: runtime digests are computed, never believed and never skipped."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from verifiers.errors import EvidenceFormatError, Reason
from verifiers.eventlog import dstack, reading
from verifiers.eventlog.log import DSTACK_RUNTIME, MAX_EVENTS, Format
from verifiers.eventlog.replay import replay

DIGEST = hashlib.sha384(b"\x01\x00\x00\x08:app-id:\xab\xcd").digest()
RUNTIME = {
    "imr": 3, "event_type": DSTACK_RUNTIME, "digest": DIGEST.hex(), "event": "app-id",
    "event_payload": "abcd",
}  # fmt: skip
BOOT = {"imr": 0, "event_type": 4, "digest": "00" * 48, "event": "", "event_payload": ""}


def parse(*events: Any) -> Any:
    return dstack.parse(json.dumps(list(events)).encode())


def refused(*events: Any) -> EvidenceFormatError:
    with pytest.raises(EvidenceFormatError) as caught:
        parse(*events)
    return caught.value


def test_registers_types_and_payloads() -> None:
    log = parse(BOOT, RUNTIME)
    assert (log.format, log.header) == (Format.DSTACK, None)
    assert [(e.register, e.type_name, e.name, e.data, e.digest) for e in log.events] == [
        ("RTMR0", "EV_SEPARATOR", "", b"", bytes(48)),
        ("RTMR3", "dstack runtime event", "app-id", b"\xab\xcd", DIGEST),
    ]


def test_a_digest_that_was_left_out_is_computed() -> None:
    bare = parse(RUNTIME | {"digest": ""})
    assert bare.events == parse(RUNTIME).events
    assert replay(bare.events)[3] == hashlib.sha384(bytes(48) + DIGEST).digest()


def test_another_payload_is_another_register() -> None:
    changed = parse(RUNTIME | {"digest": "", "event_payload": "abce"})
    assert replay(changed.events)[3] != replay(parse(RUNTIME).events)[3]


@pytest.mark.parametrize("change", [{"event_payload": "abce"}, {"event": "app-ie"}, {"digest": "11" * 48}])
def test_a_runtime_event_that_contradicts_its_digest_is_refused(change: dict[str, str]) -> None:
    error = refused(BOOT, RUNTIME | change)
    assert (error.reason, error.where) == (Reason.BAD_VALUE, "event log.event 1.digest (RTMR3)")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"imr": 4}, Reason.BAD_VALUE),
        ({"imr": True}, Reason.BAD_VALUE),
        ({"imr": -1}, Reason.BAD_VALUE),
        ({"event_type": 1 << 32}, Reason.BAD_VALUE),
        ({"event": 1}, Reason.BAD_VALUE),
        ({"event": "n" * 257}, Reason.BAD_VALUE),
        ({"more": 1}, Reason.BAD_VALUE),
        ({"digest": "zz"}, Reason.BAD_ENCODING),
        ({"digest": "abc"}, Reason.BAD_ENCODING),
        ({"digest": None}, Reason.BAD_ENCODING),
        ({"digest": "00" * 47}, Reason.BAD_LENGTH),
        ({"digest": ""}, Reason.BAD_LENGTH),
        ({"digest": "00" * 49}, Reason.EVIDENCE_TOO_LARGE),
        ({"event_payload": "00" * 65537}, Reason.EVIDENCE_TOO_LARGE),
    ],
)
def test_members_are_read_strictly(change: dict[str, Any], reason: Reason) -> None:
    assert refused(BOOT | change).reason == reason


def test_other_json_is_refused() -> None:
    assert refused(*[BOOT] * (MAX_EVENTS + 1)).reason == Reason.EVIDENCE_TOO_LARGE
    assert refused({"imr": 0}).reason == Reason.BAD_VALUE
    assert refused([BOOT]).reason == Reason.TOO_DEEP
    assert refused([]).reason == Reason.BAD_VALUE
    for raw in (b"{}", b"[", b"[{]", b'[{"imr":0,"imr":0}]'):
        with pytest.raises(EvidenceFormatError):
            dstack.parse(raw)


def test_formats_are_told_apart_by_their_beginning() -> None:
    assert reading.parse(b"\n [ {}]".replace(b"{}", json.dumps(BOOT).encode())).format is Format.DSTACK
    assert reading.parse(b"[]").events == ()
    assert not reading.recognised(b'["application/x", "AA"]')
    assert not reading.recognised(b"")
