"""From SVNs to a TCB status: Intel's algorithm as pure functions on typed values.

Follows the order of Intel's Quote Verification Library (AttestationLibrary: level match, module, relaunch,
QE), with two stricter choices: Revoked in *any* contributing level means Revoked, and a platform below every
level is NotSupported, which is a refusal and not an OutOfDate.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from verifiers.dcap.document import Status, SvnLevel
from verifiers.dcap.identity import level_of
from verifiers.dcap.tcbinfo import Component, Module, ModuleIdentity, TcbInfo, TcbLevel
from verifiers.errors import Reason
from verifiers.model import TcbShort, TeeKind

_GOOD = frozenset(
    {
        Status.UP_TO_DATE,
        Status.SW_HARDENING_NEEDED,
        Status.CONFIGURATION_NEEDED,
        Status.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    }
)
_CONFIGURATION = frozenset(
    {
        Status.CONFIGURATION_NEEDED,
        Status.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        Status.OUT_OF_DATE_CONFIGURATION_NEEDED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the PCK certificate says: 16 SGX components, PCESVN, and which platform family it is."""

    components: tuple[int, ...]
    pce_svn: int
    pce_id: bytes
    fmspc: bytes


class TdxTcb(msgspec.Struct, frozen=True, kw_only=True):
    """What the TD report says. svn: TEE_TCB_SVN, 16 bytes, as at launch; svn2: TEE_TCB_SVN2, as now, or None
    for a TD report 1.0."""

    svn: bytes
    svn2: bytes | None
    mr_signer_seam: bytes
    seam_attributes: bytes

    @property
    def first_component(self) -> int:
        """Components 0 and 1 name the module; from the 1.5 series on its identity decides about them."""
        return 2 if self.svn[1] > 0 else 0


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """reason: why status is a refusal (NotSupported, Revoked), else None.

    The levels are None where none was reached. module_id and module_status: None for SGX or without a level;
    module_id is None for a module of the 1.0 series, which has no identity of its own. date: the older one of
    the platform's level and the module's; qe_date: of the QE's, apart, because the identity may come from an
    earlier evaluation. short: what is too low for the nearest UpToDate level.
    """

    status: Status
    reason: Reason | None
    sgx_level: TcbLevel | None
    tdx_level: TcbLevel | None
    module_id: str | None
    module_status: Status | None
    qe_status: Status
    advisory_ids: tuple[str, ...]
    date: datetime | None
    qe_date: datetime | None
    short: tuple[TcbShort, ...]


def mismatch(info: TcbInfo, platform: Platform, tee: TeeKind) -> Reason | None:
    """Why `info` is not about this platform, or None when it is."""
    if info.tee is not tee:
        return Reason.DCAP_WRONG_TEE
    if info.fmspc != platform.fmspc:
        return Reason.DCAP_FMSPC_MISMATCH
    if info.pce_id != platform.pce_id:
        return Reason.DCAP_PCEID_MISMATCH
    return None


def evaluate(
    info: TcbInfo, platform: Platform, tdx: TdxTcb | None, qe_levels: Sequence[SvnLevel], qe_svn: int
) -> Evaluation:
    """The TCB status of a platform under `info`, which must be about it (`mismatch`).

    tdx: None for SGX. qe_levels: of the enclave identity, highest first; qe_svn: ISVSVN of the QE report.
    """
    qe_level = level_of(qe_levels, qe_svn)
    qe_status = qe_level.status if qe_level else Status.NOT_SUPPORTED
    sgx_level, level = _match(info, platform, tdx)

    def refuse(status: Status, reason: Reason, module: _ModuleTcb | None = None) -> Evaluation:
        contributing = _contributing(level, module) if level else ()
        return Evaluation(
            status=status,
            reason=reason,
            sgx_level=sgx_level,
            tdx_level=level if tdx else None,
            module_id=module.id if module else None,
            module_status=module.status if module else None,
            qe_status=qe_status,
            advisory_ids=_union((*contributing, qe_level)) if contributing else (),
            date=min((x.date for x in contributing), default=None),
            qe_date=qe_level.date if qe_level else None,
            short=tuple(_short(info, platform, tdx, qe_levels, qe_svn)),
        )

    if sgx_level is None or level is None:
        return refuse(Status.NOT_SUPPORTED, Reason.DCAP_TCB_NOT_SUPPORTED)
    module = None
    if tdx is not None:
        found = _module_tcb(info, tdx)
        if isinstance(found, Reason):
            return refuse(Status.NOT_SUPPORTED, found)
        module = found
    if Status.REVOKED in (sgx_level.status, level.status, module.status if module else None, qe_status):
        return refuse(Status.REVOKED, Reason.DCAP_TCB_REVOKED, module)
    if qe_level is None:
        return refuse(Status.NOT_SUPPORTED, Reason.DCAP_TCB_NOT_SUPPORTED, module)
    status = _converge(level.status, module.status) if module else level.status
    if tdx is not None and module is not None:
        relaunch = _relaunch(info, tdx, sgx_level, module, status, qe_status)
        if isinstance(relaunch, Reason):
            return refuse(Status.NOT_SUPPORTED, relaunch, module)
        status = relaunch
    status = _converge(status, qe_status)
    contributing = _contributing(level, module)
    return Evaluation(
        status=status,
        reason=None,
        sgx_level=sgx_level,
        tdx_level=level if tdx else None,
        module_id=module.id if module else None,
        module_status=module.status if module else None,
        qe_status=qe_status,
        advisory_ids=_union((*contributing, qe_level)),
        date=min(x.date for x in contributing),
        qe_date=qe_level.date,
        short=() if status is Status.UP_TO_DATE else tuple(_short(info, platform, tdx, qe_levels, qe_svn)),
    )


class _ModuleTcb(msgspec.Struct, frozen=True):
    id: str | None
    status: Status
    level: SvnLevel | None


def _match(info: TcbInfo, platform: Platform, tdx: TdxTcb | None) -> tuple[TcbLevel | None, TcbLevel | None]:
    """The first level that the SGX side reaches, and the first of those that the TDX side reaches too."""
    sgx_level: TcbLevel | None = None
    start = tdx.first_component if tdx else 0
    for level in info.levels:
        if platform.pce_svn < level.pce_svn or not _reaches(platform.components, level.sgx_svns):
            continue
        sgx_level = sgx_level or level
        if tdx is None:
            return sgx_level, sgx_level
        if _reaches(tdx.svn[start:], level.tdx_svns[start:]):
            return sgx_level, level
    return sgx_level, None


def _reaches(has: Sequence[int], needs: Sequence[int]) -> bool:
    # Equal lengths by construction: 16 components on either side, less the same start.
    return all(map(operator.ge, has, needs))


def _module_tcb(info: TcbInfo, tdx: TdxTcb) -> _ModuleTcb | Reason:
    if tdx.svn[1] == 0:
        if info.module is None or not fits(info.module, tdx):
            return Reason.DCAP_MODULE_MISMATCH
        return _ModuleTcb(None, Status.UP_TO_DATE, None)
    identity = module_identity(info, tdx.svn[1])
    if identity is None or not fits(identity.module, tdx):
        return Reason.DCAP_MODULE_MISMATCH
    level = level_of(identity.levels, tdx.svn[0])
    if level is None:
        return Reason.DCAP_TCB_NOT_SUPPORTED
    return _ModuleTcb(identity.id, level.status, level)


def module_identity(info: TcbInfo, major: int) -> ModuleIdentity | None:
    """The identity of the module series `major` (TEE_TCB_SVN byte 1)."""
    name = f"TDX_{major:02X}"
    for identity in info.modules:
        if identity.id == name:
            return identity
    return None


def fits(module: Module, tdx: TdxTcb) -> bool:
    """MRSIGNERSEAM equal, SEAMATTRIBUTES equal under the mask and zero outside it."""
    return (
        tdx.mr_signer_seam == module.mr_signer
        and tdx.seam_attributes == module.attributes
        and not _number(tdx.seam_attributes) & ~_number(module.attributes_mask)
    )


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _converge(status: Status, other: Status) -> Status:
    """What a module or QE that is OutOfDate makes of a platform status."""
    if other is not Status.OUT_OF_DATE:
        return status
    if status in (Status.UP_TO_DATE, Status.SW_HARDENING_NEEDED):
        return Status.OUT_OF_DATE
    if status in (Status.CONFIGURATION_NEEDED, Status.CONFIGURATION_AND_SW_HARDENING_NEEDED):
        return Status.OUT_OF_DATE_CONFIGURATION_NEEDED
    return status


def _relaunch(
    info: TcbInfo, tdx: TdxTcb, sgx_level: TcbLevel, module: _ModuleTcb, status: Status, qe_status: Status
) -> Status | Reason:
    """TD report 1.5: the host's module is current by now, but this TD was launched on an older one."""
    if (
        tdx.svn2 is None
        or qe_status in (Status.OUT_OF_DATE, Status.REVOKED, Status.NOT_SUPPORTED)
        or sgx_level.status not in _GOOD
        or status not in (Status.OUT_OF_DATE, Status.OUT_OF_DATE_CONFIGURATION_NEEDED)
        or module.status is not Status.OUT_OF_DATE
    ):
        return status
    top = info.levels[0].tdx_svns
    needs = top[0]
    if tdx.svn2[1] > 0:
        identity = module_identity(info, tdx.svn2[1])
        if identity is None or not identity.levels:
            return Reason.DCAP_MODULE_MISMATCH
        needs = identity.levels[0].isv_svn
    if tdx.svn2[0] < needs or tdx.svn2[2] < top[2]:
        return status
    if sgx_level.status in _CONFIGURATION or status in _CONFIGURATION:
        return Status.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
    return Status.TD_RELAUNCH_ADVISED


def _contributing(level: TcbLevel, module: _ModuleTcb | None) -> tuple[TcbLevel | SvnLevel, ...]:
    return (level, module.level) if module is not None and module.level is not None else (level,)


def _union(levels: Sequence[TcbLevel | SvnLevel | None]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for level in levels:
        if level is not None:
            found.update(dict.fromkeys(level.advisory_ids))
    return tuple(found)


def _short(
    info: TcbInfo, platform: Platform, tdx: TdxTcb | None, qe_levels: Sequence[SvnLevel], qe_svn: int
) -> Iterator[TcbShort]:
    """What is below the UpToDate level that lacks least; without such a level, below the highest one."""
    wanted = [level for level in info.levels if level.status is Status.UP_TO_DATE] or info.levels[:1]
    nearest = wanted[0]
    if len(wanted) > 1:
        nearest = min(wanted, key=lambda level: _distance(level, platform, tdx))
    yield from _short_of(nearest, platform, tdx)
    if tdx is not None and tdx.svn[1] > 0:
        identity = module_identity(info, tdx.svn[1])
        if identity is not None:
            raised_by = info.levels[0].tdx[0].category or "OS/VMM"
            yield from _short_svn(
                f"TDX module ({identity.id})",
                tdx.svn[0],
                identity.levels,
                f"{raised_by}, then relaunch the guest",
            )
    yield from _short_svn("quoting enclave", qe_svn, qe_levels, "platform software (DCAP)")


def _distance(level: TcbLevel, platform: Platform, tdx: TdxTcb | None) -> int:
    """How many components are below `level`."""
    below = [*map(operator.lt, platform.components, level.sgx_svns), platform.pce_svn < level.pce_svn]
    if tdx is not None:
        start = tdx.first_component
        below += map(operator.lt, tdx.svn[start:], level.tdx_svns[start:])
    return below.count(True)


def _short_of(level: TcbLevel, platform: Platform, tdx: TdxTcb | None) -> Iterator[TcbShort]:
    yield from _short_components("SGX", platform.components, level.sgx_svns, level.sgx, 0)
    if platform.pce_svn < level.pce_svn:
        yield TcbShort(
            component="PCESVN",
            has=platform.pce_svn,
            needs=level.pce_svn,
            raised_by="platform software (PCE), then a new PCK certificate",
        )
    if tdx is not None:
        yield from _short_components("TDX", tdx.svn, level.tdx_svns, level.tdx, tdx.first_component)


def _short_components(
    side: str, has: Sequence[int], needs: Sequence[int], components: Sequence[Component], start: int
) -> Iterator[TcbShort]:
    for index in itertools.compress(range(len(components)), map(operator.lt, has, needs)):
        if index >= start:
            component = components[index]
            name = component.type or component.category
            yield TcbShort(
                component=f"{side} {index + 1} {name}".rstrip(),
                has=has[index],
                needs=needs[index],
                raised_by=component.category or "not said",
            )


def _short_svn(component: str, has: int, levels: Sequence[SvnLevel], raised_by: str) -> Iterator[TcbShort]:
    good = [level.isv_svn for level in levels if level.status is Status.UP_TO_DATE]
    if good and has < min(good):
        yield TcbShort(component=component, has=has, needs=min(good), raised_by=raised_by)
