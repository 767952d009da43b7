"""Tell what an operator's collateral file is, by its content, and take the pieces out of it.

Certificates and CRLs in PEM or DER (hexadecimal DER too, as a PCCS serves the root CRL), Intel's TCB info and
QE identity as served, and the JSON bundles in which tools keep several of these together. Each piece is
parsed once, so that a damaged file is named at once; nothing is verified, and nothing here is trusted.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, fields
from typing import Any

from verifiers.carriers import binary, looks
from verifiers.codec import der, strictjson
from verifiers.crypto import crl, x509
from verifiers.errors import EndorsementFormatError, EvidenceFormatError, Reason

MAX_FILE = 1024 * 1024
"""Bytes. The largest real ones are CRLs and bundles under 20 thousand."""
MAX_PIECES = 32
"""Certificates and CRLs in one file."""

_SPACE = b" \t\r\n"
_HEX = frozenset(b"0123456789abcdefABCDEF")
_CERTIFICATE, _CRL = b"CERTIFICATE", b"X509 CRL"
# Members that tools use for pieces: PEM text, then hexadecimal or PEM CRLs.
_PEM_MEMBERS = (
    "issuer_chain", "pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain",
    "pck_certificate_chain", "vcekCert", "certificateChain",
)  # fmt: skip
_CRL_MEMBERS = ("crl_data", "pck_crl", "root_ca_crl")
_OTHER_MEMBERS = frozenset(
    {"tcb_info_json", "tcb_info", "tcb_info_signature", "qe_identity_json", "qe_identity",
     "qe_identity_signature", "tcbm", "cacheControl"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """Pieces of collateral, *not* verified.

    certificates, crls: DER. tcb_infos, qe_identities: PCS response bodies, exactly as served.
    """

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    tcb_infos: tuple[bytes, ...] = ()
    qe_identities: tuple[bytes, ...] = ()


def merge(*parts: Collateral) -> Collateral:
    """All pieces, in order, each once."""
    return Collateral(
        **{
            field.name: tuple(dict.fromkeys(piece for part in parts for piece in getattr(part, field.name)))
            for field in fields(Collateral)
        }
    )


def classify(raw: bytes, name: str) -> Collateral:
    """The pieces in one file; `name` is used in errors.

    Raises EndorsementFormatError: COLLATERAL_UNRECOGNISED (with what it looks like), COLLATERAL_MALFORMED
    (JSON that cannot be read), CERTIFICATE_MALFORMED, CRL_MALFORMED.
    """
    if len(raw) > MAX_FILE:
        raise _unknown(name, f"{len(raw)} bytes, more than {MAX_FILE}")
    head = raw.lstrip(_SPACE)
    if binary.recognise(raw) is not None:
        raise _unknown(name, "evidence: give it as EVIDENCE")
    if head.startswith(b"-----BEGIN "):
        return _pem(raw, name)
    if head[:1] == b"{":
        return _json(raw, name)
    return _binary(raw, name)


def _binary(raw: bytes, name: str) -> Collateral:
    """One certificate or CRL in DER, or in hexadecimal digits of it."""
    if raw[:1] == b"\x30" and len(raw) > 4:
        return _der(raw, name)
    compact = raw.translate(None, _SPACE)
    if len(compact) >= 64 and len(compact) % 2 == 0 and set(compact) <= _HEX and compact[:2] == b"30":
        return _der(bytes.fromhex(compact.decode("ascii")), name)
    raise _unknown(name, looks.describe(raw))


def _pem(raw: bytes, name: str) -> Collateral:
    """PEM blocks, certificates and CRLs in any order; blanks and one final NUL around them, nothing else."""
    certificates: list[bytes] = []
    crls: list[bytes] = []
    rest = raw.removesuffix(b"\x00").strip(_SPACE)
    while rest:
        if len(certificates) + len(crls) == MAX_PIECES:
            raise _unknown(name, f"more than {MAX_PIECES} PEM blocks")
        label, block, rest = _block(rest, name)
        if label == _CERTIFICATE:
            found = x509.split_pem(block, name, limit=1)[0]
            certificates.append(x509.parse(found, name).der)
        else:
            crls.append(crl.parse(_crl_body(block, name), name).der)
    return Collateral(certificates=tuple(certificates), crls=tuple(crls))


def _block(rest: bytes, name: str) -> tuple[bytes, bytes, bytes]:
    """Label and whole text of the first PEM block, and what follows it."""
    for label in (_CERTIFICATE, _CRL):
        if rest.startswith(b"-----BEGIN " + label + b"-----"):
            tail = b"-----END " + label + b"-----"
            end = rest.find(tail)
            if end < 0:
                raise _unknown(name, f"a PEM block without {tail.decode()}")
            end += len(tail)
            return label, rest[:end], rest[end:].strip(_SPACE)
    raise _unknown(name, looks.describe(rest))


def _crl_body(block: bytes, name: str) -> bytes:
    try:
        return binascii.a2b_base64(
            b"".join(block.splitlines()[1:-1]).translate(None, _SPACE), strict_mode=True
        )
    except ValueError:
        raise EndorsementFormatError(
            Reason.CRL_MALFORMED, name, expected="base64 inside PEM", found="something else"
        ) from None


def _der(raw: bytes, name: str) -> Collateral:
    """One certificate or one CRL. Told apart by the first element of what is signed: a version 3
    certificate begins with [0], a CRL with an INTEGER or its algorithm."""
    tbs = der.children(der.only(raw, der.SEQUENCE, name).value, name, limit=3)
    if not tbs or tbs[0].tag != der.SEQUENCE:
        raise _unknown(name, "DER that is neither a certificate nor a CRL")
    inner = tbs[0].value[:1]
    if inner == b"\xa0":
        return Collateral(certificates=(x509.parse(raw, name).der,))
    if inner in (b"\x02", b"\x30"):
        return Collateral(crls=(crl.parse(raw, name).der,))
    raise _unknown(name, "DER that is neither a certificate nor a CRL")


def _json(raw: bytes, name: str) -> Collateral:
    obj = _object(raw, name)
    if obj.keys() == {"tcbInfo", "signature"}:
        return Collateral(tcb_infos=(raw,))
    if obj.keys() == {"enclaveIdentity", "signature"}:
        return Collateral(qe_identities=(raw,))
    if "tcbEvaluationDataNumbers" in obj:
        raise _unknown(name, "Intel's list of TCB evaluation numbers, which is not needed")
    known = obj.keys() & {*_PEM_MEMBERS, *_CRL_MEMBERS, *_OTHER_MEMBERS}
    if not known or not all(isinstance(obj[key], str) for key in known):
        raise _unknown(name, "JSON of an unknown shape")
    return _bundle({key: obj[key] for key in known}, name)


def _object(raw: bytes, name: str) -> dict[str, Any]:
    try:
        obj = strictjson.loads(raw, name, limit=MAX_FILE, max_depth=16)
    except EvidenceFormatError as error:
        raise EndorsementFormatError(
            Reason.COLLATERAL_MALFORMED, error.where, expected=error.expected, found=error.found
        ) from None
    if not isinstance(obj, dict):
        raise _unknown(name, looks.describe(raw))
    return obj


def _bundle(obj: dict[str, str], name: str) -> Collateral:
    """Several pieces in one JSON object: dcap-qvl's collateral, PCS replies with headers, Azure THIM.

    Each member holds pieces and never another bundle, so nothing here goes deeper than one level.
    """
    parts: list[Collateral] = []
    for key in _PEM_MEMBERS:
        if obj.get(key):
            parts.append(_pem(obj[key].encode(), f"{name}:{key}"))
    for key in _CRL_MEMBERS:
        if obj.get(key):
            parts.append(_crls(obj[key].encode(), f"{name}:{key}"))
    for key, member in (("tcb_info", "tcbInfo"), ("qe_identity", "enclaveIdentity")):
        if obj.get(f"{key}_json"):
            parts.append(_document(obj[f"{key}_json"].encode(), member, f"{name}:{key}_json"))
        elif obj.get(key):
            # The inner object and its signature, kept apart: put together as Intel serves them.
            signature = obj.get(f"{key}_signature", "")
            body = f'{{"{member}":{obj[key]},"signature":"{signature}"}}'
            parts.append(_document(body.encode(), member, f"{name}:{key}"))
    return merge(*parts)


def _crls(raw: bytes, name: str) -> Collateral:
    return _pem(raw, name) if raw.lstrip(_SPACE).startswith(b"-----BEGIN ") else _binary(raw, name)


def _document(raw: bytes, member: str, name: str) -> Collateral:
    """Intel's reply with exactly `member` and its signature."""
    if _object(raw, name).keys() != {member, "signature"}:
        raise _unknown(name, f'JSON without exactly "{member}" and "signature"')
    return Collateral(tcb_infos=(raw,)) if member == "tcbInfo" else Collateral(qe_identities=(raw,))


def _unknown(name: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(
        Reason.COLLATERAL_UNRECOGNISED,
        name,
        expected="certificates, CRLs, Intel TCB info or QE identity",
        found=found,
    )
