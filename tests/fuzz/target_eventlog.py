"""Any bytes are an event log that is written back unchanged, or refused by one of our errors."""

from __future__ import annotations

import json

from gateway.simulator import logwrite
from tests.fuzz.common import only_our_errors
from verifiers.eventlog import reading, runtime, tcg2
from verifiers.eventlog.binding import bound, shown
from verifiers.eventlog.log import EventLog, Format
from verifiers.eventlog.replay import replay


def seeds() -> list[bytes]:
    entries = (*logwrite.BOOT[-4:], logwrite.aael("a.example", "PullImage", "{}"))
    runtime_event = {
        "imr": 3,
        "event_type": 0x08000001,
        "digest": "",
        "event": "app-id",
        "event_payload": "00",
    }
    return [
        logwrite.write(logwrite.BOOT, size=2048),
        logwrite.write(entries),
        json.dumps([runtime_event]).encode(),
    ]


def target(data: bytes) -> None:
    log = only_our_errors(reading.parse, data)
    if not isinstance(log, EventLog):
        return
    if log.format is Format.TCG2:
        written = tcg2.write(log)
        assert written == data[: log.used]
        assert set(data[log.used :]) <= {0x00, 0xFF}
    assert len(replay(log.events)) == 4
    for event in log.events:
        content = bound(event)
        assert content is None or content in event.data
        assert ("not verified" in shown(event)) or content is not None
    assert runtime.secure_boot(log) in (None, True, False)
    for claim in (runtime.aael(log), runtime.dstack_events(log)):
        assert claim is None or 0 < len(claim) <= runtime.MAX_TOKENS
