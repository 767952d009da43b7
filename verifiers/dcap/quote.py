"""ECDSA quotes, versions 3, 4 and 5: header, body and signature data, by their declared sizes.

What must stay true: the version is looked at before anything else (a version 5 quote read with version 4
offsets is off by six bytes and still looks plausible); every declared size consumes its container exactly;
`raw` is the quote and nothing behind it. Nothing here is trusted, and a quote's bytes are no identity:
certification data headers are not signed.

Sources: Intel SGX ECDSA QuoteLib Reference, appendix A (version 3); Intel TDX DCAP Quoting Library API,
appendix A.3 (versions 4 and 5). All integers are little-endian.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from verifiers.codec.reader import Field, Reader
from verifiers.dcap import report
from verifiers.errors import EvidenceFormatError, Reason
from verifiers.model import TeeKind

MAX_INPUT = 64 * 1024
"""Bytes. Real quotes have 3.6 to 5.1 thousand."""
MAX_PADDED = 16 * 1024
"""Bytes, quote and zero padding together. Guests hand over whole buffers of 5006 or 8000 bytes."""

HEADER_SIZE = 48
HEADER: tuple[Field, ...] = (
    Field("version", 0, 2),
    Field("attestation key type", 2, 2),
    Field("TEE type", 4, 4),
    Field("QE SVN", 8, 2),
    Field("PCE SVN", 10, 2),
    Field("QE vendor id", 12, 16),
    Field("user data", 28, 20),
)
# The header has no gaps, so one call cuts it and reads its numbers.
_CUT_HEADER = struct.Struct("<" + "".join({2: "H", 4: "I"}.get(f.size, f"{f.size}s") for f in HEADER))

ECDSA_P256 = 2
QE_REPORT_CERTIFICATION_DATA = 6
PCK_LEAF = 4
PCK_CHAIN = 5


class TeeType(enum.IntEnum):
    """Header, offset 4."""

    SGX = 0x00
    TDX = 0x81


class BodyType(enum.IntEnum):
    """Version 5, body descriptor; for older versions the one that the TEE type implies."""

    SGX_ENCLAVE = 1
    TD_REPORT_1_0 = 2
    TD_REPORT_1_5 = 3
    TD_REPORT_1_5_EXTENDED = 4


BODY_SIZE = MappingProxyType(
    {
        BodyType.SGX_ENCLAVE: report.SIZE,
        BodyType.TD_REPORT_1_0: 584,
        BodyType.TD_REPORT_1_5: 648,
        BodyType.TD_REPORT_1_5_EXTENDED: 885,
    }
)

# Which TEE a version may carry. Fewer than the format allows: no SGX quote of version 4 or 5 has been seen.
_KIND: Mapping[tuple[int, int], TeeKind] = MappingProxyType(
    {(3, TeeType.SGX): TeeKind.SGX, (4, TeeType.TDX): TeeKind.TDX, (5, TeeType.TDX): TeeKind.TDX}
)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first 48 bytes. The two SVNs are informational (0 from version 4 on, where they are reserved)."""

    version: int
    key_type: int
    tee_type: TeeType
    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes


class SignatureData(msgspec.Struct, frozen=True, kw_only=True):
    """signature, qe_report_signature: r ‖ s; attestation_key: x ‖ y; 64 bytes each, big-endian halves.

    certification_type, certification_data: what is said about the PCK; type 5 is a PEM chain.
    """

    signature: bytes
    attestation_key: bytes
    qe_report: report.EnclaveReport
    qe_report_signature: bytes
    auth_data: bytes
    certification_type: int
    certification_data: bytes


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A quote, parsed, *not* trusted.

    raw: the quote's own bytes, without padding. signed: what the attestation key signs, everything before
    the length of the signature data. padding: number of zero bytes that followed and were dropped.
    """

    raw: bytes
    kind: TeeKind
    header: Header
    body_type: BodyType
    body: bytes
    signed: bytes
    signature_data: SignatureData
    padding: int


def parse(raw: bytes) -> Quote:
    """Parse one quote.

    Raises EvidenceFormatError: EVIDENCE_EMPTY, EVIDENCE_TOO_LARGE; BAD_LENGTH (something ends early, or a
    size does not fit what it describes); UNSUPPORTED_VERSION, UNSUPPORTED_KEY_TYPE, UNSUPPORTED_TEE (unknown,
    or not with this version); BAD_VALUE (body type, outer certification type); TRAILING_DATA (bytes left over
    inside a container, or behind the quote anything but a limited run of zeros).
    """
    if not raw:
        raise EvidenceFormatError(Reason.EVIDENCE_EMPTY, "quote", expected="a quote", found="nothing")
    if len(raw) > MAX_INPUT:
        raise EvidenceFormatError(
            Reason.EVIDENCE_TOO_LARGE,
            "quote",
            expected=f"at most {MAX_INPUT} bytes",
            found=f"{len(raw)} bytes",
        )
    reader = Reader(raw, "quote")
    header, kind = _header(reader.take(HEADER_SIZE, "header"))
    body_type = BodyType.SGX_ENCLAVE if kind is TeeKind.SGX else BodyType.TD_REPORT_1_0
    if header.version == 5:
        body_type = _descriptor(reader)
    body = reader.take(BODY_SIZE[body_type], "body")
    signed_end = reader.offset
    signature = reader.take(reader.u32("signature data length"), "signature data")
    end = reader.offset
    _check_padding(raw, end)
    return Quote(
        raw=raw[:end],
        kind=kind,
        header=header,
        body_type=body_type,
        body=body,
        signed=raw[:signed_end],
        signature_data=_signature_v3(signature) if header.version == 3 else _signature_v4(signature),
        padding=len(raw) - end,
    )


def write(quote: Quote) -> bytes:
    """The bytes that `parse` read, built from the fields; equals `quote.raw`."""
    head, data = quote.header, quote.signature_data
    header = b"".join(
        (
            head.version.to_bytes(2, "little"),
            head.key_type.to_bytes(2, "little"),
            head.tee_type.to_bytes(4, "little"),
            head.qe_svn.to_bytes(2, "little"),
            head.pce_svn.to_bytes(2, "little"),
            head.qe_vendor_id,
            head.user_data,
        )
    )
    descriptor = b""
    if head.version == 5:
        descriptor = quote.body_type.to_bytes(2, "little") + len(quote.body).to_bytes(4, "little")
    qe = b"".join(
        (
            data.qe_report.raw,
            data.qe_report_signature,
            len(data.auth_data).to_bytes(2, "little"),
            data.auth_data,
            _container(data.certification_type, data.certification_data),
        )
    )
    if head.version != 3:
        qe = _container(QE_REPORT_CERTIFICATION_DATA, qe)
    signature = data.signature + data.attestation_key + qe
    return header + descriptor + quote.body + len(signature).to_bytes(4, "little") + signature


def _header(raw: bytes) -> tuple[Header, TeeKind]:
    version, key_type, tee, qe_svn, pce_svn, vendor_id, user_data = _CUT_HEADER.unpack(raw)
    if version not in (3, 4, 5):
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_VERSION, "quote.header.version", expected="3, 4 or 5", found=version
        )
    if key_type != ECDSA_P256:
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_KEY_TYPE,
            "quote.header.attestation key type",
            expected="2 (ECDSA with P-256)",
            found=key_type,
        )
    kind = _KIND.get((version, tee))
    if kind is None:
        raise EvidenceFormatError(
            Reason.UNSUPPORTED_TEE,
            "quote.header.TEE type",
            expected="0 (SGX)" if version == 3 else "0x81 (TDX)",
            found=f"{tee:#x} in version {version}",
        )
    header = Header(
        version=version,
        key_type=key_type,
        tee_type=TeeType.SGX if kind is TeeKind.SGX else TeeType.TDX,
        qe_svn=qe_svn,
        pce_svn=pce_svn,
        qe_vendor_id=vendor_id,
        user_data=user_data,
    )
    return header, kind


def _descriptor(reader: Reader) -> BodyType:
    """Version 5: u16 type and u32 size, which must agree."""
    found, size = reader.u16("body type"), reader.u32("body size")
    if found not in (2, 3, 4):
        raise EvidenceFormatError(
            Reason.BAD_VALUE, "quote.body type", expected="2, 3 or 4 (a TD report)", found=found
        )
    body_type = BodyType(found)
    if size != BODY_SIZE[body_type]:
        raise EvidenceFormatError(
            Reason.BAD_LENGTH,
            "quote.body size",
            expected=f"{BODY_SIZE[body_type]} bytes for type {found}",
            found=f"{size} bytes",
        )
    return body_type


def _signature_v3(raw: bytes) -> SignatureData:
    reader = Reader(raw, "quote.signature data")
    signature, key = reader.take(64, "signature"), reader.take(64, "attestation key")
    return _qe_part(reader, signature, key)


def _signature_v4(raw: bytes) -> SignatureData:
    reader = Reader(raw, "quote.signature data")
    signature, key = reader.take(64, "signature"), reader.take(64, "attestation key")
    outer = reader.u16("certification type")
    if outer != QE_REPORT_CERTIFICATION_DATA:
        raise EvidenceFormatError(
            Reason.BAD_VALUE,
            "quote.signature data.certification type",
            expected="6 (QE report certification data)",
            found=outer,
        )
    inner = reader.take(reader.u32("certification data size"), "certification data")
    reader.end()
    return _qe_part(Reader(inner, "quote.QE report certification data"), signature, key)


def _qe_part(reader: Reader, signature: bytes, key: bytes) -> SignatureData:
    """QE report, its signature, authentication data and the inner certification data, to the end."""
    qe_report = report.parse(reader.take(report.SIZE, "QE report"), "QE report")
    qe_signature = reader.take(64, "QE report signature")
    auth = reader.take(reader.u16("authentication data size"), "authentication data")
    certification_type = reader.u16("certification data type")
    if not 1 <= certification_type <= 7 or certification_type == QE_REPORT_CERTIFICATION_DATA:
        raise EvidenceFormatError(
            Reason.BAD_VALUE,
            "quote.certification data type",
            expected="1 to 5, or 7",
            found=certification_type,
        )
    certification = reader.take(reader.u32("certification data size"), "certification data")
    reader.end()
    return SignatureData(
        signature=signature,
        attestation_key=key,
        qe_report=qe_report,
        qe_report_signature=qe_signature,
        auth_data=auth,
        certification_type=certification_type,
        certification_data=certification,
    )


def _container(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data


def _check_padding(raw: bytes, end: int) -> None:
    """Bytes behind the signature data are signed by nobody: only a bounded run of zeros may be there."""
    if end == len(raw):
        return
    if raw.count(0, end) != len(raw) - end:
        raise EvidenceFormatError(
            Reason.TRAILING_DATA,
            "quote",
            expected=f"end at offset {end}, or zero padding",
            found=f"{len(raw) - end} more bytes, not all zero",
        )
    if len(raw) > MAX_PADDED:
        raise EvidenceFormatError(
            Reason.TRAILING_DATA,
            "quote",
            expected=f"at most {MAX_PADDED} bytes with padding",
            found=f"{len(raw)} bytes",
        )
