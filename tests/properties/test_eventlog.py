"""Event logs: bytes in and out, and that no edit of a log ever makes it say something else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import logwrite
from gateway.simulator.intel import TdxMachine
from gateway.simulator.logwrite import LogEntry, aael
from verifiers.dcap import quote
from verifiers.errors import EvidenceFormatError
from verifiers.eventlog import reading, tcg2
from verifiers.eventlog.replay import replay
from verifiers.model import Outcome
from verifiers.tdx import abi, eventlog

ENTRIES = st.lists(
    st.builds(
        LogEntry,
        register=st.integers(0, 3),
        type=st.sampled_from([0x1, 0x3, 0x4, 0x6, 0xD, 0x80000001, 0x80000002, 0x1234]),
        data=st.binary(max_size=80),
        measured=st.none() | st.binary(max_size=40),
    ),
    max_size=12,
)
MACHINE = TdxMachine(log=(*logwrite.BOOT, aael("a.example", "Pull", "{}"), aael("a.example", "Run", "x")))
REPORT = abi.parse(quote.parse(MACHINE.quote(bytes(64))))
RAW = MACHINE.event_log(size=4096)
_, CLAIMS = eventlog.examine(RAW, REPORT)


@given(ENTRIES, st.integers(0, 3), st.integers(0, 200))
def test_what_is_parsed_is_written_back(entries: list[LogEntry], ff: int, zeros: int) -> None:
    raw = logwrite.write(entries)
    log = tcg2.parse(raw + b"\xff" * 8 * ff + bytes(zeros))
    assert tcg2.write(log) == raw
    told = [entry for entry in entries if entry.type != 0x3]
    assert replay(log.events) == logwrite.registers(told)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_log_or_one_of_our_errors(raw: bytes) -> None:
    for data in (raw, RAW[:65] + raw, b"[" + raw):
        try:
            log = reading.parse(data)
        except EvidenceFormatError:
            continue
        if log.header is not None:
            assert tcg2.write(log) == data[: log.used]


@given(st.lists(st.tuples(st.integers(0, len(RAW) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_an_edited_log_says_the_same_less_or_is_refused(edits: list[tuple[int, int]]) -> None:
    """Whatever bytes change: a claim of the edited log is a claim of the true one."""
    changed = bytearray(RAW)
    for at, mask in edits:
        changed[at] ^= mask
    check, claims = eventlog.examine(bytes(changed), REPORT)
    assert claims.items() <= CLAIMS.items()
    assert (check.outcome is Outcome.PASSED) == ("tdx.event_log.replayed" in claims)


def test_every_bit_of_every_digest_and_register_counts() -> None:
    log = tcg2.parse(RAW)
    at = 65
    for event in log.events:
        for offset in (*range(4), *range(14, 62)):
            changed = bytearray(RAW)
            changed[at + offset] ^= 1 << offset % 8
            check, claims = eventlog.examine(bytes(changed), REPORT)
            assert (check.outcome, claims) == (Outcome.FAILED, {})
        at += 66 + len(event.data)
    assert at == log.used
