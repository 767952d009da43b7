"""What is written here is read back by the strict reader, and by nobody's leniency."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.simulator import derwrite as d
from verifiers.codec import der


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 65535, 65536])
def test_lengths_are_minimal_and_exact(size: int) -> None:
    content = bytes(size)
    assert der.only(d.octet_string(content), der.OCTET_STRING, "x").value == content


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (209, "020200d1"),
        (255, "020200ff"),
        (256, "02020100"),
        (-1, "0201ff"),
        (-128, "020180"),
        (-129, "0202ff7f"),
    ],
)
def test_integers_are_minimal_twos_complement(value: int, encoded: str) -> None:
    assert d.integer(value).hex() == encoded
    assert der.integer(der.only(d.integer(value), der.INTEGER, "x"), "x", low=-200, high=300) == value


@pytest.mark.parametrize(
    "dotted",
    [
        "1.3.6.1.4.1.3704.1.3.8",
        "1.2.840.113741.1.13.1.2.16",
        "2.5.29.15",
        "2.16.840.1.101.3.4.2.2",
        "2.999.127.128",
    ],
)
def test_object_identifiers_come_back(dotted: str) -> None:
    assert der.oid(der.only(d.oid(dotted), der.OID, "x"), "x") == dotted


@pytest.mark.parametrize(
    ("moment", "encoded"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
        (datetime(1950, 1, 1, tzinfo=UTC), b"\x17\x0d500101000000Z"),
        (datetime(1949, 12, 31, tzinfo=UTC), b"\x18\x0f19491231000000Z"),
    ],
)
def test_the_kind_of_time_follows_the_year(moment: datetime, encoded: bytes) -> None:
    assert d.time(moment) == encoded


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        d.time(datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_elements_of_a_set_are_sorted() -> None:
    assert d.set_of(d.integer(2), d.integer(1)) == d.set_of(d.integer(1), d.integer(2))


@pytest.mark.parametrize("flag", [True, False])
def test_booleans_have_one_spelling(flag: bool) -> None:
    assert der.boolean(der.only(d.boolean(flag), der.BOOLEAN, "x"), "x") is flag
