"""AMD's extensions of VCEK and VLEK certificates, read strictly.

Source: AMD 57230, "VCEK Certificate and KDS Interface Specification", chapter 3, checked against
certificates that AMD issued. Everything in the arc is known and there once, or the certificate is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verifiers.codec import der
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import TcbVersion
from verifiers.sevsnp.product import Product

ARC = "1.3.6.1.4.1.3704.1"

_SPL: Mapping[str, str] = {
    "3.1": "blSPL",
    "3.2": "teeSPL",
    "3.3": "snpSPL",
    "3.4": "spl4",
    "3.5": "spl5",
    "3.6": "spl6",
    "3.7": "spl7",
    "3.8": "ucodeSPL",
    "3.9": "fmcSPL",
}
_ABSENT: Mapping[int, str] = {0: "fmcSPL", 1: "spl4"}
"""The one SPL that certificates of this structVersion do not have."""

_KNOWN = {"1": "structVersion", "2": "productName", "4": "hwID", "5": "cspID", **_SPL}

_HWID_WRAPPED = {66: b"\x04\x40", 10: b"\x04\x08"}
"""Length with a DER header, and that header."""

_CSP_ID_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafExtensions:
    """What AMD certifies about a VCEK or VLEK.

    product_name: as written, "Milan-B0". product: its line, or None when we know none of that name.
    hwid: 64 or 8 bytes, in VCEKs only. csp_id: "CN=cc-us-east-2.amazonaws.com", in VLEKs only; which of them
    a certificate must have is `verify`'s question.
    """

    struct_version: int
    product_name: str
    product: Product | None
    tcb: TcbVersion
    hwid: bytes | None
    csp_id: str | None


def parse(extensions: Mapping[str, tuple[bool, bytes]], where: str) -> LeafExtensions:
    """Read the extensions of AMD's arc out of a certificate's (`crypto.x509.Certificate.extensions`).

    Raises EndorsementFormatError(CERTIFICATE_MALFORMED) for one that is missing, unknown or not encoded as
    the specification says. Duplicates never arrive here: `crypto.x509.parse` refuses them.
    """
    found: dict[str, bytes] = {}
    for oid, (_, value) in extensions.items():
        if oid == ARC or oid.startswith(ARC + "."):
            name = _KNOWN.get(oid.removeprefix(ARC + "."))
            if name is None:
                raise _bad(where, "known AMD extensions only", oid)
            found[name] = value
    version = _integer(found, "structVersion", where, high=1)
    values = {
        name: _integer(found, name, where, high=255)
        for name in _SPL.values()
        if name != _ABSENT[version] or name in found
    }
    if _ABSENT[version] in values:
        raise _bad(f"{where}.{_ABSENT[version]}", f"absent in structVersion {version}", "present")
    for name in ("spl4", "spl5", "spl6", "spl7"):
        if values.get(name, 0) != 0:
            raise _bad(f"{where}.{name}", "0 (reserved)", str(values[name]))
    product_name = _text(found, "productName", where)
    line = product_name.split("-", 1)[0]
    return LeafExtensions(
        struct_version=version,
        product_name=product_name,
        product=Product(line) if line in list(Product) else None,
        tcb=TcbVersion(
            fmc=values.get("fmcSPL"),
            bootloader=values["blSPL"],
            tee=values["teeSPL"],
            snp=values["snpSPL"],
            microcode=values["ucodeSPL"],
        ),
        hwid=_hwid(found["hwID"], where) if "hwID" in found else None,
        csp_id=_text(found, "cspID", where) if "cspID" in found else None,
    )


def _integer(found: Mapping[str, bytes], name: str, where: str, *, high: int) -> int:
    where = f"{where}.{name}"
    return der.integer(der.only(_value(found, name, where), der.INTEGER, where), where, low=0, high=high)


def _text(found: Mapping[str, bytes], name: str, where: str) -> str:
    where = f"{where}.{name}"
    text = der.ia5_string(der.only(_value(found, name, where), der.IA5_STRING, where), where)
    if not 0 < len(text) <= _CSP_ID_MAX:
        raise _bad(where, f"1..{_CSP_ID_MAX} characters", str(len(text)))
    return text


def _value(found: Mapping[str, bytes], name: str, where: str) -> bytes:
    if name not in found:
        raise _bad(where, "the extension", "none")
    return found[name]


def _hwid(raw: bytes, where: str) -> bytes:
    """hwID is raw octets today. Length decides first, since a raw id may begin with any byte, also with
    one that looks like a DER tag."""
    if len(raw) in (64, 8):
        return raw
    head = _HWID_WRAPPED.get(len(raw))
    if head is not None and raw[:2] == head:
        return raw[2:]
    raise _bad(f"{where}.hwID", "64 or 8 octets, or an OCTET STRING of them", f"{len(raw)} octets")


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CERTIFICATE_MALFORMED, where, expected=expected, found=found)
