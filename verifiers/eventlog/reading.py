"""A log of either format, told apart by its first bytes."""

from __future__ import annotations

from verifiers.eventlog import dstack, tcg2
from verifiers.eventlog.log import EventLog


def recognised(raw: bytes) -> bool:
    """Whether these bytes begin as a log does that `parse` reads."""
    return tcg2.recognised(raw) or dstack.recognised(raw)


def parse(raw: bytes) -> EventLog:
    """Raises EvidenceFormatError, as the format's parser does; what begins as neither is read as TCG's."""
    return dstack.parse(raw) if dstack.recognised(raw) else tcg2.parse(raw)
