"""The event log beside a TDX quote: whether it replays to the quoted RTMRs, and the claims that follow.

A log that was given counts: one that cannot be read, or replays to something else, refuses the evidence:
whoever sent it says what is not so. Without a log nothing fails, the check says that nobody asked, and the
claims are missing.

Register n of the log is RTMR(n - 1), for n from 1 to 4 (UEFI 2.11, 38.4.1).
"""

from __future__ import annotations

from verifiers.claimtypes import ClaimSpec, ClaimType, Provenance
from verifiers.dcap.questions import Question
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.eventlog import reading, runtime
from verifiers.eventlog.log import EventLog, SentLog, Unreadable
from verifiers.eventlog.replay import counts, first_difference, replay
from verifiers.model import Check, ClaimValue
from verifiers.tdx.abi import TdReport

EVENT_LOG = Question(
    "tdx.event-log",
    "an event log that replays to RTMR0, RTMR1, RTMR2 and RTMR3",
    "it does",
    "Intel TDX Module 1.5 ABI, TDG.MR.RTMR.EXTEND",
    Reason.TDX_EVENT_LOG,
)
_NOT_GIVEN = EVENT_LOG.not_checked("no event log was given", Reason.TDX_EVENT_LOG_NOT_GIVEN)
_FIX = "send the log of this boot whole, with every later extension of an RTMR; or send none"

REPLAYED = "tdx.event_log.replayed"
SECURE_BOOT = "tdx.event_log.secure_boot"
AAEL = "tdx.event_log.aael"
DSTACK = "tdx.event_log.dstack"


def _row(name: str, kind: ClaimType, doc: str, source: str, pattern: str = "") -> ClaimSpec:
    return ClaimSpec(
        name=name,
        type=kind,
        doc=doc,
        source=source,
        json=name.removeprefix("tdx.").replace(".", "_"),
        pattern=pattern,
        provenance=Provenance.REPLAYED,
    )


TABLE: tuple[ClaimSpec, ...] = (
    _row(
        REPLAYED,
        ClaimType.FLAG,
        "an event log was given, and its digests replay to all four RTMRs",
        EVENT_LOG.source,
    ),
    _row(
        SECURE_BOOT,
        ClaimType.FLAG,
        "UEFI Secure Boot was on, as the firmware measured its variable into RTMR0",
        "UEFI 2.11, 3.3, SecureBoot",
    ),
    _row(
        AAEL,
        ClaimType.SET,
        'entries "domain operation content" of the Attestation Agent, when they are all that is in RTMR3',
        "confidential-containers/trustee, Attestation Agent Event Log",
        runtime.AAEL_PATTERN,
    ),
    _row(
        DSTACK,
        ClaimType.SET,
        'runtime events "name=payload in hex" of a dstack guest, when they are all that is in RTMR3',
        "Dstack-TEE/dstack, cc-eventlog",
        runtime.DSTACK_PATTERN,
    ),
)


def examine(sent: SentLog | None, report: TdReport) -> tuple[Check, dict[str, ClaimValue]]:
    """The check, and the claims of a log that passed it. sent: None without one. Never raises for it."""
    if sent is None:
        return _NOT_GIVEN, {}
    log = _read(sent) if isinstance(sent, bytes) else sent
    if isinstance(log, Unreadable):
        found = f"{log.where}: expected {log.expected}, found {log.found}"
        return EVENT_LOG.fails(found, Reason.TDX_EVENT_LOG_MALFORMED, _FIX), {}
    replayed, quoted = replay(log.events), (report.rtmr0, report.rtmr1, report.rtmr2, report.rtmr3)
    number = first_difference(replayed, quoted)
    if number is not None:
        found = f"RTMR{number}: {quoted[number].hex()} in the quote, {replayed[number].hex()} from the log"
        return EVENT_LOG.fails(found, fix=_FIX), {}
    said = ", ".join(f"RTMR{number} {count}" for number, count in enumerate(counts(log.events)))
    return EVENT_LOG.holds(f"it does; events by register: {said}"), _claims(log)


def _read(raw: bytes) -> EventLog | Unreadable:
    try:
        return reading.parse(raw)
    except EvidenceFormatError as error:
        return Unreadable(error.where, error.expected, error.found)


def _claims(log: EventLog) -> dict[str, ClaimValue]:
    """What cannot be told is left out."""
    found: dict[str, ClaimValue | None] = {
        REPLAYED: True,
        SECURE_BOOT: runtime.secure_boot(log),
        AAEL: runtime.aael(log),
        DSTACK: runtime.dstack_events(log),
    }
    return {name: value for name, value in found.items() if value is not None}
