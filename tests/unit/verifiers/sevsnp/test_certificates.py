"""AMD's extensions: one thing wrong at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import TcbVersion
from verifiers.sevsnp import certificates
from verifiers.sevsnp.product import Product

Values = dict[str, bytes]


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes((0x02, len(raw))) + raw


def text(value: str) -> bytes:
    return bytes((0x16, len(value))) + value.encode()


def milan() -> Values:
    out = {f"3.{n}": number(0) for n in range(1, 9)}
    out |= {"1": number(0), "2": text("Milan-B0"), "3.1": number(4), "3.3": number(24), "3.8": number(219)}
    return out | {"4": bytes(range(64))}


def turin() -> Values:
    out = {f"3.{n}": number(0) for n in range(1, 10) if n != 4}
    return out | {"1": number(1), "2": text("Turin"), "3.9": number(1), "4": bytes(range(8))}


def read(values: Values) -> certificates.LeafExtensions:
    return certificates.parse({f"{certificates.ARC}.{k}": (False, v) for k, v in values.items()}, "leaf")


def test_a_good_milan() -> None:
    found = read(milan())
    assert found.tcb == TcbVersion(bootloader=4, tee=0, snp=24, microcode=219)
    assert (found.product_name, found.product, found.struct_version) == ("Milan-B0", Product.MILAN, 0)
    assert found.hwid == bytes(range(64))
    assert found.csp_id is None


def test_a_good_turin() -> None:
    found = read(turin())
    assert (found.product, found.struct_version, found.tcb.fmc) == (Product.TURIN, 1, 1)
    assert found.hwid == bytes(range(8))


def test_other_arcs_do_not_matter() -> None:
    extensions = {f"{certificates.ARC}.{k}": (False, v) for k, v in milan().items()}
    extensions["1.3.6.1.4.1.3704.10.1"] = (False, b"not ours")
    assert certificates.parse(extensions, "leaf").product is Product.MILAN


def with_(key: str, value: bytes) -> Callable[[], Values]:
    return lambda: milan() | {key: value}


def without(key: str) -> Callable[[], Values]:
    return lambda: {k: v for k, v in milan().items() if k != key}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        *(pytest.param(without(k), "leaf", id=f"without-{k}") for k in ("1", "2", "3.1", "3.4", "3.8")),
        pytest.param(with_("6", b""), "leaf", id="unknown-in-the-arc"),
        pytest.param(with_("3.10", number(0)), "leaf", id="unknown-spl"),
        pytest.param(with_("1", number(2)), "leaf.structVersion", id="unknown-struct-version"),
        pytest.param(with_("1", number(1)), "leaf.fmcSPL", id="struct-version-1-without-fmc"),
        pytest.param(with_("3.9", number(0)), "leaf.fmcSPL", id="struct-version-0-with-fmc"),
        pytest.param(lambda: turin() | {"3.4": number(0)}, "leaf.spl4", id="struct-version-1-with-spl4"),
        pytest.param(with_("3.5", number(1)), "leaf.spl5", id="reserved-spl-not-zero"),
        pytest.param(with_("3.8", number(256)), "leaf.ucodeSPL", id="spl-256"),
        pytest.param(with_("3.8", b"\x02\x01\xdb"), "leaf.ucodeSPL", id="spl-negative"),
        pytest.param(with_("3.8", b"\x02\x02\x00\x01"), "leaf.ucodeSPL", id="spl-not-minimal"),
        pytest.param(with_("3.8", b"\x04\x01\x01"), "leaf.ucodeSPL", id="spl-of-another-type"),
        pytest.param(with_("3.8", number(1) + b"\0"), "leaf.ucodeSPL", id="spl-with-trailing-data"),
        pytest.param(with_("2", b"\x0c\x05Milan"), "leaf.productName", id="name-of-another-type"),
        pytest.param(with_("2", text("")), "leaf.productName", id="name-empty"),
        pytest.param(with_("4", bytes(63)), "leaf.hwID", id="hwid-63"),
        pytest.param(with_("4", bytes(65)), "leaf.hwID", id="hwid-65"),
        pytest.param(with_("4", bytes(66)), "leaf.hwID", id="hwid-66-without-header"),
        pytest.param(with_("4", b"\x04\x40" + bytes(65)), "leaf.hwID", id="hwid-67"),
        pytest.param(with_("4", b"\x04\x08" + bytes(7)), "leaf.hwID", id="hwid-9"),
        pytest.param(with_("4", b""), "leaf.hwID", id="hwid-empty"),
        pytest.param(with_("5", b"\x16\x05CN="), "leaf.cspID", id="csp-id-malformed"),
    ],
)
def test_refused(values: Callable[[], Values], where: str) -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        read(values())
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED
    assert caught.value.where.startswith(where)


@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_spl_range(value: int) -> None:
    """128 and above take two content octets."""
    assert read(milan() | {"3.8": number(value)}).tcb.microcode == value


@pytest.mark.parametrize(
    ("raw", "hwid"),
    [
        pytest.param(b"\x04\x40" + b"i" * 62, b"\x04\x40" + b"i" * 62, id="raw-id-that-looks-like-a-header"),
        pytest.param(b"\x02" * 64, b"\x02" * 64, id="raw-id-that-looks-like-an-integer"),
        pytest.param(b"\x04\x40" + b"i" * 64, b"i" * 64, id="wrapped-64"),
        pytest.param(b"\x04\x08" + b"i" * 8, b"i" * 8, id="wrapped-8"),
        pytest.param(b"\x04\x06" + b"i" * 6, b"\x04\x06" + b"i" * 6, id="raw-8"),
    ],
)
def test_hwid_is_read_by_length_first(raw: bytes, hwid: bytes) -> None:
    assert read(milan() | {"4": raw}).hwid == hwid


@pytest.mark.parametrize(("name", "line"), [("Genoa", Product.GENOA), ("Venice", None), ("milan-B0", None)])
def test_product_is_the_line_of_the_name(name: str, line: Product | None) -> None:
    assert read(milan() | {"2": text(name)}).product is line
