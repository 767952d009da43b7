"""Intel's Provisioning Certification Service, version 4, or a caching service (PCCS) in its place.

TCB info and identities of both update channels, CRLs of the PCK CAs and of the root, PCKs by encrypted PPID.
Issuer chains come in headers, as URL-encoded PEM; certificates that arrive so are there to build chains from
and trusted by nobody. Source: Intel PCS API v4; PCCS design guide for what differs there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from gateway.collateral import slots
from gateway.collateral.dial import Reply, Request
from gateway.collateral.vendors import fitting
from verifiers import collateral as classifier
from verifiers import vetting
from verifiers.crypto import x509
from verifiers.errors import EndorsementFormatError, Reason, VettingError
from verifiers.model import AnchorSet, Need
from verifiers.vetting import Vetted

MAX_CRL = 512 * 1024
MAX_DOCUMENT = 256 * 1024
MAX_PCK = 32 * 1024
MAX_CHAIN = 16 * 1024
_ROOT_CRL = "/IntelSGXRootCA.der"
"""A CRL despite its name: the distribution point that Intel's certificates name."""
_TEE = re.compile(r"tdx|sgx", re.ASCII)
_SHAPES: Mapping[str, dict[str, re.Pattern[str]]] = MappingProxyType(
    {
        "intel.tcb-info": {"fmspc": re.compile(r"[0-9A-F]{12}", re.ASCII), "tee": _TEE},
        "intel.qe-identity": {"tee": _TEE},
        "intel.pck-crl": {"ca": re.compile(r"platform|processor", re.ASCII)},
        "intel.root-crl": {},
        "intel.pck": {
            "cpusvn": re.compile(r"[0-9a-f]{32}", re.ASCII),
            "encrypted_ppid": re.compile(r"[0-9a-f]{512}|[0-9a-f]{768}", re.ASCII),
            "pceid": re.compile(r"[0-9a-f]{4}", re.ASCII),
            "pcesvn": re.compile(r"[0-9a-f]{4}", re.ASCII),
        },
    }
)
_CHAINS = (
    "tcb-info-issuer-chain",
    "sgx-enclave-identity-issuer-chain",
    "sgx-pck-crl-issuer-chain",
    "sgx-pck-certificate-issuer-chain",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcs:
    """base, certificates: URLs without a slash at the end; the second serves the root CRL. caching: a PCCS,
    which serves that CRL itself. subscription_key: for PCKs; without one they cannot be asked for."""

    base: str
    certificates: str
    caching: bool = False
    subscription_key: str | None = field(default=None, repr=False)
    name: str = "intel"

    def requests(self, need: Need, channel: str) -> tuple[Request, ...]:
        shape = _SHAPES.get(need.kind)
        values = None if shape is None else fitting(need, shape)
        if values is None:
            return ()
        update = "&update=early" if channel == slots.EARLY else ""
        if need.kind == "intel.tcb-info":
            path = f"/{values['tee']}/certification/v4/tcb?fmspc={values['fmspc'].lower()}{update}"
            return (Request(url=self.base + path, cap=MAX_DOCUMENT),)
        if need.kind == "intel.qe-identity":
            path = f"/{values['tee']}/certification/v4/qe/identity{update.replace('&', '?')}"
            return (Request(url=self.base + path, cap=MAX_DOCUMENT),)
        if need.kind == "intel.pck-crl":
            path = f"/sgx/certification/v4/pckcrl?ca={values['ca']}&encoding=der"
            return (Request(url=self.base + path, cap=MAX_CRL),)
        if need.kind == "intel.root-crl":
            there = self.base + "/sgx/certification/v4/rootcacrl"
            return (Request(url=there if self.caching else self.certificates + _ROOT_CRL, cap=MAX_CRL),)
        return self._pck(values)

    def read(
        self, need: Need, reply: Reply, where: str, pool: Sequence[bytes], anchors: AnchorSet
    ) -> tuple[Vetted, ...]:
        pool = (*_chain(reply, where), *pool)
        if need.kind == "intel.tcb-info":
            made = vetting.tcb_info(reply.body, where, pool, anchors)
        elif need.kind == "intel.qe-identity":
            made = vetting.qe_identity(reply.body, where, pool, anchors)
        elif need.kind == "intel.pck":
            made = vetting.certificate(_certificate(reply.body, where), where, pool, anchors)
        else:
            made = vetting.intel_crl(_crl(reply.body, where), where, pool, anchors)
        found = made[-1]
        if found.kind != need.kind or not _answers(need, found):
            raise VettingError(
                Reason.COLLATERAL_UNRECOGNISED,
                where,
                expected=str(need)[:200],
                found=f"{found.kind} {dict(found.key)}"[:300],
            )
        return made

    def _pck(self, values: dict[str, str]) -> tuple[Request, ...]:
        if self.subscription_key is None or self.caching:
            return ()
        names = ("encrypted_ppid", "cpusvn", "pcesvn", "pceid")
        query = "&".join(f"{name}={values[name]}" for name in names)
        return (
            Request(
                url=f"{self.base}/sgx/certification/v4/pckcert?{query}",
                cap=MAX_PCK,
                secret_headers=MappingProxyType({"Ocp-Apim-Subscription-Key": self.subscription_key}),
            ),
        )


def _answers(need: Need, found: Vetted) -> bool:
    """About what was asked. Of a PCK only the PCE can be compared: the PPID was encrypted, and the
    certificate is the best for the TCB, not the one that was named."""
    if need.kind == "intel.pck":
        return found.get("pceid") == dict(need.key)["pceid"]
    return slots.key_of(found.kind, found.key) == slots.answers(need)


def _chain(reply: Reply, where: str) -> tuple[bytes, ...]:
    """The certificates in the headers. Raises EndorsementFormatError(CERTIFICATE_MALFORMED)."""
    for name in _CHAINS:
        text = reply.headers.get(name)
        if text is None:
            continue
        if len(text) > MAX_CHAIN:
            raise EndorsementFormatError(
                Reason.CERTIFICATE_MALFORMED, f"{where}: {name}",
                expected=f"at most {MAX_CHAIN} characters", found=str(len(text)),
            )  # fmt: skip
        return x509.split_pem(unquote_to_bytes(text), f"{where}: {name}", limit=4)
    return ()


def _crl(body: bytes, where: str) -> bytes:
    """DER, PEM or hexadecimal: services differ, whatever they are asked for."""
    found = classifier.classify(body, where)
    if len(found.crls) != 1 or found.certificates:
        raise EndorsementFormatError(
            Reason.CRL_MALFORMED, where, expected="one CRL", found=f"{len(found.crls)} CRLs"
        )
    return found.crls[0]


def _certificate(body: bytes, where: str) -> bytes:
    return x509.split_pem(body, where, limit=1)[0]
