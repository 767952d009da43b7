"""Collateral files: recognised by content, damaged ones named, strangers told apart."""

from __future__ import annotations

import json

import pytest

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from gateway.simulator.quotewrite import pem
from tests.support import VECTORS, needs_vectors, vector_bytes
from tests.unit.verifiers.carriers import samples
from verifiers.collateral import Collateral, classify, merge
from verifiers.errors import EndorsementFormatError, Reason

AMD = SnpMachine(product="Milan")
INTEL = TdxMachine().good_collateral
CERTIFICATE, ASK, CRL = AMD.leaf, AMD.ask(), AMD.good_crl
TCB_INFO = next(raw for raw in INTEL.values() if b'"tcbInfo"' in raw[:20])
IDENTITY = next(raw for raw in INTEL.values() if b'"enclaveIdentity"' in raw[:20])
UNRECOGNISED = Reason.COLLATERAL_UNRECOGNISED


def pem_crl(der: bytes) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + samples.b64(der).encode() + b"\n-----END X509 CRL-----\n"


BUNDLE = {
    "pck_crl_issuer_chain": pem([ASK]).decode(),
    "root_ca_crl": CRL.hex(),
    "pck_crl": CRL.hex().upper(),
    "tcb_info_issuer_chain": pem([CERTIFICATE, ASK]).decode(),
    "tcb_info": TCB_INFO.decode()[len('{"tcbInfo":') : TCB_INFO.decode().rindex(',"signature"')],
    "tcb_info_signature": json.loads(TCB_INFO)["signature"],
    "qe_identity_issuer_chain": pem([CERTIFICATE]).decode(),
    "qe_identity": IDENTITY.decode()[len('{"enclaveIdentity":') : IDENTITY.decode().rindex(',"signature"')],
    "qe_identity_signature": json.loads(IDENTITY)["signature"],
    "fmspc": "00806F050000",
}
THIM = {"vcekCert": pem([CERTIFICATE]).decode(), "certificateChain": pem([ASK]).decode(), "tcbm": "DB"}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(CERTIFICATE, Collateral(certificates=(CERTIFICATE,)), id="der"),
        pytest.param(pem([CERTIFICATE]), Collateral(certificates=(CERTIFICATE,)), id="pem"),
        pytest.param(pem([CERTIFICATE, ASK]), Collateral(certificates=(CERTIFICATE, ASK)), id="chain"),
        pytest.param(pem([CERTIFICATE]) + b"\0", Collateral(certificates=(CERTIFICATE,)), id="final-nul"),
        pytest.param(CRL, Collateral(crls=(CRL,)), id="crl-der"),
        pytest.param(CRL.hex().encode() + b"\n", Collateral(crls=(CRL,)), id="crl-hex"),
        pytest.param(pem_crl(CRL), Collateral(crls=(CRL,)), id="crl-pem"),
        pytest.param(
            pem([ASK]) + pem_crl(CRL), Collateral(certificates=(ASK,), crls=(CRL,)), id="certificate-and-crl"
        ),
        pytest.param(TCB_INFO, Collateral(tcb_infos=(TCB_INFO,)), id="tcb-info"),
        pytest.param(IDENTITY, Collateral(qe_identities=(IDENTITY,)), id="qe-identity"),
        pytest.param(
            json.dumps(BUNDLE).encode(),
            Collateral(
                certificates=(ASK, CERTIFICATE), crls=(CRL,), tcb_infos=(TCB_INFO,), qe_identities=(IDENTITY,)
            ),
            id="bundle",
        ),
        pytest.param(
            json.dumps(THIM).encode(),
            Collateral(certificates=(CERTIFICATE, ASK)),
            id="azure-thim",
        ),
    ],
)  # fmt: skip
def test_known_by_content(raw: bytes, found: Collateral) -> None:
    assert classify(raw, "file") == found


@pytest.mark.parametrize(
    ("raw", "reason", "found"),
    [
        pytest.param(b"", UNRECOGNISED, "nothing", id="empty"),
        pytest.param(samples.snp(), UNRECOGNISED, "give it as EVIDENCE", id="report"),
        pytest.param(samples.tdx(), UNRECOGNISED, "give it as EVIDENCE", id="quote"),
        pytest.param(b"<html>", UNRECOGNISED, "HTML", id="html"),
        pytest.param(b"{}", UNRECOGNISED, "JSON", id="other-json"),
        pytest.param(b'{"tcbInfo":{}}', UNRECOGNISED, "JSON", id="no-signature"),
        pytest.param(b'{"tcbInfo":{},"tcbInfo":{}}', Reason.COLLATERAL_MALFORMED, "twice", id="key-twice"),
        pytest.param(b'{"tcbInfo":NaN}', Reason.COLLATERAL_MALFORMED, "NaN", id="nan"),
        pytest.param(TCB_INFO[:-1], Reason.COLLATERAL_MALFORMED, "", id="json-cut"),
        pytest.param(
            b'{"tcbEvaluationDataNumbers":{},"signature":""}', UNRECOGNISED, "numbers", id="numbers"
        ),
        pytest.param(CERTIFICATE[:-1], Reason.CERTIFICATE_MALFORMED, "", id="der-cut"),
        pytest.param(CERTIFICATE + b"\0", Reason.CERTIFICATE_MALFORMED, "1 more", id="der-trailing"),
        pytest.param(CERTIFICATE + ASK, Reason.CERTIFICATE_MALFORMED, "more", id="two-in-one-der"),
        pytest.param(CRL + b"\0", Reason.CERTIFICATE_MALFORMED, "1 more", id="crl-trailing"),
        pytest.param(b"\x30\x03\x02\x01\x00", UNRECOGNISED, "neither", id="other-der"),
        pytest.param(pem([b"\x30\x00"]), Reason.CERTIFICATE_MALFORMED, "", id="pem-of-nothing"),
        pytest.param(pem([CERTIFICATE])[:-10], UNRECOGNISED, "without", id="pem-cut"),
        pytest.param(b"subject=x\n" + pem([ASK]), UNRECOGNISED, "text", id="text-before-pem"),
        pytest.param(
            b"-----BEGIN PRIVATE KEY-----\nAA==\n", UNRECOGNISED, "private key", id="private-key"
        ),
        pytest.param(pem([ASK]) * 33, UNRECOGNISED, "more than 32", id="33-blocks"),
        pytest.param(bytes(2**20 + 1), UNRECOGNISED, "more than", id="too-large"),
    ],
)  # fmt: skip
def test_anything_else_is_named(raw: bytes, reason: Reason, found: str) -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        classify(raw, "file")
    assert caught.value.reason == reason
    assert caught.value.where.startswith("file")
    assert found in caught.value.found


def inside(key: str, text: str) -> str:
    """{key: text} with quotes and backslashes as \\uXXXX, so that nesting grows the text only linearly."""
    escaped = text.replace("\\", "\\u005c").replace('"', "\\u0022")
    return f'{{"{key}":"{escaped}"}}'


NESTED = [
    pytest.param("pck_crl", CRL.hex(), id="crl-in-crl"),
    pytest.param("root_ca_crl", json.dumps({"pck_crl": CRL.hex()}), id="bundle-in-crl"),
    pytest.param("pck_crl", TCB_INFO.decode(), id="tcb-info-in-crl"),
    pytest.param("tcb_info_json", IDENTITY.decode(), id="identity-in-tcb-info"),
    pytest.param("qe_identity_json", TCB_INFO.decode(), id="tcb-info-in-identity"),
    pytest.param("tcb_info_json", json.dumps(BUNDLE), id="bundle-in-tcb-info"),
    pytest.param("tcb_info", '0,"tcb_info_json":""', id="another-member-in-the-inner-object"),
    pytest.param("tcb_info", "{", id="half-an-inner-object"),
    pytest.param("tcb_info_json", json.dumps({"tcbInfo": {}}), id="without-signature"),
    pytest.param("tcb_info_json", "[]", id="array"),
    pytest.param("qe_identity_json", json.dumps({"enclaveIdentity": {}, "signature": "", "x": 1}), id="more"),
]


@pytest.mark.parametrize(("key", "text"), NESTED)
def test_a_member_of_a_bundle_holds_its_one_piece_and_no_bundle(key: str, text: str) -> None:
    raw = inside(key, inside("pck_crl", text) if text == CRL.hex() else text).encode()
    with pytest.raises(EndorsementFormatError) as caught:
        classify(raw, "file")
    assert caught.value.reason in (UNRECOGNISED, Reason.COLLATERAL_MALFORMED)
    assert caught.value.where.startswith(f"file:{key}")


@pytest.mark.parametrize("key", ["pck_crl", "tcb_info_json", "qe_identity_json"])
def test_three_hundred_levels_are_refused_at_the_second(key: str) -> None:
    text = CRL.hex() if key == "pck_crl" else "{}"
    for _ in range(300):
        text = inside(key, text)
    assert len(text) <= 2**20
    with pytest.raises(EndorsementFormatError) as caught:
        classify(text.encode(), "file")
    assert caught.value.reason == UNRECOGNISED
    assert caught.value.where == f"file:{key}"


@pytest.mark.parametrize(
    "crl",
    [CRL.hex(), CRL.hex().upper(), pem_crl(CRL).decode(), pem_crl(CRL).decode() + "\0"],
    ids=["hex", "upper-case", "pem", "pem-nul"],
)
def test_spellings_of_a_crl_in_a_bundle(crl: str) -> None:
    assert classify(json.dumps({"pck_crl": crl}).encode(), "file") == Collateral(crls=(CRL,))


@pytest.mark.parametrize("key", ["tcb_info_json", "qe_identity_json"])
def test_whole_documents_in_a_bundle(key: str) -> None:
    raw = TCB_INFO if key == "tcb_info_json" else IDENTITY
    found = classify(inside(key, raw.decode()).encode(), "file")
    assert (found.tcb_infos + found.qe_identities) == (raw,)


def test_merging_keeps_order_and_drops_repetition() -> None:
    first = Collateral(certificates=(ASK, CERTIFICATE), crls=(CRL,))
    second = Collateral(certificates=(CERTIFICATE,), tcb_infos=(TCB_INFO,))
    assert merge(first, second, first) == Collateral(
        certificates=(ASK, CERTIFICATE), crls=(CRL,), tcb_infos=(TCB_INFO,)
    )
    assert merge() == Collateral()


REAL = sorted(path.name for path in (VECTORS / "tdx" / "collateral").glob("*"))


@needs_vectors("tdx")
@pytest.mark.parametrize("name", REAL)
def test_real_intel_collateral(name: str) -> None:
    raw = vector_bytes("tdx", f"collateral/{name}")
    if name.startswith("evalnums"):
        with pytest.raises(EndorsementFormatError):
            classify(raw, name)
        return
    found = classify(raw, name)
    wanted = {
        "crl-": (0, 1, 0, 0), "inte": (1, 0, 0, 0), "qeid": (0, 0, 0, 1), "tcbi": (0, 0, 1, 0),
        "tcb-": (2, 0, 0, 0), "pcs-": (2, 1, 0, 0) if "pckcrl" in name else (2, 0, 1, 0),
    }[name[:4]]  # fmt: skip
    counted = tuple(map(len, (found.certificates, found.crls, found.tcb_infos, found.qe_identities)))
    assert counted == wanted


@needs_vectors("sev-snp")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("milan-v2-vcek-debug/cert_chain.pem", 2),
        ("roots-turin-ask-ark-asvk/ask_ark_asvk.pem", 3),
        ("azure-hcl-milan-v2/vcek_chain.pem", 3),
        ("turin-v5-vcek/vcek.der", 1),
        ("milan-vcek-invalid-new/vcek.der", 1),
    ],
)
def test_real_amd_certificates(name: str, count: int) -> None:
    assert len(classify(vector_bytes("sev-snp", name), name).certificates) == count
