"""Stable reason codes, and the exceptions that carry them.

    AttestationError
    ├── EvidenceFormatError    the bytes are not what they claim to be (caused by the peer)
    ├── EndorsementFormatError a certificate, CRL, TCB info or identity cannot be read
    ├── VettingError           it can be read, and nobody whom we trust vouches for it
    └── PolicyError            an operator's document cannot be understood (raised in policies)

Exceptions are for input that cannot be *read*. What can be read and is wrong (a bad signature, an old
TCB) is a `Check` in the result, with one of the same codes: a verdict is data, not control flow. Vetting
(`vetting.py`) raises in both cases: there is no result in which an endorsement that nobody vouches for could
stand.
"""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Codes seen by clients, auditors and tests. Add; never rename or reuse."""

    # Reading evidence.
    EVIDENCE_EMPTY = "evidence.empty"
    EVIDENCE_TOO_LARGE = "evidence.too-large"
    EVIDENCE_UNRECOGNISED = "evidence.unrecognised"
    EVIDENCE_TYPE_MISMATCH = "evidence.type-mismatch"
    BAD_LENGTH = "evidence.bad-length"
    BAD_VALUE = "evidence.bad-value"
    BAD_ENCODING = "evidence.bad-encoding"
    TRAILING_DATA = "evidence.trailing-data"
    DUPLICATE = "evidence.duplicate"
    TOO_DEEP = "evidence.too-deep"
    UNSUPPORTED_VERSION = "evidence.unsupported-version"
    UNSUPPORTED_KEY_TYPE = "evidence.unsupported-key-type"
    UNSUPPORTED_TEE = "evidence.unsupported-tee"
    SIMULATED = "evidence.simulated"
    SAMPLE = "evidence.sample"
    LOCAL_REPORT = "evidence.local-report"
    COMPOSITE = "evidence.composite-unsupported"
    RUNTIME_CLAIMS_MISMATCH = "evidence.runtime-claims-mismatch"

    # Binding of evidence to this exchange.
    REPORT_DATA_MISMATCH = "binding.report-data"
    REPORT_DATA_NOT_COMPARED = "binding.not-compared"

    # Endorsements, whatever the vendor.
    CERTIFICATE_MALFORMED = "collateral.certificate-malformed"
    COLLATERAL_MALFORMED = "collateral.malformed"
    COLLATERAL_UNRECOGNISED = "collateral.unrecognised"
    COLLATERAL_SIGNATURE = "collateral.signature"
    COLLATERAL_EXPIRED = "collateral.expired"
    COLLATERAL_NOT_YET_VALID = "collateral.not-yet-valid"
    CRL_SIGNATURE = "collateral.crl-signature"
    CRL_EXPIRED = "collateral.crl-expired"
    CRL_NOT_YET_VALID = "collateral.crl-not-yet-valid"
    CRL_MALFORMED = "collateral.crl-malformed"
    COLLATERAL_TOO_MANY = "collateral.too-many"

    # SEV-SNP.
    SNP_VCEK_MISSING = "collateral.vcek-missing"
    SNP_VLEK_MISSING = "collateral.vlek-missing"
    SNP_CRL_MISSING = "collateral.amd-crl-missing"
    SNP_CHAIN = "snp.chain"
    SNP_CHAIN_NAMES = "snp.chain-names"
    SNP_CHAIN_DATES = "snp.chain-dates"
    SNP_REVOKED = "snp.revoked"
    SNP_SIGNATURE = "snp.signature"
    SNP_VERSION = "snp.version"
    SNP_RESERVED = "snp.reserved"
    SNP_HOST_REQUESTED = "snp.host-requested"
    SNP_SIGNING_KEY = "snp.signing-key"
    SNP_PRODUCT = "snp.product"
    SNP_TCB_CERTIFICATE = "snp.tcb-certificate"
    SNP_TCB_ORDER = "snp.tcb-order"
    SNP_CHIP_ID = "snp.chip-id"
    SNP_CSP_ID = "snp.csp-id"

    # Intel DCAP: SGX and TDX.
    DCAP_PCK_MISSING = "collateral.pck-missing"
    DCAP_TCB_INFO_MISSING = "collateral.tcb-missing"
    DCAP_QE_IDENTITY_MISSING = "collateral.qe-identity-missing"
    DCAP_PCK_CRL_MISSING = "collateral.pck-crl-missing"
    DCAP_ROOT_CRL_MISSING = "collateral.root-crl-missing"
    DCAP_TCB_CHAIN_MISSING = "collateral.tcb-signing-chain-missing"
    DCAP_FMSPC_MISMATCH = "collateral.fmspc-mismatch"
    DCAP_PCEID_MISMATCH = "collateral.pceid-mismatch"
    DCAP_WRONG_TEE = "collateral.wrong-tee"
    DCAP_CHAIN = "dcap.chain"
    DCAP_CHAIN_NAMES = "dcap.chain-names"
    DCAP_CHAIN_DATES = "dcap.chain-dates"
    DCAP_REVOKED = "dcap.revoked"
    DCAP_QE_SIGNATURE = "dcap.qe-report-signature"
    DCAP_KEY_BINDING = "dcap.attestation-key-binding"
    DCAP_SIGNATURE = "dcap.signature"
    DCAP_HEADER = "dcap.header"
    DCAP_QE_IDENTITY = "dcap.qe-identity"
    DCAP_QE_REVOKED = "dcap.qe-revoked"
    DCAP_TCB_NOT_SUPPORTED = "dcap.tcb-not-supported"
    DCAP_TCB_REVOKED = "dcap.tcb-revoked"
    DCAP_MODULE_MISMATCH = "dcap.module-mismatch"
    TDX_ATTRIBUTES = "tdx.attributes"
    TDX_XFAM = "tdx.xfam"
    TDX_SEAM = "tdx.seam"
    TDX_EVENT_LOG = "tdx.event-log"
    TDX_EVENT_LOG_MALFORMED = "tdx.event-log-malformed"
    TDX_EVENT_LOG_NOT_GIVEN = "tdx.event-log-not-given"
    SGX_ATTRIBUTES = "sgx.attributes"


class AttestationError(Exception):
    """Caused by what a peer or an operator gave us; never by our own bug.

    `where` names the field or place; `expected` and `found` are short texts without secrets. A peer
    is told `reason` and `where`; operators are told everything.
    """

    def __init__(self, reason: str, where: str, *, expected: object, found: object) -> None:
        self.reason, self.where = str(reason), where
        self.expected, self.found = str(expected), str(found)
        super().__init__(f"{where}: expected {expected}, found {found} [{reason}]")


class EvidenceFormatError(AttestationError):
    """The evidence cannot be read as what it claims to be."""


class EndorsementFormatError(AttestationError):
    """A certificate, CRL, TCB info or enclave identity cannot be read."""


class VettingError(AttestationError):
    """An endorsement can be read, and does not lead to a pin, or is not what it was taken for."""
