"""What of an event's data is bound to its digest; everything else says "not verified"."""

from __future__ import annotations

import hashlib

import pytest

from gateway.simulator import logwrite
from gateway.simulator.logwrite import LogEntry, aael, variable
from verifiers.eventlog import dstack, runtime, tcg2
from verifiers.eventlog.binding import bound, is_runtime, shown
from verifiers.eventlog.log import DSTACK_RUNTIME, SHA384, Event, EventLog, Format


def read(*entries: LogEntry) -> EventLog:
    return tcg2.parse(logwrite.write(entries))


def one(**settings: object) -> Event:
    return read(LogEntry(**({"register": 2, "data": b""} | settings))).events[0]  # type: ignore[arg-type]


BOUND: list[tuple[str, Event, bytes]] = [
    ("separator", one(type=0x4, data=bytes(4)), bytes(4)),
    ("action", one(type=0x80000007, data=b"Exit"), b"Exit"),
    ("variable", one(type=0x80000001, data=variable("db", b"x")), variable("db", b"x")),
    ("authority", one(type=0x800000E0, data=variable("SbatLevel", b"x")), variable("SbatLevel", b"x")),
    ("gpt", one(type=0x80000006, data=b"EFI PART"), b"EFI PART"),
    ("boot variable", one(type=0x80000002, data=variable("Boot0000", b"path"), measured=b"path"), b"path"),
    ("tag", one(type=0x6, data=b"LEAA\1\0\0\0x"), b"LEAA\1\0\0\0x"),
    ("command with NUL", one(type=0xD, data=b"grub_cmd: set a\0", measured=b"set a"), b"set a"),
    ("command and NUL", one(type=0xD, data=b"grub_cmd: set a\0", measured=b"set a\0"), b"set a\0"),
    ("command line", one(type=0xD, data=b"kernel_cmdline: ro", measured=b"ro"), b"ro"),
    ("unknown type", one(type=0x1234, data=b"data"), b"data"),
]
UNBOUND: list[tuple[str, Event]] = [
    ("image", one(type=0x80000003, data=b"path", measured=b"image")),
    ("firmware", one(type=0x8000000A, data=b"volume", measured=b"bytes")),
    ("file", one(type=0xD, data=b"/vmlinuz\0", measured=b"kernel")),
    ("edited action", one(type=0x80000007, data=b"Exit!", measured=b"Exit")),
    ("edited variable", one(type=0x80000001, data=variable("db", b"y"), measured=variable("db", b"x"))),
    ("value alone for a measured name", one(type=0x80000001, data=variable("db", b"x"), measured=b"x")),
    ("unknown label", one(type=0xD, data=b"label: ro", measured=b"ro")),
    ("label of another type", one(type=0x6, data=b"kernel_cmdline: ro", measured=b"ro")),
    ("boot variable cut", one(type=0x80000002, data=variable("Boot0000", b"path")[:-1], measured=b"path")),
    ("no action", one(type=0x3, data=b"text")),
    ("digest of zeros", one(type=0x5, data=b"text", digest=bytes(48))),
]


@pytest.mark.parametrize(("what", "event", "content"), BOUND, ids=[row[0] for row in BOUND])
def test_what_is_bound(what: str, event: Event, content: bytes) -> None:
    assert bound(event) == content
    assert not shown(event).startswith("not verified")


@pytest.mark.parametrize(("what", "event"), UNBOUND, ids=[row[0] for row in UNBOUND])
def test_what_is_not_bound_is_never_called_verified(what: str, event: Event) -> None:
    assert bound(event) is None
    assert shown(event).startswith("not verified")


def test_register_0_is_never_bound() -> None:
    raw = Event(0, 0x5, ((SHA384, hashlib.sha384(b"text").digest()),), b"text")
    assert bound(raw) is None


def test_labels_and_names_that_no_digest_covers_are_marked() -> None:
    said = {what: shown(event) for what, event, _ in BOUND}
    assert said["command with NUL"] == "set a (label 'grub_cmd' not verified)"
    assert said["command line"] == "ro (label 'kernel_cmdline' not verified)"
    assert said["boot variable"] == "path (label 'Boot0000' not verified)"
    assert "not verified" not in said["variable"]


def test_control_characters_never_reach_a_terminal() -> None:
    assert shown(one(type=0x5, data=b"\x1b[31mred")) == b"\x1b[31mred".hex()


# --- what policies can rely on ---------------------------------------------------------------------------


def test_aael_entries_when_they_are_all_there_is() -> None:
    log = read(*logwrite.BOOT, aael("a.example", "Pull", "one two"), aael("a.example", "Run", "{}"))
    assert runtime.aael(log) == {"a.example Pull one two", "a.example Run {}"}


RTMR3_SPOILED = {
    "nothing": (),
    "another kind of entry": (aael("d", "o", "c"), LogEntry(register=3, type=0x5, data=b"text")),
    "an entry whose text was changed": (
        aael("d", "o", "c"),
        LogEntry(register=3, type=0x6, data=aael("d", "o", "good").data, measured=aael("d", "o", "bad").data),
    ),
    "relabelled": (LogEntry(register=3, type=0x5, data=aael("d", "o", "c").data),),
    "another tag": (LogEntry(register=3, type=0x6, data=b"MINE\5\0\0\0d o c"),),
    "a wrong length": (LogEntry(register=3, type=0x6, data=b"LEAA\4\0\0\0d o c"),),
    "two words": (LogEntry(register=3, type=0x6, data=b"LEAA\3\0\0\0d o"),),
    "two spaces": (LogEntry(register=3, type=0x6, data=b"LEAA\5\0\0\0d  oc"),),
    "a line feed": (LogEntry(register=3, type=0x6, data=b"LEAA\6\0\0\0d o c\n"),),
    "not ascii": (LogEntry(register=3, type=0x6, data=b"LEAA\6\0\0\0d o \xc3\xa9"),),
    "no header": (LogEntry(register=3, type=0x6, data=b"LEAA"),),
    "too long": (aael("d", "o", "c" * runtime.MAX_TOKEN),),
    "too many": tuple(aael("d", "o", str(n)) for n in range(runtime.MAX_TOKENS + 1)),
    "in another register": (aael("d", "o", "c", register=2),),
}


@pytest.mark.parametrize("entries", RTMR3_SPOILED.values(), ids=RTMR3_SPOILED.keys())
def test_otherwise_nothing_is_said_about_rtmr3(entries: tuple[LogEntry, ...]) -> None:
    assert runtime.aael(read(*entries)) is None


def test_as_many_as_are_allowed() -> None:
    found = runtime.aael(read(*(aael("d", "o", str(n)) for n in range(runtime.MAX_TOKENS))))
    assert found is not None and len(found) == runtime.MAX_TOKENS


def dstack_event(name: str, payload: bytes = b"\xab", index: int = 4) -> Event:
    digest = dstack.runtime_digest(DSTACK_RUNTIME, name, payload)
    return Event(index, DSTACK_RUNTIME, ((SHA384, digest),), payload, name)


def log_of(*events: Event) -> EventLog:
    return EventLog(format=Format.DSTACK, events=events, used=0)


def test_dstack_events_when_they_are_all_there_is() -> None:
    assert runtime.dstack_events(log_of(dstack_event("app-id"), dstack_event("b", b""))) == {
        "app-id=ab",
        "b=",
    }
    stranger = one(register=3, type=0x5, data=b"text")
    assert runtime.dstack_events(log_of(dstack_event("app-id"), stranger)) is None
    assert runtime.dstack_events(log_of()) is None


def test_a_dstack_event_that_is_said_twice_is_no_answer() -> None:
    """An application can extend RTMR3 with another "compose-hash"; it cannot take the first one back."""
    once, again = dstack_event("compose-hash", b"bad"), dstack_event("compose-hash", b"good")
    assert runtime.dstack_events(log_of(once)) is not None
    assert runtime.dstack_events(log_of(once, again)) is None


@pytest.mark.parametrize("name", ["app-id:x", "", "app id", "é"])
def test_names_that_could_be_read_two_ways_are_no_claim(name: str) -> None:
    assert runtime.dstack_events(log_of(dstack_event(name))) is None


def test_a_colon_moves_nothing_from_name_to_payload() -> None:
    """The digest of ("a", "b:c") is that of ("a:b", "c"): only the first reading is believed."""
    first, second = dstack_event("a", b"b:c"), dstack_event("a:b", b"c")
    assert first.digest == second.digest
    assert (is_runtime(first), is_runtime(second)) == (True, False)


SECURE = LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b"\1"))
INSECURE = LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b"\0"))
ABSENT = LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b""))
HOB = LogEntry(register=0, type=0x8000000B, data=b"TdxTable", measured=b"HOB")
CFV = LogEntry(register=0, type=0x8000000A, data=b"volume", measured=b"CFV")
HIDDEN = LogEntry(register=0, type=0x5, data=b"nothing to see", measured=INSECURE.data)
RELABELLED = LogEntry(register=0, type=0x5, data=SECURE.data)
LIE = LogEntry(register=0, type=0x80000001, data=SECURE.data, measured=INSECURE.data)
NOTE = LogEntry(register=0, type=0x3, data=b"a note")
FOREIGN = LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b"\1", bytes(16)))
ELSEWHERE = LogEntry(register=1, type=0x80000001, data=variable("SecureBoot", b"\1"))
ODD = LogEntry(register=0, type=0x80000001, data=variable("SecureBoot", b"\2"))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((HOB, CFV, SECURE), True),
        ((HOB, CFV, INSECURE), False),
        ((HOB, CFV, ABSENT), False),
        ((NOTE, HOB, ELSEWHERE, CFV, SECURE), True),
        ((HOB, CFV, INSECURE, SECURE), False),
        ((HOB, CFV, HIDDEN, SECURE), None),
        ((HOB, CFV, RELABELLED), None),
        ((HOB, CFV, LIE), None),
        ((HOB, SECURE, CFV), None),
        ((SECURE, HOB, CFV), None),
        ((HOB, CFV), None),
        ((), None),
        ((HOB, CFV, FOREIGN), None),
        ((HOB, CFV, ELSEWHERE), None),
        ((HOB, CFV, ODD), None),
    ],
)
def test_secure_boot_is_the_firmwares_word_in_its_place(
    entries: tuple[LogEntry, ...], expected: bool | None
) -> None:
    assert runtime.secure_boot(read(*entries)) is expected
