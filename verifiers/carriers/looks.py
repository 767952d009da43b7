"""What unknown bytes look like, for error texts that help. Decides nothing."""

from __future__ import annotations

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip data: unpack it first with gunzip"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\xfd7zXZ\x00", "xz data: unpack it first with unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd data: unpack it first with unzstd"),
    (b"BZh", "bzip2 data: unpack it first with bunzip2"),
    (b"\x7fELF", "an ELF program"),
    (b"%PDF", "a PDF document"),
    (b"HCLA", "an Azure HCL report"),
    (b"CCEL", "a CCEL table: the event log travels beside the quote, it is no evidence by itself"),
    (b"_ASF", "IGVM or firmware data"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    (b"\xef\xbb\xbf", "text with a byte-order mark: save it without"),
    (b"\xff\x54\x43\x47", "a TPM quote (TPMS_ATTEST): give it inside az-snp-vtpm or az-tdx-vtpm evidence"),
)
_PEM: tuple[tuple[bytes, str], ...] = (
    (b"PRIVATE KEY", "a private key: it is no evidence, and belongs nowhere near this command"),
    (b"X509 CRL", "a PEM CRL: give it with --collateral"),
    (b"CERTIFICATE", "a PEM certificate: give it with --collateral"),
)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_SPACE = b" \t\r\n"
_LOOK = 4096
"""Bytes looked at; enough to tell what something is."""


def describe(raw: bytes) -> str:
    """A short phrase for people: what these bytes look like and, where known, what to do about it."""
    if not raw:
        return "nothing"
    for magic, name in _MAGIC:
        if raw.startswith(magic):
            return name
    if b"Spec ID Event03\x00" in raw[:64]:
        return "a TCG event log: it travels beside the quote, it is no evidence by itself"
    head = raw[:_LOOK].strip(_SPACE)
    if not head:
        return f"{len(raw)} bytes of white space"
    if head.startswith(b"-----BEGIN "):
        return next((name for mark, name in _PEM if mark in head[:64]), "PEM text of an unknown kind")
    if not any(raw[:_LOOK]):
        return f"{len(raw)} bytes that begin with zeros only"
    if raw[:1] == b"\x30" and len(raw) > 4 and raw[1] in (0x81, 0x82, 0x83):
        return "DER, as certificates and CRLs are: give it with --collateral"
    return _text(head, len(raw)) or f"{len(raw)} bytes that begin {raw[:8].hex()}"


def _text(head: bytes, size: int) -> str | None:
    if any(byte < 0x20 and byte not in _SPACE for byte in head) or not head.isascii():
        return None
    compact = head.translate(None, _SPACE)
    if set(compact) <= _HEX and len(compact) >= 8:
        return "hexadecimal text: decode it first with xxd -r -p"
    if compact.startswith(b"eyJ") and compact.count(b".") == 2:
        return "a JWT: that is an attestation result, not evidence"
    if head[:1] == b"<":
        return "HTML or XML: an error page of the server it was fetched from?"
    if head[:1] in b"{[":
        return "JSON of an unknown shape"
    if set(compact) <= _BASE64 and len(compact) >= 16:
        command = "basenc --base64url -d" if b"-" in compact or b"_" in compact else "base64 -d"
        return f"base64 text: decode it first with {command}"
    return f"{size} bytes of text"
