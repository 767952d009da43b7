"""Signed CoRIMs: nothing is read before a chosen key verified it; what cannot be said exactly is left out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import signers
from policies import drafts
from policies.corim import profiles, reading, writing
from policies.drafts import About, Cell, Row
from policies.model import ReferenceSet
from tests.support import VECTORS, needs_vectors
from verifiers.claims import BY_NAME
from verifiers.crypto import cose
from verifiers.errors import AttestationError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = ec.derive_private_key(7, ec.SECP384R1())
OTHER = ec.derive_private_key(8, ec.SECP384R1())
MEASUREMENT = b"\xaa" * 48
SNP_CLASS = {0: {0: cbor2.CBORTag(37, profiles.SNP_CHIP.bytes)}}
ABOUT = About(
    name="guests",
    version=3,
    owner="platform@acme.example",
    valid_from=datetime(2026, 6, 1, tzinfo=UTC),
    valid_until=datetime(2027, 6, 1, tzinfo=UTC),
)


def corim(measurements: Any, environment: Any = SNP_CLASS, triples: Any = None, **more: Any) -> bytes:
    comid = {1: {0: "image-1"}, 4: triples or {0: [[environment, measurements]]}}
    body = {0: "guests@3", 1: [cbor2.CBORTag(506, cbor2.dumps(comid))], **more.get("body", {})}
    return cbor2.dumps(cbor2.CBORTag(501, body))


def guest(**values: Any) -> list[Any]:
    return [{0: 0, 1: {2: [[7, MEASUREMENT]], **{int(k[1:]): v for k, v in values.items()}}}]


HEADER = {1: -35, 3: "application/rim+cbor", 15: {1: "acme.example"}}


def signed(payload: bytes, header: Any = None, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    return signers.sign(key, cbor2.dumps(HEADER if header is None else header), payload)


def read(raw: bytes, now: datetime = NOW, *, minimums: bool = False) -> reading.Read:
    return reading.read_signed(raw, [KEY.public_key()], "x.corim", now, minimums=minimums)[0]


def stated(found: reading.Read) -> list[dict[str, str]]:
    return [{key: cell.text for key, cell in row.cells.items()} for row in found.rows]


def test_a_signed_corim_becomes_an_entry() -> None:
    found = read(signed(corim(guest(k1=3, k3={3: False}))))
    assert stated(found) == [
        {
            "id": "image-1",
            "snp.signing_key": "VCEK",
            "snp.measurement": f"sha384:{MEASUREMENT.hex()}",
            "snp.guest_svn": "3",
            "snp.policy.debug": "false",
        }
    ]
    assert found.signer == "acme.example" and found.unmapped == []


GOOD = signed(corim(guest()))
ARRAY = cbor2.loads(GOOD).value


def rebuilt(change: Callable[[list[Any]], object]) -> bytes:
    parts = list(ARRAY)
    change(parts)
    return cbor2.dumps(cbor2.CBORTag(18, parts))


def put(index: int, value: object) -> bytes:
    def change(parts: list[Any]) -> None:
        parts[index] = value

    return rebuilt(change)


CLAIMED = {1: -35, 3: "application/rim+cbor", 15: {1: "a", 4: int(NOW.timestamp())}}
EARLY = {1: -35, 3: "application/rim+cbor", 15: {1: "a", 5: int(NOW.timestamp()) + 1}}
TIMES = {0: cbor2.CBORTag(1, 0), 1: cbor2.CBORTag(1, int(NOW.timestamp()))}

REFUSED = {
    "another signer": (signed(corim(guest()), key=OTHER), "collateral.signature"),
    "another payload": (put(2, corim(guest(k1=1))), "collateral.signature"),
    "another header": (put(0, cbor2.dumps({**HEADER, 4: b"kid"})), "collateral.signature"),
    "a short signature": (put(3, ARRAY[3][:-1]), "collateral.malformed"),
    "no payload": (put(2, None), "collateral.malformed"),
    "no signature at all": (corim(guest()), "evidence.bad-value"),
    "another tag": (b"\xd1" + GOOD[1:], "evidence.bad-value"),
    "bytes behind": (GOOD + b"\x00", "evidence.trailing-data"),
    "a truncated file": (GOOD[:-1], "evidence.bad-length"),
    "an indefinite array": (b"\xd2\x9f" + GOOD[2:] + b"\xff", "evidence.bad-encoding"),
    "a header key twice": (
        put(0, bytes.fromhex("a3 01 3822 01 3822 0f a1 01 61 61")),
        "evidence.duplicate",
    ),
    "a curve of another size": (signed(corim(guest()), {**HEADER, 1: -7}), "collateral.malformed"),
    "an algorithm not ours": (signed(corim(guest()), {**HEADER, 1: -8}), "collateral.malformed"),
    "an unknown critical label": (
        signed(corim(guest()), {**HEADER, 2: [99], 99: 1}),
        "collateral.malformed",
    ),
    "a critical label that is absent": (signed(corim(guest()), {**HEADER, 2: [4]}), "collateral.malformed"),
    "an empty crit": (signed(corim(guest()), {**HEADER, 2: []}), "collateral.malformed"),
    "a label in both headers": (put(1, {1: -35}), "collateral.malformed"),
    "a hash envelope": (signed(corim(guest()), {**HEADER, 258: -16}), "collateral.malformed"),
    "another content type": (signed(corim(guest()), {**HEADER, 3: "text/plain"}), "collateral.malformed"),
    "no signer named": (signed(corim(guest()), {1: -35, 3: HEADER[3]}), "collateral.malformed"),
    "an ended signature": (signed(corim(guest()), CLAIMED), "collateral.expired"),
    "a signature of the future": (signed(corim(guest()), EARLY), "collateral.not-yet-valid"),
    "an ended manifest": (signed(corim(guest(), body={4: TIMES})), "collateral.expired"),
    "a payload with a key twice": (signed(bytes.fromhex("d901f5a2006161006162")), "evidence.duplicate"),
    "an unknown key of the manifest": (signed(corim(guest(), body={9: 1})), "collateral.malformed"),
    "a tag nobody knows": (signed(cbor2.dumps(cbor2.CBORTag(501, {0: "a", 1: [cbor2.CBORTag(9, 1)]}))),
                           "evidence.bad-value"),
}  # fmt: skip


@pytest.mark.parametrize("raw, reason", REFUSED.values(), ids=list(REFUSED))
def test_what_is_not_signed_and_sound_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(AttestationError) as error:
        read(raw)
    assert error.value.reason == reason


TWO = [*guest(), *guest()]
OWN = {"body": {3: cbor2.CBORTag(32, profiles.OWN_PROFILE)}}
LEFT_OUT = {
    "a minimum": (corim(guest(k1=cbor2.CBORTag(553, 1))), "at_least: 1"),
    "a minimum of the TCB": (corim([{0: 7, 1: {1: cbor2.CBORTag(553, 9)}}]), "no certain meaning"),
    "a TCB in one number": (corim([*guest(), {0: 7, 1: {1: 9}}]), "no certain meaning"),
    "a value nobody knows": (corim(guest(k77=1)), "no certain meaning"),
    "a flag nobody knows": (corim(guest(k3={8: True})), "no certain meaning"),
    "debug said twice": (corim(guest(k3={3: False, -3: True})), "two values"),
    "a masked value": (corim(guest(k4=cbor2.CBORTag(563, [b"\0", b"\0"]))), "masks"),
    "two digests": (corim([{0: 0, 1: {2: [[7, MEASUREMENT], [7, b"\xbb" * 48]]}}]), "several digests"),
    "a digest too short": (corim([{0: 0, 1: {2: [[7, b"\xbb" * 32]]}}]), "32 bytes"),
    "one key twice": (corim(TWO), "twice"),
    "a limit on who asserts": (corim([{**guest()[0], 2: [1]}]), "authorised-by"),
    "no values": (corim([{0: 0, 1: {}}]), "without values"),
    "another class": (corim(guest(), {0: {1: "AMD"}}), "another class"),
    "a class with a vendor too": (corim(guest(), {0: {**SNP_CLASS[0], 1: "AMD"}}), "another class"),
    "a group": (corim(guest(), {**SNP_CLASS, 2: b"g"}), "group"),
    "a short instance": (corim(guest(), {**SNP_CLASS, 1: cbor2.CBORTag(560, b"1")}), "CHIP_ID"),
    "a profile nobody knows": (corim(guest(), body={3: cbor2.CBORTag(32, "tag:x")}), "not supported"),
    "of Intel": (corim(guest(), body={3: cbor2.CBORTag(111, profiles.INTEL_PROFILE)}), "not supported"),
    "endorsements": (corim(None, triples={1: [1]}), "no reference values"),
    "our profile, another vendor": (corim(guest(), **OWN), "does not have"),
    "our profile, an id": (corim([{0: "id", 1: {11: "x"}}], {0: {1: "sealgate"}}, **OWN), "not one claim"),
}  # fmt: skip


@pytest.mark.parametrize("payload, why", LEFT_OUT.values(), ids=list(LEFT_OUT))
def test_what_cannot_be_said_exactly_is_left_out_and_listed(payload: bytes, why: str) -> None:
    found = read(signed(payload))
    assert found.rows == []
    assert why in " ".join(item.why for item in found.unmapped)


def test_a_minimum_becomes_a_condition_only_when_asked() -> None:
    found = read(signed(corim(guest(k1=cbor2.CBORTag(553, 1)))), minimums=True)
    assert found.conditions == ["image-1: snp.guest_svn: {at_least: 1}"]
    assert "only with" in stated(found)[0]["note"] and "snp.guest_svn" not in stated(found)[0]


def test_the_shorter_validity_counts() -> None:
    inner = {1: cbor2.CBORTag(1, int(NOW.timestamp()) + 100)}
    outer = {**HEADER, 15: {1: "a", 4: int(NOW.timestamp()) + 50}}
    found = read(signed(corim(guest(), body={4: inner}), outer))
    assert found.ends is not None and found.ends.timestamp() == NOW.timestamp() + 50


def test_values_for_one_signing_key_do_not_become_values_for_both() -> None:
    csp = {0: {0: cbor2.CBORTag(37, profiles.SNP_CSP.bytes)}}
    both = read(signed(corim(None, triples={0: [[SNP_CLASS, guest()], [csp, guest()]]})))
    assert [row.get("snp.signing_key") for row in stated(both)] == [None]
    other = [{0: 0, 1: {2: [[7, b"\xbb" * 48]]}}]
    apart = read(signed(corim(None, triples={0: [[SNP_CLASS, guest()], [csp, other]]})))
    assert [row["snp.signing_key"] for row in stated(apart)] == ["VCEK", "VLEK"]


# --- round trip ------------------------------------------------------------------------------------

digest = st.binary(min_size=48, max_size=48).map(lambda raw: f"sha384:{raw.hex()}")
flag = st.sampled_from(["true", "false"])
SNP_OPTIONAL = {
    "snp.host_data": st.binary(min_size=32, max_size=32).map(lambda raw: f"hex:{raw.hex()}"),
    "snp.image_id": st.binary(min_size=16, max_size=16).map(lambda raw: f"hex:{raw.hex()}"),
    "snp.family_id": st.binary(min_size=16, max_size=16).map(lambda raw: f"hex:{raw.hex()}"),
    "snp.guest_svn": st.integers(0, 2**32 - 1).map(str),
    "snp.signing_key": st.sampled_from(["VCEK", "VLEK"]),
    "snp.id_key_digest": digest,
    "snp.policy.debug": flag,
    "snp.policy.page_swap_disable": flag,
    "snp.platform_info.smt_en": flag,
}
TDX_OPTIONAL = {
    "tdx.rtmr0": digest,
    "tdx.td_attributes.debug": flag,
    "tdx.xfam": st.binary(min_size=8, max_size=8).map(lambda raw: f"hex:{raw.hex()}"),
    "snp.policy": st.integers(0, 2**64 - 1).map(hex),
    "init_data.digest": st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}"),
}
snp_rows = st.fixed_dictionaries({"snp.measurement": digest}, optional=SNP_OPTIONAL)
tdx_rows = st.fixed_dictionaries({"tdx.mr_td": digest}, optional=TDX_OPTIONAL)


def made(rows: list[dict[str, str]]) -> ReferenceSet:
    entries = [
        Row({"id": Cell(f"e-{n}"), **{key: Cell(text) for key, text in row.items()}})
        for n, row in enumerate(rows)
    ]
    return drafts.build(ABOUT, entries, drafts.source_of(b"", "test"), BY_NAME)


def through_corim(found: ReferenceSet) -> ReferenceSet:
    payload, _ = writing.payload(found, BY_NAME)
    read_back = read(signers.sign(KEY, writing.header(found, cose.ES384, b"kid"), payload))
    assert read_back.unmapped == []
    assert (read_back.starts, read_back.ends) == (found.valid_from, found.valid_until)
    return drafts.build(ABOUT, read_back.rows, drafts.source_of(b"", "test"), BY_NAME)


@given(
    st.lists(
        st.one_of(snp_rows, tdx_rows), min_size=1, max_size=4, unique_by=lambda row: str(sorted(row.items()))
    )
)
def test_a_set_comes_back_from_a_corim_as_it_was(rows: list[dict[str, str]]) -> None:
    found = made(rows)
    again = through_corim(found)
    assert {e.id: dict(e.claims) for e in again.entries} == {e.id: dict(e.claims) for e in found.entries}


def test_revoked_entries_do_not_leave_in_formats_without_revocation() -> None:
    from policies.load import load

    text = drafts.document(made([{"snp.measurement": "11" * 48}, {"snp.measurement": "22" * 48}]), BY_NAME)
    text += b"revoked:\n  - entry: e-0\n    since: 2026-07-01T00:00:00Z\n    reason: bad\n"
    (found,) = load(text, "x.yaml", claims=BY_NAME)
    assert isinstance(found, ReferenceSet)
    assert [entry.id for entry in drafts.standing(found).entries] == ["e-1"]
    (again,) = load(drafts.document(found, BY_NAME), "x.yaml", claims=BY_NAME)
    assert isinstance(again, ReferenceSet) and again.revoked == found.revoked


# --- published files -------------------------------------------------------------------------------


def jwk(name: str) -> ec.EllipticCurvePublicKey:
    value = json.loads((VECTORS / "standards" / name).read_text())
    x, y = (int.from_bytes(base64.urlsafe_b64decode(value[part] + "=="), "big") for part in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def published(name: str, key: str, now: datetime) -> reading.Read:
    raw = (VECTORS / "standards" / name).read_bytes()
    return reading.read_signed(raw, [jwk(key)], name, now, minimums=True)[0]


@needs_vectors("standards")
def test_published_corims() -> None:
    own = published("own_snp_corim.cbor", "own_corim_key.jwk", NOW)
    assert stated(own)[0]["snp.measurement"] == f"sha384:{MEASUREMENT.hex()}"
    with pytest.raises(AttestationError, match="expired"):
        published("veraison_signed_good_corim.cbor", "veraison_ec_p256.jwk", NOW)
    in_time = published("veraison_signed_good_corim.cbor", "veraison_ec_p256.jwk", NOW.replace(year=2024))
    assert in_time.rows == [] and len(in_time.unmapped) == 1
    assert in_time.signer == "ACME Ltd signing key"
