"""One change in real evidence or its collateral, and the exact reason that comes back."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mutations.tdx_mutations import CASES, Case
from tests.support import needs_vectors
from tests.vectors import tdx_vectors as v
from verifiers.crypto.x509 import split_pem
from verifiers.dcap import quote
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import Outcome, Verdict, Verification, first_reason

pytestmark = needs_vectors("tdx")

FULL = os.environ.get("SEALGATE_FULL") == "1"

# What parsing says: the quote is none any more.
FRAMING = {
    "version-plus-one": {
        # Version 4 read as 5, 5 as 4, 3 as 2.
        "tdx4": Reason.BAD_VALUE,
        "tdx5": Reason.BAD_LENGTH,
        "sgx3": Reason.UNSUPPORTED_VERSION,
    },
    "version-9": Reason.UNSUPPORTED_VERSION,
    "att-key-type-3": Reason.UNSUPPORTED_KEY_TYPE,
    "tee-type": Reason.UNSUPPORTED_TEE,
    "body-type-2": Reason.BAD_LENGTH,
    "body-size": Reason.BAD_LENGTH,
    "auth-len": Reason.BAD_VALUE,
    "outer-cert-type": Reason.BAD_VALUE,
    "outer-cert-size": Reason.BAD_LENGTH,
    "inner-cert-size": Reason.BAD_LENGTH,
    "siglen-high-byte": Reason.BAD_LENGTH,
    "siglen-minus": Reason.BAD_LENGTH,
    "truncate-1": Reason.BAD_LENGTH,
    "truncate-header": Reason.BAD_LENGTH,
    "truncate-empty": Reason.EVIDENCE_EMPTY,
}
BODY = (Verdict.REFUSED, Reason.DCAP_SIGNATURE)
QE = (Verdict.REFUSED, Reason.DCAP_QE_SIGNATURE)
KEY = (Verdict.REFUSED, Reason.DCAP_KEY_BINDING)
# What verification says.
FINDINGS: dict[str, tuple[Verdict, Reason | None]] = {
    **dict.fromkeys(
        (
            "header-user-data",
            "tee-tcb-svn",
            "td-attributes-debug",
            "mrtd",
            "rtmr3",
            "report-data-last-byte",
            "mrservicetd",
            "tee-tcb-svn2",
            "mrenclave",
            "attributes-debug",
            "signature-r",
            "signature-s",
        ),
        BODY,
    ),
    **dict.fromkeys(("qe-report-mrsigner", "qe-report-isvsvn", "qe-report-data-tail", "qe-report-sig"), QE),
    "header-qe-vendor-id": (Verdict.REFUSED, Reason.DCAP_HEADER),
    "attestation-key": KEY,
    "auth-data": KEY,
    "inner-cert-type-1": (Verdict.UNDECIDED, Reason.DCAP_PCK_MISSING),
    "pck-cert-body": (Verdict.REFUSED, Reason.CERTIFICATE_MALFORMED),
    "time-at-open": (Verdict.ACCEPTED, None),
    "time-before-window": (Verdict.UNDECIDED, Reason.COLLATERAL_NOT_YET_VALID),
    "time-at-close": (Verdict.UNDECIDED, Reason.CRL_EXPIRED),
    "time-after-window": (Verdict.UNDECIDED, Reason.CRL_EXPIRED),
    "tcbinfo-sig-flip": (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
    "tcbinfo-reserialised": (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
    "tcbinfo-status-edit": (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
    "qeid-sig-flip": (Verdict.REFUSED, Reason.COLLATERAL_SIGNATURE),
    "sgx-qe-identity-for-tdx": (Verdict.REFUSED, Reason.DCAP_WRONG_TEE),
    "fmspc-mismatch": (Verdict.REFUSED, Reason.DCAP_FMSPC_MISMATCH),
    "sgx-tcbinfo-for-tdx": (Verdict.REFUSED, Reason.DCAP_WRONG_TEE),
    "pck-crl-sig-flip": (Verdict.REFUSED, Reason.CRL_SIGNATURE),
    "wrong-ca-crl": (Verdict.UNDECIDED, Reason.DCAP_PCK_CRL_MISSING),
    "stale-root-crl": (Verdict.UNDECIDED, Reason.CRL_EXPIRED),
}


def parts(case: Case) -> tuple[str, str]:
    base, name = case.name.split("/")
    return base[:4], name


def test_every_mutation_of_the_manifest_is_here() -> None:
    assert len(CASES) == 104
    assert {parts(case)[1] for case in CASES} == FRAMING.keys() | FINDINGS.keys()


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_mutation(case: Case) -> None:
    base, name = parts(case)
    framing = FRAMING.get(name)
    if framing is not None:
        with pytest.raises(EvidenceFormatError) as caught:
            case.verify()
        assert caught.value.reason == (framing[base] if isinstance(framing, dict) else framing)
        return
    found = case.verify()
    assert (found.verdict, first_reason(found.checks)) == FINDINGS[name]
    if FINDINGS[name] in (BODY, QE, KEY):
        assert not found.signature_valid
        # The collateral is as good as before, so the level is still there to be shown.
        assert found.tcb.status is not None
    if case.expected == "accept":
        assert found.verdict is Verdict.ACCEPTED
    else:
        assert found.verdict is not Verdict.ACCEPTED


# --- every bit -----------------------------------------------------------------------------------

VECTOR: dict[str, Any] = v.BY_ID.get("tdx4-gcp-nonce@ev18", {})
SIGNED = 632


def flipped(raw: bytes, bit: int) -> bytes:
    out = bytearray(raw)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def verified(raw: bytes, **changed: Any) -> Verification | EvidenceFormatError:
    try:
        return v.verify(VECTOR, raw=raw, **changed)
    except EvidenceFormatError as error:
        return error


def bits(start: int, end: int, step: int) -> Iterator[int]:
    return iter(range(start * 8, end * 8, 1 if FULL else step))


def test_every_bit_of_the_signed_region() -> None:
    """Header and body: a flip that leaves a quote fails at the signature, whatever else it changes."""
    raw = v.file(VECTOR, "quote")
    cache, framing = v.Cache(), set()
    for bit in range(SIGNED * 8):
        found = verified(flipped(raw, bit), cache=cache)
        if isinstance(found, EvidenceFormatError):
            framing.add(bit // 8)
            continue
        failed = {check.id for check in found.checks if check.outcome is Outcome.FAILED}
        assert "dcap.signature" in failed, bit
        assert not found.signature_valid, bit
        assert found.chain_valid, bit
        assert found.verdict is Verdict.REFUSED, bit
    # Version, attestation key type and TEE type decide how the rest is read.
    assert framing == set(range(8))


def test_the_bits_of_the_signature_data() -> None:
    raw = quote.parse(v.file(VECTOR, "quote")).raw
    cache = v.Cache()
    for bit in bits(SIGNED, len(raw), 5):
        found = verified(flipped(raw, bit), cache=cache)
        if isinstance(found, Verification):
            assert found.verdict is not Verdict.ACCEPTED, bit
            assert not found.authentic, bit


@pytest.mark.parametrize("index", range(3), ids=["pck", "ca", "root"])
def test_the_bits_of_each_certificate(index: int) -> None:
    """A flip in the DER, encoded again: base64 cannot hide it and the chain cannot stand it."""
    parsed = quote.parse(v.file(VECTOR, "quote"))
    chain = split_pem(parsed.signature_data.certification_data, "chain", limit=3)
    cache = v.Cache()
    for bit in bits(0, len(chain[index]), 23):
        certificates = list(chain)
        certificates[index] = flipped(chain[index], bit)
        found = verified(with_chain(parsed, certificates), cache=cache)
        assert isinstance(found, Verification)
        assert found.verdict is not Verdict.ACCEPTED, bit
        assert not found.chain_valid, bit


def test_bits_of_the_padding() -> None:
    raw = v.file(v.BY_ID["tdx4-gcp-cos113@ev18"], "quote")
    end = len(quote.parse(raw).raw)
    for bit in bits(end, len(raw), 997):
        with pytest.raises(EvidenceFormatError) as caught:
            quote.parse(flipped(raw, bit))
        assert caught.value.reason == Reason.TRAILING_DATA


def test_padding_cannot_become_signature_data() -> None:
    """One more byte of signature data, taken from the padding: dcap-qvl 0.7.0 goes along with it."""
    raw = v.file(v.BY_ID["tdx4-phala@ev17"], "quote")
    with pytest.raises(EvidenceFormatError) as caught:
        quote.parse(flipped(raw, SIGNED * 8))
    assert caught.value.reason == Reason.TRAILING_DATA


def test_a_chain_encoded_again_is_the_same_chain() -> None:
    """Shows that `with_chain` changes nothing by itself."""
    parsed = quote.parse(v.file(VECTOR, "quote"))
    chain = split_pem(parsed.signature_data.certification_data, "chain", limit=3)
    found = verified(with_chain(parsed, list(chain)))
    assert isinstance(found, Verification)
    assert found.verdict is Verdict.ACCEPTED


def with_chain(parsed: quote.Quote, certificates: list[bytes]) -> bytes:
    """The quote with another PEM chain; sizes fit, and nothing signed is touched."""
    pem = b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(c) + b"-----END CERTIFICATE-----\n"
        for c in certificates
    )
    data = parsed.signature_data
    replaced = quote.SignatureData(
        signature=data.signature,
        attestation_key=data.attestation_key,
        qe_report=data.qe_report,
        qe_report_signature=data.qe_report_signature,
        auth_data=data.auth_data,
        certification_type=data.certification_type,
        certification_data=pem,
    )
    return quote.write(
        quote.Quote(
            raw=b"",
            kind=parsed.kind,
            header=parsed.header,
            body_type=parsed.body_type,
            body=parsed.body,
            signed=parsed.signed,
            signature_data=replaced,
            padding=0,
        )
    )
