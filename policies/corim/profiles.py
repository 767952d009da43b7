"""What a measurement of a CoRIM says in our claims, for the profiles that are known well enough to be sure.

SEV-SNP: draft-deeglaze-amd-sev-snp-corim-profile-02. Ours: a measurement is keyed by the claim's own name, so
that every claim of an entry can travel. Intel's profile names MRTD and MRENCLAVE with one key and leaves the
class of a TD open; its triples are refused until that is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

SNP_CHIP = UUID("d05e6d1b-9f46-4ae2-a610-ce3e6ee7e153")
SNP_CSP = UUID("89a7a1f0-e704-4faa-acbd-81c86df8a961")
SIGNING_KEY = "snp.signing_key"
CLASSES: Mapping[UUID, str] = MappingProxyType({SNP_CHIP: "VCEK", SNP_CSP: "VLEK"})
"""Class of an SNP environment to the key that signs its reports."""

SNP_PROFILES = ("http://amd.com/please-permalink-me", "tag:amd.com,2024:snp-corim-profile")
OWN_PROFILE = "tag:sealgate,2026:reference-values-1"
OWN_VENDOR = "sealgate"
INTEL_PROFILE = bytes.fromhex("6086480186f84d011001")
"""OID 2.16.840.1.113741.1.16.1, the content octets."""

# Keys of measurement-values-map.
VERSION, SVN, DIGESTS, FLAGS, RAW, NAME = 0, 1, 2, 3, 4, 11
SHA256, SHA384, SHA512 = 1, 7, 8
DIGEST_SIZES: Mapping[int, int] = MappingProxyType({SHA256: 32, SHA384: 48, SHA512: 64})
# CBOR tags.
TIME, URI, UUID_TAG, OID, SVN_EQUAL, SVN_MIN, BYTES = 1, 32, 37, 111, 552, 553, 560
UNSIGNED, COMID, COSWID, COTL = 501, 506, 505, 508

GUEST, ID_KEY, AUTHOR_KEY, CURRENT = 0, 5, 6, 8
"""mkeys of the SNP profile that map; the rest is refused by name."""

POLICY_FLAGS: Mapping[int, str] = MappingProxyType(
    {
        3: "snp.policy.debug",
        -1: "snp.policy.smt",
        -2: "snp.policy.migrate_ma",
        -3: "snp.policy.debug",
        -4: "snp.policy.single_socket",
        -5: "snp.policy.cxl_allow",
        -6: "snp.policy.mem_aes_256_xts",
        -7: "snp.policy.rapl_dis",
        -8: "snp.policy.ciphertext_hiding_dram",
        -9: "snp.policy.page_swap_disable",
    }
)
PLATFORM_FLAGS: Mapping[int, str] = MappingProxyType(
    {
        -49: "snp.platform_info.smt_en",
        -50: "snp.platform_info.tsme_en",
        -51: "snp.platform_info.ecc_en",
        -52: "snp.platform_info.rapl_dis",
        -53: "snp.platform_info.ciphertext_hiding_dram_en",
        -54: "snp.platform_info.alias_check_complete",
        -55: "snp.platform_info.iommu_write_safe",
        -56: "snp.platform_info.tio_en",
    }
)
"""Bit b of PLATFORM_INFO is -49-b."""

DIGEST_KEYS: Mapping[int, str] = MappingProxyType(
    {GUEST: "snp.measurement", ID_KEY: "snp.id_key_digest", AUTHOR_KEY: "snp.author_key_digest"}
)
RAW_KEYS: Mapping[int, str] = MappingProxyType({GUEST: "snp.family_id", CURRENT: "snp.host_data"})
FLAG_KEYS: Mapping[int, Mapping[int, str]] = MappingProxyType({GUEST: POLICY_FLAGS, CURRENT: PLATFORM_FLAGS})
IMAGE_ID, GUEST_SVN, CHIP_ID = "snp.image_id", "snp.guest_svn", "snp.chip_id"
