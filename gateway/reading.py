"""Who reads evidence: this process, or a contained one. A port, because where grammar is decoded must make
no difference to what is decided.

What must stay true: whatever a reader answers counts as if the peer itself had sent it in that form.
`appraiser` judges it from the raw bytes, and reads no certificate that no pinned key signed; a reader's own
findings (`explain`) are asked for only when that judgement is a refusal already, and replace its text, never
its outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from gateway.protocol.native import MAX_BODY
from verifiers import registry, verdict
from verifiers.carriers import Opened, open_message
from verifiers.codec import strictjson
from verifiers.model import Binding, Endorsements, Need, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Evidence taken out of its envelope, *not* trusted.

    message: the request's `evidence` as JSON, for a second look.
    """

    tenant: str
    message: bytes
    opened: Opened


class Reader(Protocol):
    """All raise EvidenceFormatError for what the peer sent, as `open_message`; a contained one also
    GatewayError: CONTAINED_CRASH, CONTAINED_DEADLINE, CONTAINED_MEMORY, CONTAINED_REPLY."""

    def open(self, tenant: str, message: bytes) -> Read: ...

    def needs(self, read: Read) -> tuple[Need, ...]:
        """What it takes to explain evidence that nobody vouches for: names for looking into what we hold."""
        ...

    def explain(
        self, read: Read, endorsements: Endorsements, binding: Binding, now: datetime
    ) -> Verification:
        """Every finding about evidence that was found not to be authentic, for people."""
        ...

    def status(self) -> Mapping[str, str]:
        """What contains it, by name, and "on" or why not; {} for one that nothing contains."""
        ...


class InProcess:
    """Reads here: for replays, tests and `mode = "off"`."""

    def open(self, tenant: str, message: bytes) -> Read:
        opened = open_message(strictjson.loads(message, "evidence", limit=MAX_BODY))
        return Read(tenant=tenant, message=message, opened=opened)

    def needs(self, read: Read) -> tuple[Need, ...]:
        return registry.needs(read.opened.evidence)

    def explain(
        self, read: Read, endorsements: Endorsements, binding: Binding, now: datetime
    ) -> Verification:
        return explain_here(read.opened, endorsements, binding, now)

    def status(self) -> Mapping[str, str]:
        return MappingProxyType({})


def explain_here(opened: Opened, endorsements: Endorsements, binding: Binding, now: datetime) -> Verification:
    """Judge with everything that came along, whoever vouches for it."""
    found = registry.verify(opened.evidence, endorsements, binding, now, event_log=opened.event_log)
    return verdict.with_notes(found, opened.notes)
