"""What a carrier is opened to."""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.dcap.quote import Quote
from verifiers.eventlog.log import SentLog
from verifiers.model import Check, TeeKind
from verifiers.sevsnp.abi import SnpReport

MAX_EVIDENCE = 1024 * 1024
"""Bytes of one piece of evidence, whatever carries it; checked before anything else. Real: 1 to 270 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Evidence taken out of its envelope: parsed, *not* verified.

    certificates: DER, as they came along; they count only if they chain to a pin. carrier: one of
    `CARRIERS`. event_log: as sent, or what another process read it as; None without one. notes: what the
    envelope itself says about its content (bindings that hold or do not, things left aside); they belong
    into the verdict.
    """

    evidence: SnpReport | Quote
    certificates: tuple[bytes, ...]
    carrier: str
    event_log: SentLog | None
    notes: tuple[Check, ...]


def kind_of(evidence: SnpReport | Quote) -> TeeKind:
    return evidence.kind if isinstance(evidence, Quote) else TeeKind.SEV_SNP
