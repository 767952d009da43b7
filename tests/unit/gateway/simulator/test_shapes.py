"""Minted things have the shape of real ones: same OIDs in the same order, same flags, same encodings."""

from __future__ import annotations

import base64
import json
import re

import pytest

from gateway.simulator import keys
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from tests.support import needs_vectors, vector_bytes
from verifiers.codec import der

Extension = tuple[str, bool, bytes]

SPL = "1.3.6.1.4.1.3704.1.3."
HWID = "1.3.6.1.4.1.3704.1.4"


def first_der(raw: bytes) -> bytes:
    """The first certificate of a PEM text, or the DER as it is."""
    return all_der(raw)[0] if b"-----BEGIN" in raw else raw


def all_der(raw: bytes) -> list[bytes]:
    return [base64.b64decode(body) for body in re.findall(rb"CERTIFICATE-----([^-]+)-----END", raw)]


def tbs(certificate: bytes) -> tuple[der.Tlv, ...]:
    outer = der.children(der.only(certificate, der.SEQUENCE, "x").value, "x")
    return der.children(outer[0].value, "x")


def extensions(certificate: bytes) -> list[Extension]:
    out = []
    for element in der.children(der.only(tbs(certificate)[-1].value, der.SEQUENCE, "x").value, "x"):
        parts = der.children(element.value, "x")
        out.append((der.oid(parts[0], "x"), len(parts) == 3, parts[-1].value))
    return out


def tags(value: bytes) -> object:
    """The tags of an encoding, with lengths of primitive strings but not their content."""
    out: list[object] = []
    for tlv in der.children(value, "x", limit=64):
        if tlv.tag & 0x20:
            out.append((tlv.tag, tags(tlv.value)))
        elif tlv.tag == der.OID:
            out.append((tlv.tag, tlv.value.hex()))
        elif tlv.tag in (der.INTEGER, der.IA5_STRING, 0x86):
            out.append(tlv.tag)
        else:
            out.append((tlv.tag, len(tlv.value)))
    return out


def outline(found: list[Extension]) -> list[object]:
    """Extensions without what differs from one machine to the next."""
    return [(oid, critical, len(value) if oid == HWID else tags(value)) for oid, critical, value in found]


def name_types(name: der.Tlv) -> list[tuple[str, int]]:
    """Attribute types and string types of a Name, in order."""
    out = []
    for rdn in der.children(name.value, "x"):
        kind, text = der.children(der.children(rdn.value, "x")[0].value, "x")
        out.append((der.oid(kind, "x"), text.tag))
    return out


AMD_LEAVES = [
    pytest.param("Milan", "VCEK", "milan-v3-vcek-azure-aci/vcek.pem", id="milan-vcek"),
    pytest.param("Turin", "VCEK", "turin-v5-vcek/vcek.der", id="turin-vcek"),
    pytest.param("Milan", "VLEK", "milan-v3-vlek-aws/vlek.der", id="milan-vlek"),
]
AMD_ISSUERS = [
    pytest.param(product, role, f"roots-{product.lower()}-ask-ark-asvk/ask_ark_asvk.pem", index)
    for product in keys.PRODUCTS
    for index, role in enumerate(("ASK", "ARK", "ASVK"))
]


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("product", "kind", "file"), AMD_LEAVES)
def test_amd_leaves_look_like_amds(product: str, kind: str, file: str) -> None:
    real = first_der(vector_bytes("sev-snp", file))
    minted = SnpMachine(product=product, signing_key=kind).leaf
    assert outline(extensions(minted)) == outline(extensions(real))
    # serial, algorithm, issuer, subject: the whole encodings
    assert [tbs(minted)[i].raw for i in (0, 1, 2, 3, 5)] == [tbs(real)[i].raw for i in (0, 1, 2, 3, 5)]
    assert tags(tbs(minted)[6].value) == tags(tbs(real)[6].value)


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("product", "kind", "file"), AMD_LEAVES)
def test_amd_leaves_say_in_text_what_amds_say(product: str, kind: str, file: str) -> None:
    """productName and structVersion, byte for byte."""
    real = first_der(vector_bytes("sev-snp", file))
    minted = SnpMachine(product=product, signing_key=kind).leaf
    assert extensions(minted)[:2] == extensions(real)[:2]


@needs_vectors("sev-snp")
@pytest.mark.parametrize(("product", "role", "file", "index"), AMD_ISSUERS)
def test_amd_issuers_look_like_amds(product: str, role: str, file: str, index: int) -> None:
    real = all_der(vector_bytes("sev-snp", file))[index]
    machine = SnpMachine(product=product)
    minted = {"ASK": machine.ask, "ARK": machine.ark, "ASVK": machine.asvk}[role]()
    assert outline(extensions(minted)) == outline(extensions(real))
    assert [tbs(minted)[i].raw for i in (0, 1, 2, 3, 5)] == [tbs(real)[i].raw for i in (0, 1, 2, 3, 5)]
    constraints = "2.5.29.19"
    assert [e for e in extensions(minted) if e[0] == constraints] == [
        e for e in extensions(real) if e[0] == constraints
    ]


def chain_of(quote: bytes) -> list[bytes]:
    return all_der(quote)


@needs_vectors("tdx")
def test_the_pck_looks_like_intels() -> None:
    real = chain_of(vector_bytes("tdx", "quotes/tdx4-gcp-cos113.bin"))
    minted = chain_of(TdxMachine().quote(bytes(64)))
    assert len(minted) == len(real) == 3
    for ours, theirs in zip(minted[:2], real[:2], strict=True):
        assert outline(extensions(ours)) == outline(extensions(theirs))
        assert tbs(ours)[2].raw == tbs(theirs)[2].raw


@needs_vectors("tdx")
def test_the_pck_of_a_processor_ca_lacks_what_intels_lacks() -> None:
    real = chain_of(vector_bytes("tdx", "quotes/sgx3-tlsn.bin"))[0]
    minted = SgxMachine(ca="processor").pck()
    assert outline(extensions(minted)) == outline(extensions(real))


@needs_vectors("tdx")
def test_the_tcb_signing_certificate_looks_like_intels() -> None:
    real = all_der(vector_bytes("tdx", "collateral/tcb-signing-chain-20250506.pem"))[0]
    assert outline(extensions(TdxMachine().tcb_signing_chain()[0])) == outline(extensions(real))


@needs_vectors("tdx")
@pytest.mark.parametrize(
    ("mint", "file"),
    [
        (TdxMachine().pck_crl, "collateral/crl-processor-20250619-5b07.der"),
        (TdxMachine().root_crl, "collateral/crl-root-20260226-c114.der"),
    ],
    ids=["pck", "root"],
)
def test_empty_crls_look_like_intels(mint: object, file: str) -> None:
    def parts(raw: bytes) -> list[object]:
        outer = der.children(der.only(raw, der.SEQUENCE, "x").value, "x")
        inner = der.children(outer[0].value, "x")
        return [(tlv.tag, tags(tlv.value) if tlv.tag == 0xA0 else len(tlv.value)) for tlv in inner[-3:]]

    assert parts(mint()) == parts(vector_bytes("tdx", file))  # type: ignore[operator]


def shape(value: object) -> object:
    """Keys in order, types, and lengths of hex texts."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{4,}", value):
        return f"hex {len(value)}"
    if isinstance(value, str) and re.match(r"\d{4}-", value):
        return "time"
    return type(value).__name__


@needs_vectors("tdx")
@pytest.mark.parametrize(
    ("minted", "file"),
    [
        (TdxMachine().tcb_info(), "collateral/tcbinfo-tdx-00806f050000-ev19-20260630-3d7b.json"),
        (SgxMachine().tcb_info(), "collateral/tcbinfo-sgx-00a067110000-ev17-20250619-5970.json"),
        (TdxMachine().qe_identity(), "collateral/qeid-td_qe-ev19-20260630-9cd8.json"),
        (SgxMachine().qe_identity(), "collateral/qeid-qe-ev17-20250619-155e.json"),
    ],
    ids=["tcb-tdx", "tcb-sgx", "td-qe", "qe"],
)
def test_documents_have_intels_members_in_intels_order(minted: bytes, file: str) -> None:
    real = vector_bytes("tdx", file)
    # Which components carry a category depends on the platform; everything else is the format.
    ours, theirs = (re.sub(rb',"(category|type)":"[^"]*"', b"", raw) for raw in (minted, real))
    first, second = (json.loads(raw) for raw in (ours, theirs))
    for document in (first, second):
        for level in document[next(iter(document))]["tcbLevels"]:
            level.pop("advisoryIDs", None)
    assert shape(first) == shape(second)
    assert b" " not in re.sub(rb'"[^"]*"', b"", minted)


@needs_vectors("tdx")
@pytest.mark.parametrize(
    ("machine", "file", "signed"),
    [
        pytest.param(TdxMachine(), "quotes/tdx4-phala.bin", 632, id="tdx-4"),
        pytest.param(TdxMachine(version=5), "quotes/tdx5-15-intel-sample.bin", 702, id="tdx-5"),
        pytest.param(SgxMachine(), "quotes/sgx3-phala.bin", 432, id="sgx-3"),
    ],
)
def test_quotes_are_framed_as_intels(machine: TdxMachine | SgxMachine, file: str, signed: int) -> None:
    real, minted = vector_bytes("tdx", file), machine.quote(bytes(64))

    def frame(raw: bytes) -> list[object]:
        at = signed + 4 + 128
        outer = b""
        if machine.TEE == "TDX":
            outer, at = raw[at : at + 2], at + 6
        auth = at + 384 + 64
        size = int.from_bytes(raw[auth : auth + 2], "little")
        inner = auth + 2 + size
        header = raw[:8] + raw[12:28]
        misc = raw[at + 16 : at + 20], raw[at + 48 : at + 64], raw[at + 256 : at + 258]
        chain_end = inner + 6 + int.from_bytes(raw[inner + 2 : inner + 6], "little")
        length = int.from_bytes(raw[signed : signed + 4], "little")
        assert chain_end == signed + 4 + length
        return [
            header,
            outer,
            size,
            raw[auth + 2 : inner],
            raw[inner : inner + 2],
            misc,
            raw[chain_end - 2 : chain_end],
        ]

    assert frame(minted) == frame(real)
