"""What the lab serves, by name: endpoints, hosts, and what a rule may tell requests apart by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KDS, PCS, CERTIFICATES, PCCS = "kds", "pcs", "certificates", "pccs"
HOSTS: Mapping[str, str] = MappingProxyType(
    {
        KDS: "AMD Key Distribution Service",
        PCS: "Intel Provisioning Certification Service, version 4",
        CERTIFICATES: "Intel's certificate host: the root's CRL",
        PCCS: "a Provisioning Certificate Caching Service",
    }
)
"""Each has a port of its own, as each has a host name of its own in reality."""

VCEK, VLEK, CHAIN, AMD_CRL = "amd.vcek", "amd.vlek", "amd.cert-chain", "amd.crl"
TCB_INFO, QE_IDENTITY = "intel.tcb-info", "intel.qe-identity"
PCK_CRL, ROOT_CRL, PCK = "intel.pck-crl", "intel.root-crl", "intel.pck"
NUMBERS, FMSPCS = "intel.evaluation-numbers", "intel.fmspcs"

ENDPOINTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        VCEK: ("product", "chip_id"),
        VLEK: ("product",),
        CHAIN: ("product", "kind"),
        AMD_CRL: ("product", "kind"),
        TCB_INFO: ("tee", "fmspc", "update"),
        QE_IDENTITY: ("tee", "update"),
        PCK_CRL: ("ca",),
        ROOT_CRL: (),
        PCK: ("ppid",),
        NUMBERS: ("tee",),
        FMSPCS: (),
    }
)
"""Endpoint to the parts of its key. Names and parts are those of `verifiers.model.Need`, where it has them;
every key has `host` too. fmspc in upper case, chip_id and ppid in lower case."""

CRLS = frozenset({AMD_CRL, PCK_CRL, ROOT_CRL})
DOCUMENTS = frozenset({TCB_INFO, QE_IDENTITY, NUMBERS})
SIGNED = frozenset({VCEK, PCK}) | CRLS | DOCUMENTS
"""What carries a signature that a fault can spoil."""


_BOTH = (PCS, PCCS)
SERVED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys((VCEK, VLEK, CHAIN, AMD_CRL), (KDS,))
    | dict.fromkeys((TCB_INFO, QE_IDENTITY, PCK_CRL, PCK), _BOTH)
    | {ROOT_CRL: (CERTIFICATES, PCCS), NUMBERS: (PCS,), FMSPCS: (PCS,)}
)
"""Endpoint to its hosts."""


def concerned(pattern: str) -> frozenset[str]:
    """Every endpoint that `pattern` may mean."""
    return frozenset(e for e, hosts in SERVED_BY.items() if any(covers(pattern, e, host) for host in hosts))


def covers(pattern: str, endpoint: str, host: str) -> bool:
    """Is `endpoint` on `host` meant by `pattern`: "*", "amd.*", "intel.*", an endpoint, or a host?"""
    if pattern.endswith("*"):
        return endpoint.startswith(pattern[:-1])
    return pattern in (endpoint, host)


def patterns() -> tuple[str, ...]:
    """Everything that `covers` understands."""
    return ("*", "amd.*", "intel.*", *ENDPOINTS, *HOSTS)
