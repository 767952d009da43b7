"""Certificates, CRLs and Intel's documents, field by field. Decodes; judges nothing and verifies nothing."""

from __future__ import annotations

from cryptography import x509 as pyca
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.cli.dissect import Block, Row, problem
from verifiers.collateral import Collateral
from verifiers.crypto import crl, x509
from verifiers.dcap import identity, pck, tcbinfo
from verifiers.dcap.document import SvnLevel
from verifiers.errors import AttestationError, EndorsementFormatError
from verifiers.sevsnp import certificates as amd
from verifiers.sevsnp import product

_MAX_SERIALS = 64


def collateral(found: Collateral) -> list[Block]:
    """One block for each piece."""
    return [
        *(certificate(raw, f"Certificate {n}") for n, raw in enumerate(found.certificates, 1)),
        *(revocation_list(raw, f"CRL {n}") for n, raw in enumerate(found.crls, 1)),
        *(tcb_info(raw, f"TCB info {n}") for n, raw in enumerate(found.tcb_infos, 1)),
        *(qe_identity(raw, f"QE identity {n}") for n, raw in enumerate(found.qe_identities, 1)),
    ]


def certificate(raw: bytes, title: str) -> Block:
    try:
        cert = x509.parse(raw, title)
    except EndorsementFormatError as error:
        return problem(error, title)
    ca = "CA" if cert.is_ca else "no CA"
    if cert.path_length is not None:
        ca += f", path length {cert.path_length}"
    rows = [
        Row("subject", _name(cert.subject)),
        Row("issuer", _name(cert.issuer)),
        Row("serial", f"{cert.serial:#x}"),
        Row("not before", f"{cert.not_before:%Y-%m-%dT%H:%M:%SZ}"),
        Row("not after", f"{cert.not_after:%Y-%m-%dT%H:%M:%SZ}"),
        Row("key", _key(cert.public_key)),
        Row("use", ca),
        Row("SHA-256", cert.sha256),
        *_vendor(cert),
    ]
    return Block(f"{title}: {cert.subject_cn}", tuple(rows))


def _vendor(cert: x509.Certificate) -> list[Row]:
    """AMD's and Intel's own extensions, decoded; every other one by OID."""
    try:
        if any(oid.startswith(amd.ARC) for oid in cert.extensions):
            return _amd(amd.parse(cert.extensions, cert.subject_cn))
        if pck.EXTENSION in cert.extensions:
            return _pck(pck.read(cert, cert.subject_cn))
    except EndorsementFormatError as error:
        return [Row("extensions", f"expected {error.expected}, found {error.found}", note=error.where)]
    return [
        Row(f"extension {oid}", f"{len(value)} bytes", note="critical" if critical else "")
        for oid, (critical, value) in cert.extensions.items()
    ]


def _amd(found: amd.LeafExtensions) -> list[Row]:
    rows = [
        Row("structVersion", str(found.struct_version)),
        Row("productName", found.product_name),
        Row("TCB", product.show(found.tcb)),
    ]
    if found.hwid is not None:
        rows.append(Row("hwID", found.hwid.hex()))
    if found.csp_id is not None:
        rows.append(Row("cspID", found.csp_id))
    return rows


def _pck(found: pck.Pck) -> list[Row]:
    kinds = ("standard", "scalable", "scalable with integrity")
    rows = [
        Row("FMSPC", found.fmspc.hex().upper()),
        Row("PPID", found.ppid.hex()),
        Row("PCEID", found.pce_id.hex()),
        Row("PCESVN", str(found.pce_svn)),
        Row("TCB components", " ".join(map(str, found.components))),
        Row("CPUSVN", found.cpu_svn.hex()),
        Row("SGX type", str(found.sgx_type), note=kinds[found.sgx_type] if found.sgx_type < 3 else ""),
    ]
    if found.platform_instance_id is not None:
        rows.append(Row("platform instance id", found.platform_instance_id.hex()))
    for name, flag in (
        ("dynamic platform", found.dynamic_platform),
        ("cached keys", found.cached_keys),
        ("SMT enabled", found.smt_enabled),
    ):
        if flag is not None:
            rows.append(Row(name, "yes" if flag else "no"))
    return rows


def revocation_list(raw: bytes, title: str) -> Block:
    try:
        found = crl.parse(raw, title)
    except EndorsementFormatError as error:
        return problem(error, title)
    serials = [f"{serial:x}" for serial in sorted(found.serials)]
    shown = " ".join(serials[:_MAX_SERIALS]) + (" …" if len(serials) > _MAX_SERIALS else "")
    rows = (
        Row("issuer", _name(found.issuer)),
        Row("thisUpdate", f"{found.this_update:%Y-%m-%dT%H:%M:%SZ}"),
        Row("nextUpdate", f"{found.next_update:%Y-%m-%dT%H:%M:%SZ}"),
        Row("number", str(found.number)),
        Row("revoked serials", shown or "none", note=f"{len(serials)}"),
        Row("SHA-256", found.sha256),
    )
    return Block(title, rows)


def tcb_info(raw: bytes, title: str) -> Block:
    try:
        info, signed = tcbinfo.parse(raw, title)
    except AttestationError as error:
        return problem(error, title)
    rows = [
        Row("id", info.tee.upper()),
        Row("FMSPC", info.fmspc.hex().upper()),
        Row("PCEID", info.pce_id.hex()),
        Row("evaluation number", str(info.evaluation_number)),
        Row("issued", f"{info.window.issued:%Y-%m-%dT%H:%M:%SZ}"),
        Row("next update", f"{info.window.next_update:%Y-%m-%dT%H:%M:%SZ}"),
        Row("SHA-256", signed.sha256),
    ]
    for number, level in enumerate(info.levels, 1):
        svns = " ".join(map(str, level.sgx_svns))
        if level.tdx_svns:
            svns += " | " + " ".join(map(str, level.tdx_svns))
        note = f"{level.date:%Y-%m-%d} {' '.join(level.advisory_ids)}".strip()
        rows.append(Row(f"level {number}: {level.status}", f"{svns} PCESVN {level.pce_svn}", note=note))
    for module in info.modules:
        rows += _svn_levels(module.levels, f"module {module.id}")
    return Block(f"{title}: {info.tee.upper()} {info.fmspc.hex().upper()}", tuple(rows))


def qe_identity(raw: bytes, title: str) -> Block:
    try:
        found, signed = identity.parse(raw, title)
    except AttestationError as error:
        return problem(error, title)
    rows = [
        Row("id", found.id),
        Row("evaluation number", str(found.evaluation_number)),
        Row("issued", f"{found.window.issued:%Y-%m-%dT%H:%M:%SZ}"),
        Row("next update", f"{found.window.next_update:%Y-%m-%dT%H:%M:%SZ}"),
        Row("MRSIGNER", found.mr_signer.hex()),
        Row("ISVPRODID", str(found.isv_prod_id)),
        Row("SHA-256", signed.sha256),
        *_svn_levels(found.levels, "level"),
    ]
    return Block(f"{title}: {found.id}", tuple(rows))


def _svn_levels(levels: tuple[SvnLevel, ...], name: str) -> list[Row]:
    return [
        Row(
            f"{name}: {level.status}",
            f"ISVSVN {level.isv_svn}",
            note=f"{level.date:%Y-%m-%d} {' '.join(level.advisory_ids)}".strip(),
        )
        for level in levels
    ]


def _name(encoded: bytes) -> str:
    try:
        return pyca.Name.from_bytes(encoded).rfc4514_string()
    except ValueError:
        return encoded.hex()


def _key(key: x509.PublicKey) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__
