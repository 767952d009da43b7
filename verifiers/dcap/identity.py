"""Enclave identity, version 2: what a genuine quoting enclave looks like.

Source: Intel PCS API v4, "Get Quoting Enclave Identity" and "Get TD Quoting Enclave Identity". Expected
values come from the signed document, never from constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.dcap.document import Signed, SvnLevel, Window, bad, load_body, open_signed
from verifiers.dcap.report import EnclaveReport
from verifiers.model import TeeKind

_TEE = {"QE": TeeKind.SGX, "TD_QE": TeeKind.TDX, "QVE": None, "QAE": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveIdentity:
    """A parsed identity. `tee` is the evidence whose quotes this enclave signs, None for other enclaves.

    Masked values are the report's bytes read little-endian; levels highest ISVSVN first.
    """

    id: str
    tee: TeeKind | None
    evaluation_number: int
    window: Window
    misc_select: int
    misc_select_mask: int
    attributes: int
    attributes_mask: int
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[SvnLevel, ...]


def parse(raw: bytes, where: str) -> tuple[EnclaveIdentity, Signed]:
    """Parse a PCS response; the signature is *not* checked.

    Raises EndorsementFormatError(COLLATERAL_MALFORMED): an unknown id, version or status, a wrong shape.
    """
    signed = open_signed(raw, "enclaveIdentity", where)
    return parse_body(signed.body, where), signed


def parse_body(body: bytes, where: str) -> EnclaveIdentity:
    """Parse the inner object from its exact bytes. Raises as `parse`."""
    top = load_body(body, where)
    top.integer("version", 2, 2)
    name = top.text("id")
    if name not in _TEE:
        raise bad(f"{where}.id", "QE, TD_QE, QVE or QAE", name)
    return EnclaveIdentity(
        id=name,
        tee=_TEE[name],
        evaluation_number=top.integer("tcbEvaluationDataNumber", 0, 0xFFFFFFFF),
        window=top.window(),
        misc_select=_number(top.hexadecimal("miscselect", 4)),
        misc_select_mask=_number(top.hexadecimal("miscselectMask", 4)),
        attributes=_number(top.hexadecimal("attributes", 16)),
        attributes_mask=_number(top.hexadecimal("attributesMask", 16)),
        mr_signer=top.hexadecimal("mrsigner", 32),
        isv_prod_id=top.integer("isvprodid", 0, 0xFFFF),
        levels=top.svn_levels(low=1),
    )


def mismatches(identity: EnclaveIdentity, report: EnclaveReport) -> tuple[str, ...]:
    """Everything in which `report` is not the enclave that `identity` describes; () when it is.

    Says nothing about ISVSVN: that is `level_of`.
    """
    out: list[str] = []
    if report.debug:
        out.append("the quoting enclave runs in debug mode")
    if report.mr_signer != identity.mr_signer:
        out.append(f"MRSIGNER {report.mr_signer.hex()}")
    if report.prod_id != identity.isv_prod_id:
        out.append(f"ISVPRODID {report.prod_id}")
    if _number(report.misc_select) & identity.misc_select_mask != identity.misc_select:
        out.append(f"MISCSELECT {report.misc_select.hex()}")
    if _number(report.attributes) & identity.attributes_mask != identity.attributes:
        out.append(f"ATTRIBUTES {report.attributes.hex()}")
    # What the masks leave open is still to be a report that we can read.
    if report.unknown_flags:
        out.append(f"ATTRIBUTES: unknown bits {report.unknown_flags:#x}")
    if report.has_reserved:
        out.append("reserved bytes that are not zero")
    return tuple(out)


def level_of(levels: Sequence[SvnLevel], isv_svn: int) -> SvnLevel | None:
    """The highest level reached with `isv_svn`, or None below all; `levels` highest first."""
    for level in levels:
        if isv_svn >= level.isv_svn:
            return level
    return None


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
