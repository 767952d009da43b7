"""Assembles DCAP quotes, versions 3, 4 and 5, as quoting enclaves do.

Intel SGX ECDSA QuoteLib Reference, appendix A (version 3); Intel TDX DCAP Quoting Library API, appendix A.3
(versions 4 and 5). The other side of `verifiers/dcap/quote.py`, with tables of its own: a layout error shared
by both would go unseen. Fields are called as the claims are; all are bytes, and integers are little-endian.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

Layout = Mapping[str, tuple[int, int]]
"""Field name to (offset, size)."""

HEADER_SIZE = 48
HEADER: Layout = {
    "version": (0, 2),
    "key_type": (2, 2),
    "tee_type": (4, 4),
    "qe_svn": (8, 2),
    "pce_svn": (10, 2),
    "qe_vendor_id": (12, 16),
    "user_data": (28, 20),
}

ENCLAVE_SIZE = 384
ENCLAVE: Layout = {
    "cpu_svn": (0, 16),
    "misc_select": (16, 4),
    "cet_attributes": (20, 1),
    "isv_ext_prod_id": (32, 16),
    "attributes": (48, 16),
    "mr_enclave": (64, 32),
    "mr_signer": (128, 32),
    "config_id": (192, 64),
    "isv_prod_id": (256, 2),
    "isv_svn": (258, 2),
    "config_svn": (260, 2),
    "isv_family_id": (304, 16),
    "report_data": (320, 64),
}

_TD_1_0: Layout = {
    "tee_tcb_svn": (0, 16),
    "mr_seam": (16, 48),
    "mr_signer_seam": (64, 48),
    "seam_attributes": (112, 8),
    "td_attributes": (120, 8),
    "xfam": (128, 8),
    "mr_td": (136, 48),
    "mr_config_id": (184, 48),
    "mr_owner": (232, 48),
    "mr_owner_config": (280, 48),
    "rtmr0": (328, 48),
    "rtmr1": (376, 48),
    "rtmr2": (424, 48),
    "rtmr3": (472, 48),
    "report_data": (520, 64),
}
_TD_1_5: Layout = {**_TD_1_0, "tee_tcb_svn2": (584, 16), "mr_service_td": (600, 48)}
_TD_1_5_EXTENDED: Layout = {
    **_TD_1_5,
    "vm_id": (648, 1),
    "td_id": (649, 32),
    "dev_info": (681, 48),
    "init_servtd_hash": (729, 48),
    "init_servtd_attr": (777, 8),
    "init_cpu_svn": (785, 16),
    "init_tee_tcb_svn": (801, 16),
    "init_tee_fmspc": (817, 12),
    "curr_servtd_hash": (829, 48),
    "curr_servtd_attr": (877, 8),
}
TD_BODIES: Mapping[str, tuple[int, int, Layout]] = {
    "1.0": (2, 584, _TD_1_0),
    "1.5": (3, 648, _TD_1_5),
    "1.5ex": (4, 885, _TD_1_5_EXTENDED),
}
"""TD report version to (version 5 body type, size, layout)."""

SGX_BODY_TYPE = 1
ECDSA_P256 = 2
QE_REPORT_CERTIFICATION_DATA, PCK_CHAIN = 6, 5


def fill(layout: Layout, size: int, values: Mapping[str, bytes | int], patch: Mapping[int, bytes]) -> bytes:
    """`size` bytes: `values` over zeros by `layout`, then `patch`, offset to bytes.

    An integer is written little-endian. Raises ValueError, naming the field, for a value that does not fit.
    """
    out = bytearray(size)
    for name, value in values.items():
        start, length = layout[name]
        if isinstance(value, int) and 0 <= value < 1 << 8 * length:
            value = value.to_bytes(length, "little")
        if not isinstance(value, bytes) or len(value) != length:
            raise ValueError(f"{name} takes {length} bytes or an unsigned integer that fits, not {value!r}")
        out[start : start + length] = value
    for offset, raw in patch.items():
        if offset + len(raw) > size:
            raise ValueError(f"patch at {offset}: {len(raw)} bytes do not fit into {size}")
        out[offset : offset + len(raw)] = raw
    return bytes(out)


def body_descriptor(body_type: int, size: int) -> bytes:
    """What version 5 puts between header and body."""
    return body_type.to_bytes(2, "little") + size.to_bytes(4, "little")


def certification_data(kind: int, content: bytes) -> bytes:
    """{type u16, size u32, content}."""
    return kind.to_bytes(2, "little") + len(content).to_bytes(4, "little") + content


def sized_auth_data(auth_data: bytes) -> bytes:
    """{size u16, content}."""
    return len(auth_data).to_bytes(2, "little") + auth_data


def with_length(signature_data: bytes) -> bytes:
    """{size u32, content}: what follows the signed part of every quote."""
    return len(signature_data).to_bytes(4, "little") + signature_data


def pem(certificates: Iterable[bytes], label: str = "CERTIFICATE") -> bytes:
    """PEM, 64 columns, as in Intel's chains."""
    begin, end = f"-----BEGIN {label}-----\n".encode(), f"\n-----END {label}-----\n".encode()
    out = b""
    for raw in certificates:
        text = base64.b64encode(raw)
        lines = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
        out += begin + lines + end
    return out
