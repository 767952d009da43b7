"""Constants: one spelling for each value, the claim's type decides, and errors say what was meant."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from policies import strictyaml, values
from policies.errors import PolicyErrors, Problems
from policies.strictyaml import Map, Node
from policies.values import Components, Literal, TcbFloor, show
from policies.vocabulary import INIT_DATA, Vocabulary
from verifiers.claims import BY_NAME
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TcbVersion

WORDS = Vocabulary.of(BY_NAME)
D48 = bytes(range(48))


def spec(kind: ClaimType, **more: object) -> ClaimSpec:
    return ClaimSpec(name="test.claim", type=kind, doc="", source="", json=None, **more)  # type: ignore[arg-type]


def node(text: str) -> Node:
    (found,) = strictyaml.parse(f"v: {text}".encode(), "f.yaml")
    assert isinstance(found, Map)
    value = found.get("v")
    assert value is not None
    return value


def read(text: str, claim: ClaimSpec, operator: str = "equals") -> Literal | None:
    """The constant; raises PolicyErrors for a problem."""
    problems = Problems()
    many = operator in {"in", "subset_of", "includes"}
    value = (values.many if many else values.one)(node(text), claim, operator, problems)
    problems.check()
    return value


def code(text: str, claim: ClaimSpec, operator: str = "equals") -> str:
    with pytest.raises(PolicyErrors) as caught:
        read(text, claim, operator)
    return caught.value.reason


MEASUREMENT = WORDS.specs["snp.measurement"]


@pytest.mark.parametrize(
    "text",
    [
        D48.hex(),
        D48.hex().upper(),
        f'"{D48.hex()}"',
        f"sha384:{D48.hex()}",
        f"hex:{D48.hex()}",
        f"base64:{base64.b64encode(D48).decode()}",
    ],
)
def test_digest_spellings(text: str) -> None:
    assert read(text, MEASUREMENT) == D48


def test_zero() -> None:
    assert read("zero", MEASUREMENT) == bytes(48)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(D48[:-1].hex(), "policy.digest-length", id="one-byte-short"),
        pytest.param(D48.hex() + "00", "policy.digest-length", id="one-byte-long"),
        pytest.param(D48.hex()[:-1], "policy.digest", id="odd-digits"),
        pytest.param(base64.b64encode(D48).decode(), "policy.digest", id="base64-without-prefix"),
        pytest.param(f"sha256:{D48.hex()}", "policy.digest-length", id="wrong-algorithm"),
        pytest.param(f"sha256:{D48[:32].hex()}", "policy.digest-length", id="other-algorithm"),
        pytest.param(f"sha-384:{D48.hex()}", "policy.digest", id="unknown-prefix"),
        pytest.param("base64:" + base64.b64encode(D48[:-1]).decode()[:-1], "policy.digest", id="no-padding"),
        pytest.param("0x" + D48.hex(), "policy.digest", id="0x"),
        pytest.param('"sha384:"', "policy.digest", id="nothing-after-prefix"),
        pytest.param("", "policy.missing-value", id="empty"),
        pytest.param("null", "policy.missing-value", id="null"),
        pytest.param("[a]", "policy.type-mismatch", id="list"),
        pytest.param("{a: b}", "policy.type-mismatch", id="mapping"),
    ],
)
def test_digest_refused(text: str, expected: str) -> None:
    assert code(text, MEASUREMENT) == expected


def test_wrong_length_names_the_probable_algorithm_and_claim() -> None:
    with pytest.raises(PolicyErrors) as caught:
        read(D48[:32].hex(), MEASUREMENT)
    error = caught.value.errors[0]
    assert error.message == (
        "snp.measurement is SHA-384, 48 bytes; this is 64 characters, 32 bytes, the length of a SHA-256"
    )
    assert error.hint == "did you mean init_data.digest?"
    assert str(error).splitlines()[0] == f"f.yaml:1:4: error[digest-length] {error.message}"
    assert str(error).splitlines()[2].startswith("      |      ^^^^")


@pytest.mark.parametrize(("size", "ok"), [(31, False), (32, True), (33, False), (48, True), (64, False)])
def test_init_data_digest_sizes(size: int, ok: bool) -> None:
    claim = WORDS.specs[INIT_DATA]
    if ok:
        assert read("11" * size, claim) == b"\x11" * size
    else:
        assert code("11" * size, claim) == "policy.digest-length"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_flags(text: str, value: bool) -> None:
    assert read(text, spec(ClaimType.FLAG)) is value


@pytest.mark.parametrize("text", ["yes", "no", "on", "True", "TRUE", "1", "0", '"true"', "'false'"])
def test_flags_are_true_or_false_only(text: str) -> None:
    assert code(text, spec(ClaimType.FLAG)) == "policy.type-mismatch"


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("18446744073709551615", 2**64 - 1)])
def test_integers(text: str, value: int) -> None:
    assert read(text, spec(ClaimType.INTEGER)) == value


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "+1",
        "01",
        "1_000",
        "1e3",
        "1.0",
        "0x10",
        "0o7",
        ".nan",
        ".inf",
        "18446744073709551616",
        '"1"',
        "9" * 5000,
        "¹",
        "٣",
    ],
)
def test_integers_refused(text: str) -> None:
    assert code(text, spec(ClaimType.INTEGER)) == "policy.type-mismatch"


@pytest.mark.parametrize(("text", "value"), [("0x1F", 31), ("31", 31), ("0xffffffffffffffff", 2**64 - 1)])
def test_masks(text: str, value: int) -> None:
    assert read(text, spec(ClaimType.MASK)) == value
    assert read(text, spec(ClaimType.MASK), "subset_of") == value


def test_mask_beyond_64_bits() -> None:
    assert code("0x10000000000000000", spec(ClaimType.MASK)) == "policy.type-mismatch"


def test_text_of_a_closed_set() -> None:
    claim = WORDS.specs["snp.signing_key"]
    assert read("VCEK", claim) == "VCEK"
    with pytest.raises(PolicyErrors) as caught:
        read("vcek", claim)
    assert (caught.value.reason, caught.value.hint) == ("policy.value", "did you mean VCEK?")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-07-01T00:00:00Z", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T02:00:00+02:00", datetime(2026, 7, 1, tzinfo=timezone.utc)),  # noqa: UP017
        ("2026-07-01T00:00:00.250000Z", datetime(2026, 7, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times(text: str, value: datetime) -> None:
    found = read(text, spec(ClaimType.TIME), "before")
    assert found == value
    assert isinstance(found, datetime) and found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-01T00:00:00",
        "2026-07-01",
        "2026-07-01 00:00:00Z",
        "2026-07-01T00:00:00z",
        "2026-02-30T00:00:00Z",
        "2026-07-01T24:00:00Z",
        "2026-07-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "1782864000",
        "now",
    ],
)
def test_times_refused(text: str) -> None:
    assert code(text, spec(ClaimType.TIME), "before") == "policy.time"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", timedelta(days=7)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, value: timedelta) -> None:
    assert read(text, spec(ClaimType.DURATION), "at_most") == value


@pytest.mark.parametrize(
    "text", ["7", "-7d", "7 d", "1d12h", "1.5h", "7D", "07d", "P7D", "1w", "3661d", "9999999999d"]
)
def test_durations_refused(text: str) -> None:
    assert code(text, spec(ClaimType.DURATION), "at_most") == "policy.duration"


TCB = spec(ClaimType.TCB)


def test_tcb_floor() -> None:
    text = "{bootloader: any, tee: 0, snp: 23, microcode: any}"
    assert read(text, TCB, "at_least") == TcbFloor(
        bootloader=None, tee=0, snp=23, microcode=None, fmc=None, names_fmc=False
    )


def test_tcb_exactly() -> None:
    text = "{fmc: 1, bootloader: 2, tee: 0, snp: 23, microcode: 9}"
    assert read(text, TCB) == TcbVersion(fmc=1, bootloader=2, tee=0, snp=23, microcode=9)


@pytest.mark.parametrize(
    ("text", "operator", "expected"),
    [
        ("{bootloader: 1, tee: 0, snp: 23}", "at_least", "policy.tcb-component"),
        ("{bootloader: any, tee: any, snp: any, microcode: any}", "at_least", "policy.tcb-component"),
        ("{bootloader: any, tee: 0, snp: 23, microcode: 1}", "equals", "policy.type-mismatch"),
        ("{bootloader: 1, tee: 0, snp: 256, microcode: 1}", "at_least", "policy.type-mismatch"),
        ("{bootloader: 1, tee: 0, snp: 2, microcode: 1, ucode: 1}", "at_least", "policy.unknown-key"),
        ("{bootloader: 1, tee: 0, snp: , microcode: 1}", "at_least", "policy.missing-value"),
        ("0xdb18000000000004", "at_least", "policy.type-mismatch"),
    ],
)
def test_tcb_refused(text: str, operator: str, expected: str) -> None:
    assert code(text, TCB, operator) == expected


def test_versions_and_lists() -> None:
    assert read("1.55.29", spec(ClaimType.VERSION)) == (1, 55, 29)
    assert read("1.55.29", spec(ClaimType.VERSION), "at_least") == Components((1, 55, 29), True)
    assert read("[1, 2]", spec(ClaimType.LIST)) == (1, 2)
    assert read("[1, any]", spec(ClaimType.LIST), "at_least") == Components((1, None), False)
    assert code("[1, any]", spec(ClaimType.LIST)) == "policy.type-mismatch"
    assert code("1", spec(ClaimType.VERSION)) == "policy.type-mismatch"
    assert code("1.-2", spec(ClaimType.VERSION)) == "policy.type-mismatch"


def test_lists_of_constants() -> None:
    assert read("[a, b]", spec(ClaimType.TEXT), "in") == frozenset({"a", "b"})
    assert read("[a, b]", spec(ClaimType.SET), "subset_of") == frozenset({"a", "b"})
    assert code("[]", spec(ClaimType.TEXT), "in") == "policy.empty-list"
    assert code("a", spec(ClaimType.TEXT), "in") == "policy.type-mismatch"
    assert code("[a, a]", spec(ClaimType.TEXT), "in") == "policy.duplicate-value"
    assert code("[]", spec(ClaimType.SET), "subset_of") == "policy.empty-list"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (b"\x01\xff", "01ff"),
        (bytes(4), "zero"),
        (b"", ""),
        (
            TcbVersion(bootloader=4, tee=0, snp=24, microcode=213),
            "bootloader 4, tee 0, snp 24, microcode 213",
        ),
        (timedelta(days=3, hours=4, minutes=5), "3d 4h"),
        (timedelta(seconds=-90), "-1m 30s"),
        (timedelta(0), "0s"),
        (frozenset({"b", "a"}), "a, b"),
        (frozenset(str(n) for n in range(10)), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
        ((1, 55, 29), "1.55.29"),
        (datetime(2026, 7, 1, tzinfo=UTC), "2026-07-01T00:00:00Z"),
    ],
)
def test_show(value: Literal, text: str) -> None:
    assert show(value) == text
