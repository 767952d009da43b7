"""The words policies are written in: the verifiers' claims, a few of our own, and what they can describe.

A claim belongs to the kinds of evidence that can carry it. Naming `tdx.mr_td` in a rule for SEV-SNP is an
error when the rule is loaded, because at run time it would only ever be missing.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.errors import did_you_mean
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TeeKind

ALL_KINDS = frozenset(TeeKind)
_INTEL = frozenset({TeeKind.TDX, TeeKind.SGX})

# Longest prefix wins; a name with none of these is common to all kinds.
_PREFIXES: tuple[tuple[str, frozenset[TeeKind]], ...] = (
    ("collateral.amd", frozenset({TeeKind.SEV_SNP})),
    ("collateral.", _INTEL),
    ("dcap.", _INTEL),
    ("pck.", _INTEL),
    ("qe.", _INTEL),
    ("init_data.", frozenset({TeeKind.SEV_SNP, TeeKind.TDX})),
    ("snp.", frozenset({TeeKind.SEV_SNP})),
    ("tdx.", frozenset({TeeKind.TDX})),
    ("sgx.", frozenset({TeeKind.SGX})),
)

EVIDENCE_TYPE = "evidence.type"
INIT_DATA = "init_data.digest"

# Where the init-data digest stands in each kind of evidence (CoCo init-data specification): HOST_DATA holds
# exactly a SHA-256; MRCONFIGID a SHA-384, or a SHA-256 followed by 16 zero bytes.
INIT_DATA_REGISTER: Mapping[TeeKind, tuple[str, int]] = MappingProxyType(
    {TeeKind.SEV_SNP: ("snp.host_data", 32), TeeKind.TDX: ("tdx.mr_config_id", 48)}
)
INIT_DATA_SIZES = (32, 48)

_VIRTUAL = (
    ClaimSpec(
        name=INIT_DATA,
        type=ClaimType.DIGEST,
        doc="digest of the init-data document that the guest was launched with",
        source="HOST_DATA (SNP, SHA-256) or MRCONFIGID (TDX, SHA-384, or SHA-256 and 16 zero bytes)",
        json=None,
    ),
    ClaimSpec(
        name=EVIDENCE_TYPE,
        type=ClaimType.TEXT,
        doc="kind of evidence",
        source="the evidence itself: report or quote header",
        json=None,
        values=tuple(kind.value for kind in TeeKind),
    ),
)


class Role(enum.StrEnum):
    """What a condition `role: {in_set: NAME}` establishes. Also the words it is written with."""

    GUEST = "guest"
    """Which image was launched."""
    WORKLOAD = "workload"
    """Which pod, container or application runs in it."""
    PLATFORM = "platform"
    """Which machine it runs on."""


ROLES: Mapping[str, Role] = MappingProxyType({role.value: role for role in Role})

# An entry can serve a role for a kind only if it states at least one of these claims.
ROLE_CLAIMS: Mapping[tuple[Role, TeeKind], frozenset[str]] = MappingProxyType(
    {
        (Role.GUEST, TeeKind.SEV_SNP): frozenset({"snp.measurement"}),
        (Role.GUEST, TeeKind.TDX): frozenset({"tdx.mr_td", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"}),
        (Role.GUEST, TeeKind.SGX): frozenset({"sgx.mr_enclave", "sgx.mr_signer"}),
        (Role.WORKLOAD, TeeKind.SEV_SNP): frozenset({"snp.host_data"}),
        (Role.WORKLOAD, TeeKind.TDX): frozenset({"tdx.mr_config_id", "tdx.rtmr3"}),
        (Role.WORKLOAD, TeeKind.SGX): frozenset({"sgx.mr_enclave", "sgx.config_id"}),
        (Role.PLATFORM, TeeKind.SEV_SNP): frozenset({"snp.chip_id"}),
        (Role.PLATFORM, TeeKind.TDX): frozenset({"tdx.pck.ppid", "tdx.pck.platform_instance_id"}),
        (Role.PLATFORM, TeeKind.SGX): frozenset({"sgx.pck.ppid", "sgx.pck.platform_instance_id"}),
    }
)

# What identifies a launched image completely: anything less leaves part of it to the host.
GUEST_COMPLETE: Mapping[TeeKind, frozenset[str]] = MappingProxyType(
    {
        TeeKind.SEV_SNP: frozenset({"snp.measurement"}),
        TeeKind.TDX: frozenset({"tdx.mr_td", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"}),
        TeeKind.SGX: frozenset({"sgx.mr_enclave"}),
    }
)

DEBUG_CLAIMS: Mapping[TeeKind, str] = MappingProxyType(
    {
        TeeKind.SEV_SNP: "snp.policy.debug",
        TeeKind.TDX: "tdx.td_attributes.debug",
        TeeKind.SGX: "sgx.attributes.debug",
    }
)


@dataclass(frozen=True, slots=True)
class Admissible:
    """What a verifier leaves open, UNKNOWN, for the platform baseline to decide; `check` is the question."""

    kind: TeeKind
    check: str


ADMISSIBLE: Mapping[str, Admissible] = MappingProxyType(
    {"snp.report-version-4": Admissible(TeeKind.SEV_SNP, "snp.version")}
)
"""What a baseline may write under `admits`. Nothing here is admitted by a baseline that does not name it."""

EVIDENCE_VERSION = "evidence.version"
OPEN_VERSIONS: Mapping[TeeKind, Mapping[int, str]] = MappingProxyType(
    {TeeKind.SEV_SNP: MappingProxyType({4: "snp.report-version-4"})}
)
"""Versions of evidence that the verifier leaves open, and the word by which a baseline admits each."""

REVOCATION_CHECK: Mapping[TeeKind, str] = MappingProxyType(
    {
        TeeKind.SEV_SNP: "snp.revocation",
        TeeKind.TDX: "dcap.revocation",
        TeeKind.SGX: "dcap.revocation",
    }
)
"""The verifier's own check. A baseline rule of the same name can stand for it while its input is missing."""


@functools.lru_cache(maxsize=4096)
def kinds_of(claim: str) -> frozenset[TeeKind]:
    """The kinds of evidence that can carry `claim`, a claim name or a role."""
    return next((kinds for prefix, kinds in _PREFIXES if claim.startswith(prefix)), ALL_KINDS)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every claim a document may name."""

    specs: Mapping[str, ClaimSpec]

    @classmethod
    def of(cls, table: Mapping[str, ClaimSpec]) -> Vocabulary:
        """The verifiers' claims and ours; theirs win where both have a row."""
        return cls(MappingProxyType({**{spec.name: spec for spec in _VIRTUAL}, **table}))

    def suggest(self, word: str) -> str | None:
        """What was probably meant, including by those who know another verifier's names."""
        known = [
            spec.name
            for spec in self.specs.values()
            if word and word in {spec.trustee, spec.trust_authority, spec.json}
        ]
        if known:
            return f"here it is called {' or '.join(known)}"
        hint = did_you_mean(word, self.specs)
        if hint is None:
            return None
        name = hint.removeprefix("did you mean ").removesuffix("?")
        return f"did you mean {name} ({describe(self.specs[name])})?"


def describe(spec: ClaimSpec) -> str:
    """Type and length, for messages: "digest, 48 bytes"."""
    return spec.type.value if spec.length is None else f"{spec.type.value}, {spec.length} bytes"
