"""Any reply of a reader is read to a value, or refused as what no reader of ours sends."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from gateway import record
from gateway.containment import findings, frames, packing, texts, worker
from gateway.containment.errors import EndedError, ReplyError
from gateway.containment.findings import Question
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from verifiers.errors import EvidenceFormatError
from verifiers.model import AnchorSet, Endorsements, Unbound

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def seeds() -> list[bytes]:
    tdx = TdxMachine()
    out = []
    for guest in (SimulatedGuest(SnpMachine()), SimulatedGuest(tdx), SimulatedGuest(tdx, b"[]")):
        message = record.encode(guest.evidence(bytes(64)))
        question = Question(
            message=message,
            endorsements=Endorsements(anchors=AnchorSet.VENDOR),
            binding=Unbound("fuzz"),
            now=NOW,
        )
        for asked in ((worker.OPEN, message), (worker.NEEDS, message), findings.ask(question)):
            out.append(frames.write(worker.answer_to(asked)))
    error = EvidenceFormatError("evidence.bad-value", "a", expected="b", found="c")
    out.append(frames.write(packing.pack_refusal(error)))
    out.append(frames.write((packing.FOUND, texts.compact({}))))
    return out


def target(data: bytes) -> None:
    try:
        parts = frames.read(io.BytesIO(data).read)
    except (EndedError, ReplyError):
        return
    if parts is None:
        return
    for read in (
        packing.unpack,
        packing.unpack_needs,
        packing.unpack_refusal,
        lambda given: findings.answered(given, NOW),
    ):
        try:
            read(parts)
        except (ReplyError, EvidenceFormatError):
            continue
