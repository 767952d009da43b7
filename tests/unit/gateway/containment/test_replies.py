"""Replies of readers, read strictly: whatever they send is a value or a `ReplyError`."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway import record
from gateway.containment import findings, frames, packing, texts, worker
from gateway.containment.errors import EndedError, ReplyError
from gateway.containment.findings import Question
from gateway.reading import InProcess, Read
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from verifiers import registry
from verifiers.carriers import Opened
from verifiers.errors import EvidenceFormatError
from verifiers.eventlog import reading
from verifiers.eventlog.log import EventLog, Unreadable
from verifiers.model import AnchorSet, Binding, Endorsements, NoCache, ReportData, Unbound

SNP, TDX = SnpMachine(), TdxMachine()
LOG = TDX.event_log(size=None)


def opened(machine: Any, log: bytes | None = None) -> Opened:
    return read(machine, log).opened


def read(machine: Any, log: bytes | None = None) -> Read:
    return InProcess().open("default", record.encode(SimulatedGuest(machine, log).evidence(bytes(64))))


# --- frames ---------------------------------------------------------------------------------------


def test_frames_come_back_as_they_were() -> None:
    for parts in ((), (b"",), (b"a", b"", b"bc" * 1000)):
        raw = frames.write(parts)
        assert frames.read(io.BytesIO(raw).read) == parts


def test_the_end_between_frames_is_none_and_inside_an_error() -> None:
    raw = frames.write((b"abc", b"def"))
    assert frames.read(io.BytesIO(b"").read) is None
    for size in range(1, len(raw)):
        with pytest.raises(EndedError):
            frames.read(io.BytesIO(raw[:size]).read)


@pytest.mark.parametrize(
    "raw",
    [
        (frames.MAX_FRAME + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x03\x00\x00\x00",
        b"\x00\x00\x00\x05\x00\x00\x00\x02a",
        b"\x00\x00\x00\x04\xff\xff\xff\xff",
        frames.write((b"",) * frames.MAX_PARTS)[:0] + (4 * (frames.MAX_PARTS + 1)).to_bytes(4, "big")
        + bytes(4 * (frames.MAX_PARTS + 1)),
    ],
)  # fmt: skip
def test_frames_that_do_not_add_up(raw: bytes) -> None:
    with pytest.raises(ReplyError):
        frames.read(io.BytesIO(raw).read)


def test_a_frame_that_nobody_would_take_is_not_written() -> None:
    with pytest.raises(ValueError, match="parts"):
        frames.write((b"",) * (frames.MAX_PARTS + 1))


# --- what was opened --------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", [SNP, TDX], ids=["snp", "tdx"])
def test_opened_evidence_comes_back(machine: Any) -> None:
    found = opened(machine)
    assert packing.unpack(packing.pack(found)) == found


def test_a_log_comes_back_as_what_it_replays_to() -> None:
    found = packing.unpack(packing.pack(opened(TDX, LOG))).event_log
    assert isinstance(found, EventLog)
    sent = reading.parse(LOG)
    assert found.format == sent.format
    assert [(e.index, e.type, e.digest, e.data, e.name) for e in found.events] == [
        (e.index, e.type, e.digest, e.data, e.name) for e in sent.events
    ]


def test_a_log_that_cannot_be_read_comes_back_as_that() -> None:
    found = packing.unpack(packing.pack(opened(TDX, b"no log"))).event_log
    assert isinstance(found, Unreadable)
    assert found.expected


def test_needs_come_back() -> None:
    for machine in (SNP, TDX):
        wanted = registry.needs(opened(machine).evidence)
        assert packing.unpack_needs(packing.pack_needs(wanted)) == wanted


def test_refusals_come_back() -> None:
    error = EvidenceFormatError("evidence.bad-value", "evidence.x", expected="this", found="that")
    found = packing.unpack_refusal(packing.pack_refusal(error))
    assert (found.reason, str(found)) == (error.reason, str(error))


def changed(number: int, value: bytes, machine: Any = SNP, log: bytes | None = None) -> list[bytes]:
    parts = list(packing.pack(opened(machine, log)))
    parts[number] = value
    return parts


def note(**changes: Any) -> bytes:
    good = {"id": "evidence.ignored", "outcome": "not_checked", "expected": "a", "found": "b", "source": "c",
            "reason": None, "fix": None}  # fmt: skip
    return texts.compact([{**good, **changes}])


def test_the_note_below_is_good() -> None:
    assert packing.unpack(changed(4, note())).notes


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"accepted"],
        packing.pack(opened(SNP))[:5],
        changed(0, b"found"),
        changed(1, b"sgx"),
        changed(3, b"mine"),
        changed(3, b"\xff"),
        changed(4, b"{}"),
        changed(4, b"[" * 100),
        changed(4, b'[{"id":1}]'),
        changed(4, note(id="binding.report-data", outcome="passed")),
        changed(4, note(id="snp.revocation")),
        changed(4, note(outcome="waived")),
        changed(4, note(outcome="fine")),
        changed(4, note(reason="no.such-reason")),
        changed(4, note(found="x" * 5000)),
        changed(4, note(more=1)),
        changed(4, texts.compact([0] * 65)),
        changed(5, b""),
        changed(5, b"X"),
        changed(5, b"L\x00"),  # a log beside a report
        changed(5, b"L\x07", TDX),
        changed(5, b"L\x00\x01", TDX),
        changed(5, b"L\x00" + packing._EVENT.pack(5, 1, bytes(48), 0, 0), TDX),
        changed(5, b"L\x00" + packing._EVENT.pack(1, 1, bytes(48), 0, 9), TDX),
        changed(5, b"L\x00" + packing._EVENT.pack(1, 1, bytes(48), 1, 0) + b"\xff", TDX),
        changed(5, b"L\x00" + packing._EVENT.pack(1, 1, bytes(48), 0, 0) * 4097, TDX),
        changed(5, b'U{"where":"a"}', TDX),
        [*packing.pack(opened(SNP)), *[b"x"] * 9],
        [*packing.pack(opened(SNP)), bytes(9000)],
    ],
)
def test_what_no_reader_of_ours_sends(parts: list[bytes]) -> None:
    with pytest.raises(ReplyError):
        packing.unpack(parts)


@pytest.mark.parametrize("raw", [b"", bytes(1183), bytes(1185)])
def test_a_report_is_cut_anew(raw: bytes) -> None:
    with pytest.raises(EvidenceFormatError):
        packing.unpack(changed(2, raw))
    with pytest.raises(EvidenceFormatError):
        packing.unpack(changed(2, raw, TDX))


def test_the_ids_of_notes_are_those_that_carriers_make() -> None:
    import re

    from tests.support import ROOT

    made = {
        found
        for path in (ROOT / "verifiers" / "carriers").glob("*.py")
        for found in re.findall(r'Check\(\s*id="([a-z.-]+)"', path.read_text())
    }
    assert made == packing.NOTES


# --- what was found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", [SNP, TDX], ids=["snp", "tdx"])
@pytest.mark.parametrize(
    "binding", [ReportData(bytes(64)), Unbound("nobody asked")], ids=["bound", "unbound"]
)
@pytest.mark.parametrize("anchors", list(AnchorSet))
def test_findings_come_back_whole(machine: Any, binding: Binding, anchors: AnchorSet) -> None:
    given = replace(machine.endorsements(), anchors=anchors, cache=NoCache())
    sent = read(machine)
    if machine is SNP:
        given = replace(given, certificates=(*sent.opened.certificates, *given.certificates))
    question = Question(message=sent.message, endorsements=given, binding=binding, now=machine.at)
    parts = findings.ask(question)
    assert replace(findings.asked(parts).endorsements, cache=given.cache) == given
    here = InProcess().explain(sent, given, binding, machine.at)
    there = findings.answered(worker.answer_to(parts), machine.at)
    for name in here.__struct_fields__:
        assert getattr(there, name) == getattr(here, name), name


def answer(**changes: Any) -> list[bytes]:
    found = registry.verify(
        opened(SNP).evidence, Endorsements(anchors=AnchorSet.VENDOR), Unbound("test"), SNP.at
    )
    value = msgspec.json.decode(findings.answer(found)[1])
    return [b"found", texts.compact({**value, **changes})]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"found"],
        [b"found", b"{}"],
        [b"found", b"[" * 99],
        answer(more=1),
        answer(chain_valid=1),
        answer(evidence=["tdx"]),
        answer(evidence=["cca", 1, "VCEK", "00", None, None]),
        answer(claims=[["snp.vmpl", "object", 0]]),
        answer(claims=[["snp.vmpl", "number", 2**70]]),
        answer(claims=[["snp.measurement", "bytes", "0"]]),
        answer(claims=[[["snp.vmpl"], "number", 0]]),
        answer(claims=[["a", "time", "2026-11-25"]]),
        answer(claims=[["a", "tcb", [1, 2]]]),
        answer(checks=[{}]),
        answer(checks=None),
        answer(missing=[["http://x", []]]),
        answer(missing=[["amd.vcek", [["chip_id", "../.."]]]]),
        answer(expires="2026-11-25T00:00:00+02:00"),
        answer(expires="soon"),
        answer(tcb=[None, [], None, [["a", "b", 1, ""]]]),
    ],
)
def test_findings_that_no_reader_of_ours_sends(parts: list[bytes]) -> None:
    with pytest.raises(ReplyError):
        findings.answered(parts, SNP.at)
