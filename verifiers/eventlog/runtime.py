"""What a replayed log says beyond its digests, as far as policies can rely on it.

Whoever sends a log can hide any entry: he keeps the digest, which must replay, and changes the data, which is
then bound to nothing. So a list of entries counts only where *every* entry of the register is bound; with one
that is not, the answer is None, which is missing and never "none".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from verifiers.eventlog.binding import bound, is_runtime, variable
from verifiers.eventlog.log import EVENT_TAG, VARIABLE_DRIVER_CONFIG, Event, EventLog

AAEL_TAG = b"LEAA"
"""0x4141454C, "AAEL", as u32le: the tagged event of the Attestation Agent."""
AAEL_PATTERN = "[!-~]+ [!-~]+ [ -~]+"
"""Domain, operation, content; the content may hold spaces."""
DSTACK_PATTERN = "[!-9;-~]+=[0-9a-f]*"
MAX_TOKENS, MAX_TOKEN = 64, 256
"""Entries, and characters of one: no policy can name a longer one, and results are no place for a whole log.
A register with more is one that nothing is said about."""
_AAEL = re.compile(AAEL_PATTERN, re.ASCII)
_DSTACK = re.compile(DSTACK_PATTERN, re.ASCII)
_RTMR0, _RTMR3 = 1, 4
_SECURE_BOOT_AT = 2
_EFI_GLOBAL_VARIABLE = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
"""8BE4DF61-93CA-11D2-AA0D-00E098032B8C (UEFI 2.11, 3.3)."""


def aael(log: EventLog) -> frozenset[str] | None:
    """Domain, operation and content of every entry of RTMR3, when each is a bound entry of the Attestation
    Agent and there is one (confidential-containers/trustee, "Attestation Agent Event Log")."""
    return _all(_of(log, _RTMR3), _aael)


def dstack_events(log: EventLog) -> frozenset[str] | None:
    """Name and payload, as name=hex, of every entry of RTMR3, when each is a bound runtime event, there is
    one, and no name says two things: an application can add events, but not a second answer to a question."""
    found = _all(_of(log, _RTMR3), _dstack)
    names = [token.partition("=")[0] for token in found or ()]
    return found if len(names) == len(set(names)) else None


def secure_boot(log: EventLog) -> bool | None:
    """The variable SecureBoot as the firmware measured it; absent or empty is off.

    It counts only as the third entry of RTMR0, behind the TD HOB and the configuration volume, where EDK2
    has it, and every recorded log: what runs later (option ROMs, boot loaders) can extend RTMR0 with a
    variable of its own, but nothing can take an earlier place. Other firmware: None.
    Source: tianocore/edk2, TdTcg2Dxe.
    """
    events = _of(log, _RTMR0)
    if len(events) <= _SECURE_BOOT_AT:
        return None
    event = events[_SECURE_BOOT_AT]
    if event.type != VARIABLE_DRIVER_CONFIG or bound(event) is None:
        return None
    found = variable(event.data)
    if found is None or (found.guid, found.name) != (_EFI_GLOBAL_VARIABLE, "SecureBoot"):
        return None
    return {b"": False, b"\0": False, b"\1": True}.get(found.value)


def _of(log: EventLog, index: int) -> list[Event]:
    return [event for event in log.events if event.index == index and event.extends]


def _all(events: Sequence[Event], token_of: Callable[[Event], str | None]) -> frozenset[str] | None:
    """What `token_of` says of each; None when it cannot tell for one, or for none or too many at all."""
    if len(events) > MAX_TOKENS:
        return None
    out: set[str] = set()
    for event in events:
        token = token_of(event)
        if token is None or len(token) > MAX_TOKEN:
            return None
        out.add(token)
    return frozenset(out) or None


def _aael(event: Event) -> str | None:
    """The tagged event is its tag, the length of the text as u32le, and the text; its digest covers all."""
    data = event.data
    if event.type != EVENT_TAG or data[:4] != AAEL_TAG or bound(event) is not data:
        return None
    if int.from_bytes(data[4:8], "little") != len(data) - 8:
        return None
    text = data[8:].decode("latin-1")
    return text if _AAEL.fullmatch(text) else None


def _dstack(event: Event) -> str | None:
    token = f"{event.name}={event.data.hex()}"
    return token if is_runtime(event) and _DSTACK.fullmatch(token) else None
