"""The pinned roots, by SHA-256 over the whole certificate.

Names are no use: Intel's own sample chains carry the same ones under other keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from verifiers.dcap import simulated_root
from verifiers.model import AnchorSet

INTEL_SGX_ROOT_CA = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
"""Intel SGX Root CA, serial 22650cd65a9d3489f383b49552bf501b392706ac, 2018-05-21 to 2049-12-31. One root for
SGX and TDX. Read from https://certificates.trustedservices.intel.com/IntelSGXRootCA.cer."""

SIMULATED = simulated_root.ROOT_SHA256

PINS: Mapping[AnchorSet, frozenset[str]] = MappingProxyType(
    {
        AnchorSet.VENDOR: frozenset({INTEL_SGX_ROOT_CA}),
        AnchorSet.VENDOR_AND_SIMULATED: frozenset({INTEL_SGX_ROOT_CA, SIMULATED}),
    }
)
