"""The machine's clock and random generator."""

from __future__ import annotations

from datetime import UTC

from gateway.adapters import OsRandom, SystemClock


def test_time_is_aware_and_utc() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.now() <= clock.now()


def test_random_bytes_are_as_many_as_asked_and_differ() -> None:
    random = OsRandom()
    assert [len(random.bytes(count)) for count in (0, 1, 32)] == [0, 1, 32]
    assert random.bytes(32) != random.bytes(32)
