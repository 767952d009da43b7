"""AMD-shaped certificates and CRLs under the simulator's own ARKs.

Names, extensions, their order and encodings are those of certificates that AMD issued (AMD 57230, VCEK
Certificate and KDS Interface Specification, chapter 3, and the published chains); the keys are not AMD's.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.simulator import derwrite as d
from gateway.simulator import keys, x509build
from gateway.simulator.x509build import Extension, Signer
from verifiers.model import TcbVersion

ARC = "1.3.6.1.4.1.3704.1"
OIDS: Mapping[str, str] = {
    "structVersion": f"{ARC}.1",
    "productName": f"{ARC}.2",
    "blSPL": f"{ARC}.3.1",
    "teeSPL": f"{ARC}.3.2",
    "snpSPL": f"{ARC}.3.3",
    "spl4": f"{ARC}.3.4",
    "spl5": f"{ARC}.3.5",
    "spl6": f"{ARC}.3.6",
    "spl7": f"{ARC}.3.7",
    "ucodeSPL": f"{ARC}.3.8",
    "fmcSPL": f"{ARC}.3.9",
    "hwID": f"{ARC}.4",
    "cspID": f"{ARC}.5",
}
"""AMD 57230, table "VCEK Certificate Extensions": name to OID."""

# The order in which AMD's certificates carry the SPLs.
_UNTIL_GENOA = ("blSPL", "teeSPL", "spl4", "spl5", "spl6", "spl7", "snpSPL", "ucodeSPL")
_FROM_TURIN = ("fmcSPL", "blSPL", "teeSPL", "snpSPL", "spl5", "spl6", "spl7", "ucodeSPL")

_SERIALS = {
    ("Milan", "ARK"): 0x10000,
    ("Milan", "ASK"): 0x10001,
    ("Milan", "ASVK"): 0x10101,
    ("Genoa", "ARK"): 0x20000,
    ("Genoa", "ASK"): 0x20002,
    ("Genoa", "ASVK"): 0x20101,
    ("Turin", "ARK"): 0x30000,
    ("Turin", "ASK"): 0x30001,
    ("Turin", "ASVK"): 0x30101,
}
CA_NOT_BEFORE = datetime(2022, 1, 1, tzinfo=UTC)
CA_NOT_AFTER = datetime(2047, 1, 1, tzinfo=UTC)


def name(common_name: str) -> bytes:
    """The Name that AMD gives to `common_name`."""
    return x509build.name(
        ("OU", "Engineering"),
        ("C", "US"),
        ("L", "Santa Clara"),
        ("ST", "CA"),
        ("O", "Advanced Micro Devices"),
        ("CN", common_name),
    )


def common_name(product: str, role: str) -> str:
    """CN of an issuer: "ARK-Milan", "SEV-Milan" (the ASK), "SEV-VLEK-Milan" (the ASVK)."""
    return {"ARK": f"ARK-{product}", "ASK": f"SEV-{product}", "ASVK": f"SEV-VLEK-{product}"}[role]


def serial(product: str, role: str) -> int:
    """Serial number of an issuer's certificate: what a CRL names to revoke it."""
    return _SERIALS[product, role]


@functools.cache
def issuer(
    product: str,
    role: str,
    *,
    not_before: datetime = CA_NOT_BEFORE,
    not_after: datetime = CA_NOT_AFTER,
    signed_by: str = "ARK",
    path_length: int | None = 0,
    ca: bool = True,
    key_usage: int = x509build.KEY_CERT_SIGN,
) -> bytes:
    """DER of an ARK, ASK or ASVK. `signed_by` names the role whose key signs it; `path_length`, `ca` and
    `key_usage` are those of an ASK or ASVK (an ARK always is a CA for certificates and CRLs)."""
    own = keys.amd(product, role).public_key()
    path = "vlek" if role == "ASVK" else "vcek"
    source = x509build.crl_distribution_point(f"https://kdsintf.amd.com/{path}/v1/{product}/crl")
    extensions: tuple[Extension, ...]
    if role == "ARK":
        extensions = (
            x509build.key_usage(x509build.KEY_CERT_SIGN | x509build.CRL_SIGN),
            x509build.subject_key_id(own),
            x509build.basic_constraints(ca=True),
            source,
        )
    else:
        extensions = (
            x509build.subject_key_id(own),
            x509build.authority_key_id(keys.amd(product, "ARK").public_key()),
            x509build.basic_constraints(ca=ca, path_length=path_length),
            x509build.key_usage(key_usage, unused=1),
            source,
        )
    return x509build.certificate(
        serial=serial(product, role),
        signer=Signer(keys.amd(product, signed_by)),
        issuer=name(common_name(product, signed_by)),
        subject=name(common_name(product, role)),
        not_before=not_before,
        not_after=not_after,
        key=own,
        extensions=extensions,
    )


def leaf_extensions(
    *, struct_version: int, product_name: str, tcb: TcbVersion, hwid: bytes | None, csp_id: str | None
) -> dict[str, bytes]:
    """Extension name to content octets, in AMD's order; hwID is raw, everything else DER."""
    spl = {"blSPL": tcb.bootloader, "teeSPL": tcb.tee, "snpSPL": tcb.snp, "ucodeSPL": tcb.microcode}
    if tcb.fmc is not None:
        spl["fmcSPL"] = tcb.fmc
    out = {"structVersion": d.integer(struct_version), "productName": d.ia5_string(product_name)}
    for key in _FROM_TURIN if struct_version else _UNTIL_GENOA:
        out[key] = d.integer(spl.get(key, 0))
    if hwid is not None:
        out["hwID"] = hwid
    if csp_id is not None:
        out["cspID"] = d.ia5_string(csp_id)
    return out


def leaf(
    *,
    contents: Mapping[str, bytes],
    key: x509build.PublicKey,
    common_name: str,
    issued_by: str,
    sign_with: rsa.RSAPrivateKey,
    not_before: datetime,
    not_after: datetime,
    serial: int = 0,
    drop: Collection[str] = (),
    duplicate: Collection[str] = (),
    extra: Iterable[Extension] = (),
    trailer_field: bool = False,
) -> bytes:
    """DER of a VCEK or VLEK. `drop` and `duplicate` name extensions of `OIDS`; a duplicate comes last.

    Serial 0 is what AMD gives to every leaf. Like AMD's, it has no other extensions.
    """
    extensions = [Extension(OIDS[key], value) for key, value in contents.items() if key not in drop]
    extensions += [Extension(OIDS[key], contents[key]) for key in duplicate]
    return x509build.certificate(
        serial=serial,
        signer=Signer(sign_with, trailer_field=trailer_field),
        issuer=name(issued_by),
        subject=name(common_name),
        not_before=not_before,
        not_after=not_after,
        key=key,
        extensions=(*extensions, *extra),
    )


def crl(
    product: str,
    *,
    revoked: Collection[int],
    this_update: datetime,
    next_update: datetime | None,
    number: int | None,
    sign_with: rsa.RSAPrivateKey | None = None,
    issued_by: str | None = None,
    extra: Iterable[Extension] = (),
) -> bytes:
    """DER of a CRL as the ARK issues them; None leaves nextUpdate or the CRL number out."""
    ark = keys.amd(product, "ARK")
    numbered = () if number is None else (x509build.crl_number(number),)
    return x509build.crl(
        signer=Signer(sign_with or ark),
        issuer=name(issued_by or common_name(product, "ARK")),
        this_update=this_update,
        next_update=next_update,
        revoked=revoked,
        extensions=(x509build.authority_key_id(ark.public_key()), *numbered, *extra),
    )
