"""Intel-shaped certificates and CRLs under the simulator's own root.

Extensions, their order and encodings are those of certificates that Intel issued (Intel SGX PCK Certificate
and CRL Profile Specification). The organisation in every name is the simulator's, as in its pinned root;
only common names are Intel's.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.simulator import derwrite as d
from gateway.simulator import keys, seeds, x509build
from gateway.simulator.x509build import Extension, Signer

SGX_EXTENSION = "1.2.840.113741.1.13.1"
ROOT_NAME, PCK_NAME, TCB_SIGNING_NAME = (
    "Intel SGX Root CA",
    "Intel SGX PCK Certificate",
    "Intel SGX TCB Signing",
)
CA_NAMES = {"platform": "Intel SGX PCK Platform CA", "processor": "Intel SGX PCK Processor CA"}
"""The two issuers of PCK certificates; all TDX hosts are under the Platform CA."""

_ROOT_CRL_URL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_PCK_CRL_URL = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca={}&encoding=der"
_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2045, 1, 1, tzinfo=UTC)
_CA_USAGE = x509build.KEY_CERT_SIGN | x509build.CRL_SIGN
_LEAF_USAGE = x509build.DIGITAL_SIGNATURE | x509build.NON_REPUDIATION


def name(common_name: str) -> bytes:
    """The Name of `common_name`, in the shape of the pinned root's."""
    return x509build.name(("CN", common_name), ("O", "sealgate simulator"))


@functools.cache
def ca_key(ca: str) -> ec.EllipticCurvePrivateKey:
    """The key of the "platform" or "processor" CA, or of "root"."""
    return keys.intel_root() if ca == "root" else seeds.p256("", f"PCK {ca} CA")


@functools.cache
def tcb_signing_key() -> ec.EllipticCurvePrivateKey:
    """The key that signs TCB infos and enclave identities."""
    return seeds.p256("", "TCB signing")


def serial(key: x509build.PublicKey) -> int:
    """Intel's CAs and TCB signing certificate carry their key identifier as serial number."""
    return int.from_bytes(x509build.key_id(key), "big")


@functools.cache
def ca_certificate(
    ca: str, *, not_before: datetime = _NOT_BEFORE, not_after: datetime = _NOT_AFTER, is_ca: bool = True
) -> bytes:
    """DER of the Platform or Processor CA, issued by the pinned root."""
    own = ca_key(ca).public_key()
    return _under_root(
        CA_NAMES[ca],
        own,
        x509build.key_usage(_CA_USAGE),
        x509build.basic_constraints(ca=is_ca, path_length=0 if is_ca else None),
        not_before,
        not_after,
    )


@functools.cache
def tcb_signing_certificate(*, not_before: datetime = _NOT_BEFORE, not_after: datetime = _NOT_AFTER) -> bytes:
    """DER of the certificate that signs collateral, issued by the pinned root."""
    return _under_root(
        TCB_SIGNING_NAME,
        tcb_signing_key().public_key(),
        x509build.key_usage(_LEAF_USAGE),
        x509build.basic_constraints(ca=False),
        not_before,
        not_after,
    )


def _under_root(
    common_name: str,
    own: ec.EllipticCurvePublicKey,
    usage: Extension,
    constraints: Extension,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    root = keys.intel_root()
    return x509build.certificate(
        serial=serial(own),
        signer=Signer(root),
        issuer=name(ROOT_NAME),
        subject=name(common_name),
        not_before=not_before,
        not_after=not_after,
        key=own,
        extensions=(
            x509build.authority_key_id(root.public_key()),
            x509build.crl_distribution_point(_ROOT_CRL_URL),
            x509build.subject_key_id(own),
            usage,
            constraints,
        ),
    )


def sgx_elements(
    *,
    ppid: bytes,
    components: Sequence[int],
    pce_svn: int,
    cpu_svn: bytes,
    pce_id: bytes,
    fmspc: bytes,
    sgx_type: int,
    instance: bytes | None,
    configuration: Mapping[int, bool],
) -> dict[str, bytes]:
    """The elements of the SGX extension: OID suffix to the DER of its value, in Intel's order."""
    tcb = {f"2.{n}": d.integer(svn) for n, svn in enumerate(components, 1)}
    tcb |= {"2.17": d.integer(pce_svn), "2.18": d.octet_string(cpu_svn)}
    out = {
        "1": d.octet_string(ppid),
        "2": _pairs(tcb),
        "3": d.octet_string(pce_id),
        "4": d.octet_string(fmspc),
        "5": d.enumerated(sgx_type),
    }
    if instance is not None:
        out["6"] = d.octet_string(instance)
    if configuration:
        out["7"] = _pairs({f"7.{n}": d.boolean(flag) for n, flag in configuration.items()})
    return out


def _pairs(elements: Mapping[str, bytes]) -> bytes:
    """SEQUENCE OF SEQUENCE {OID, value}; keys are suffixes of the SGX extension's OID."""
    return d.sequence(
        *(d.sequence(d.oid(f"{SGX_EXTENSION}.{key}"), value) for key, value in elements.items())
    )


def pck_certificate(
    *,
    ca: str,
    key: ec.EllipticCurvePublicKey,
    elements: Mapping[str, bytes],
    serial: int,
    not_before: datetime,
    not_after: datetime,
    sign_with: ec.EllipticCurvePrivateKey | None = None,
    issued_by: str | None = None,
    common_name: str = PCK_NAME,
    drop: Collection[str] = (),
    extra: Iterable[Extension] = (),
) -> bytes:
    """DER of a PCK leaf. `drop` names elements of the SGX extension by suffix, "" the whole extension."""
    kept = {suffix: value for suffix, value in elements.items() if suffix not in drop}
    sgx = () if "" in drop else (Extension(SGX_EXTENSION, _pairs(kept)),)
    return x509build.certificate(
        serial=serial,
        signer=Signer(sign_with or ca_key(ca)),
        issuer=name(issued_by or CA_NAMES[ca]),
        subject=name(common_name),
        not_before=not_before,
        not_after=not_after,
        key=key,
        extensions=(
            x509build.authority_key_id(ca_key(ca).public_key()),
            x509build.crl_distribution_point(_PCK_CRL_URL.format(ca)),
            x509build.subject_key_id(key),
            x509build.key_usage(_LEAF_USAGE),
            x509build.basic_constraints(ca=False),
            *sgx,
            *extra,
        ),
    )


def crl(
    ca: str,
    *,
    revoked: Collection[int],
    this_update: datetime,
    next_update: datetime | None,
    number: int | None,
    sign_with: ec.EllipticCurvePrivateKey | None = None,
    issued_by: str | None = None,
    extra: Iterable[Extension] = (),
) -> bytes:
    """DER of the CRL of "platform", "processor" or "root"; None leaves nextUpdate or the number out."""
    key = ca_key(ca)
    numbered = () if number is None else (x509build.crl_number(number),)
    return x509build.crl(
        signer=Signer(sign_with or key),
        issuer=name(issued_by or (ROOT_NAME if ca == "root" else CA_NAMES[ca])),
        this_update=this_update,
        next_update=next_update,
        revoked=revoked,
        extensions=(*numbered, x509build.authority_key_id(key.public_key()), *extra),
    )
