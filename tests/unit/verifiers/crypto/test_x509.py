"""Certificates and CRLs as values: what is refused before anything is read from them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509 as c
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.simulator import x509build
from verifiers.crypto import crl, x509
from verifiers.errors import EndorsementFormatError, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)
KEY = ec.derive_private_key(11, ec.SECP256R1())
OTHER = ec.derive_private_key(12, ec.SECP256R1())
NAME = c.Name([c.NameAttribute(NameOID.COMMON_NAME, "A")])


def certificate(*, cn: tuple[str, ...] = ("A",)) -> bytes:
    name = c.Name([c.NameAttribute(NameOID.COMMON_NAME, text) for text in cn])
    builder = (
        c.CertificateBuilder()
        .subject_name(name).issuer_name(NAME).public_key(KEY.public_key()).serial_number(5)
        .not_valid_before(START).not_valid_after(END)
        .add_extension(c.BasicConstraints(ca=True, path_length=0), critical=True)
    )  # fmt: skip
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def revocations(*, number: bool = True, delta: bool = False, revoked: tuple[int, ...] = ()) -> bytes:
    builder = c.CertificateRevocationListBuilder().issuer_name(NAME).last_update(START).next_update(END)
    if number:
        builder = builder.add_extension(c.CRLNumber(1), critical=False)
    if delta:
        builder = builder.add_extension(c.DeltaCRLIndicator(1), critical=True)
    for serial in revoked:
        builder = builder.add_revoked_certificate(
            c.RevokedCertificateBuilder().serial_number(serial).revocation_date(START).build()
        )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


GOOD = certificate()
PEM = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(GOOD) + b"-----END CERTIFICATE-----\n"


def test_parse() -> None:
    cert = x509.parse(GOOD, "c")
    assert (cert.subject_cn, cert.issuer_cn, cert.serial) == ("A", "A", 5)
    assert (cert.is_ca, cert.path_length, cert.may_sign_certificates) == (True, 0, False)
    assert x509.issued_by(cert, KEY.public_key())
    assert not x509.issued_by(cert, OTHER.public_key())


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        (START - timedelta(seconds=1), False),
        (START, True),
        (END - timedelta(seconds=1), True),
        (END, False),
    ],
)
def test_the_window_is_exclusive_at_its_end(now: datetime, valid: bool) -> None:
    assert x509.parse(GOOD, "c").valid_at(now) is valid
    parsed = crl.parse(revocations(), "crl")
    verified = crl.verify(parsed, parsed.issuer, KEY.public_key())
    assert verified is not None
    assert verified.current_at(now) is valid


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(GOOD[:-1], id="one-byte-short"),
        pytest.param(GOOD + b"\0", id="one-byte-long"),
        pytest.param(GOOD + GOOD, id="two-certificates"),
        pytest.param(PEM, id="pem-for-der"),
        pytest.param(b"\x30" * 9000, id="oversized"),
        pytest.param(certificate(cn=("A", "B")), id="two-common-names"),
        pytest.param(revocations(), id="crl-for-certificate"),
    ],
)
def test_refused(raw: bytes) -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        x509.parse(raw, "c")
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED


def test_every_truncation_is_refused() -> None:
    for size in range(len(GOOD)):
        with pytest.raises(EndorsementFormatError):
            x509.parse(GOOD[:size], "c")


def test_every_flipped_bit_is_refused_or_breaks_the_signature() -> None:
    for bit in range(8 * len(GOOD)):
        raw = bytearray(GOOD)
        raw[bit // 8] ^= 1 << bit % 8
        try:
            cert = x509.parse(bytes(raw), "c")
        except EndorsementFormatError:
            continue
        assert not x509.issued_by(cert, KEY.public_key()), bit


def test_pem() -> None:
    assert x509.split_pem(PEM, "p", limit=2) == (GOOD,)
    assert x509.split_pem(PEM + PEM + b"\0", "p", limit=2) == (GOOD, GOOD)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello " + PEM, id="text-before"),
        pytest.param(PEM + b"x", id="text-behind"),
        pytest.param(PEM * 3, id="too-many"),
        pytest.param(PEM.replace(b"-----END", b"----END"), id="broken-end"),
        pytest.param(PEM.replace(b"\nMI", b"\n*I"), id="not-base64"),
        pytest.param(PEM + b"\0\0", id="two-nuls"),
    ],
)
def test_pem_refused(raw: bytes) -> None:
    with pytest.raises(EndorsementFormatError):
        x509.split_pem(raw, "p", limit=2)


def test_crl_says_who_is_revoked_only_when_its_issuer_signed_it() -> None:
    parsed = crl.parse(revocations(revoked=(5, 9)), "crl")
    verified = crl.verify(parsed, parsed.issuer, KEY.public_key())
    assert verified is not None
    assert verified.revoked == {5, 9}
    assert crl.verify(parsed, parsed.issuer, OTHER.public_key()) is None
    assert crl.verify(parsed, b"other name", KEY.public_key()) is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(revocations(number=False), id="no-number"),
        pytest.param(revocations(delta=True), id="delta"),
        pytest.param(revocations() + b"\0", id="trailing"),
        pytest.param(revocations()[:-1], id="truncated"),
        pytest.param(GOOD, id="certificate-for-crl"),
        pytest.param(b"", id="empty"),
    ],
)
def test_crl_refused(raw: bytes) -> None:
    with pytest.raises(EndorsementFormatError) as caught:
        crl.parse(raw, "crl")
    assert caught.value.reason == Reason.CRL_MALFORMED


def test_crl_without_next_update_is_refused() -> None:
    """Built by hand: cryptography's builder insists on nextUpdate, attackers do not."""
    good = revocations()
    parsed = c.load_der_x509_crl(good)
    tbs = parsed.tbs_certlist_bytes
    window = tbs.index(b"\x17\x0d260131000000Z")
    shorter = tbs[:window] + tbs[window + 15 :]
    shorter = (
        bytes([0x30, 0x81, len(shorter) - 3]) + shorter[3:]
        if tbs[1] == 0x81
        else bytes([0x30, len(shorter) - 2]) + shorter[2:]
    )
    signature = KEY.sign(shorter, ec.ECDSA(hashes.SHA256()))
    body = shorter + x509.ECDSA_SHA256 + b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    raw = b"\x30\x81" + bytes([len(body)]) + body
    with pytest.raises(EndorsementFormatError) as caught:
        crl.parse(raw, "crl")
    assert (caught.value.reason, caught.value.expected) == (Reason.CRL_MALFORMED, "nextUpdate")


@pytest.mark.filterwarnings("ignore:Attribute's length")
@pytest.mark.parametrize(("size", "reads"), [(0, False), (1, True), (64, True), (65, False), (500, False)])
def test_the_length_of_a_common_name(size: int, reads: bool) -> None:
    """Whatever the warning filters are."""
    name = x509build.name(("CN", "x" * size))
    raw = x509build.certificate(
        serial=1,
        signer=x509build.Signer(KEY),
        issuer=name,
        subject=name,
        not_before=START,
        not_after=END,
        key=KEY.public_key(),
        extensions=(x509build.basic_constraints(ca=False),),
    )
    if reads:
        assert x509.parse(raw, "certificate").subject_cn == "x" * size
        return
    with pytest.raises(EndorsementFormatError) as caught:
        x509.parse(raw, "certificate")
    assert caught.value.reason == Reason.CERTIFICATE_MALFORMED
