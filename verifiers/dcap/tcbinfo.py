"""TCB Info, version 3: which SVNs a platform must have, and what each level is worth.

Source: Intel PCS API v4, "Get TDX TCB Info" and "Get SGX TCB Info", TCB Info version 3. Versions 1 and 2
(flat component keys) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from verifiers.dcap.document import (
    MAX_LEVELS,
    PLATFORM_STATUSES,
    Fields,
    Signed,
    Status,
    SvnLevel,
    Window,
    bad,
    load_body,
    open_signed,
)
from verifiers.model import TeeKind

_MODULE_ID = re.compile(r"TDX_[0-9A-Fa-f]{2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component of a level; category and type are Intel's words, "" where it gives none."""

    svn: int
    category: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbLevel:
    """sgx: 16 components; tdx: 16 more in TDX documents, else (). The SVN tuples repeat them, to compare."""

    sgx: tuple[Component, ...]
    tdx: tuple[Component, ...]
    sgx_svns: tuple[int, ...]
    tdx_svns: tuple[int, ...]
    pce_svn: int
    status: Status
    date: datetime
    advisory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Who signed a TDX module (48 bytes) and which SEAM attributes (8 bytes) it may have."""

    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleIdentity:
    """A TDX module series, `id` in upper case ("TDX_01"); levels highest first."""

    id: str
    module: Module
    levels: tuple[SvnLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """A parsed TCB Info; levels highest first, whatever the order in the document."""

    tee: TeeKind
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    window: Window
    module: Module | None
    modules: tuple[ModuleIdentity, ...]
    levels: tuple[TcbLevel, ...]


def parse(raw: bytes, where: str) -> tuple[TcbInfo, Signed]:
    """Parse a PCS response; the signature is *not* checked.

    Raises EndorsementFormatError(COLLATERAL_MALFORMED) for anything unknown that a decision needs: version,
    TCB type, status words, a component count other than 16.
    """
    signed = open_signed(raw, "tcbInfo", where)
    return parse_body(signed.body, where), signed


def parse_body(body: bytes, where: str) -> TcbInfo:
    """Parse the inner object from its exact bytes. Raises as `parse`."""
    top = load_body(body, where)
    top.integer("version", 3, 3)
    top.integer("tcbType", 0, 0)
    name = top.text("id")
    if name not in ("SGX", "TDX"):
        raise bad(f"{where}.id", '"SGX" or "TDX"', name)
    tee = TeeKind.TDX if name == "TDX" else TeeKind.SGX
    levels = tuple(_level(f, tee) for f in top.objects("tcbLevels", low=1, high=MAX_LEVELS))
    return TcbInfo(
        tee=tee,
        fmspc=top.hexadecimal("fmspc", 6),
        pce_id=top.hexadecimal("pceId", 2),
        evaluation_number=top.integer("tcbEvaluationDataNumber", 0, 0xFFFFFFFF),
        window=top.window(),
        module=_module(top.fields("tdxModule")) if tee is TeeKind.TDX else None,
        modules=_modules(top) if tee is TeeKind.TDX else (),
        levels=tuple(
            sorted(levels, key=lambda level: (level.sgx_svns, level.pce_svn, level.tdx_svns), reverse=True)
        ),
    )


def _level(level: Fields, tee: TeeKind) -> TcbLevel:
    tcb = level.fields("tcb")
    sgx = _components(tcb, "sgxtcbcomponents")
    tdx = _components(tcb, "tdxtcbcomponents") if tee is TeeKind.TDX else ()
    return TcbLevel(
        sgx=sgx,
        tdx=tdx,
        sgx_svns=tuple(component.svn for component in sgx),
        tdx_svns=tuple(component.svn for component in tdx),
        pce_svn=tcb.integer("pcesvn", 0, 0xFFFF),
        status=level.status(PLATFORM_STATUSES),
        date=level.time("tcbDate"),
        advisory_ids=level.advisories(),
    )


def _components(tcb: Fields, name: str) -> tuple[Component, ...]:
    return tuple(
        Component(
            svn=component.integer("svn", 0, 255),
            category=component.text("category") if "category" in component else "",
            type=component.text("type") if "type" in component else "",
        )
        for component in tcb.objects(name, low=16, high=16)
    )


def _module(fields: Fields) -> Module:
    return Module(
        mr_signer=fields.hexadecimal("mrsigner", 48),
        attributes=fields.hexadecimal("attributes", 8),
        attributes_mask=fields.hexadecimal("attributesMask", 8),
    )


def _modules(top: Fields) -> tuple[ModuleIdentity, ...]:
    if "tdxModuleIdentities" not in top:
        return ()
    out: list[ModuleIdentity] = []
    for fields in top.objects("tdxModuleIdentities", low=0, high=MAX_LEVELS):
        name = fields.text("id")
        if not _MODULE_ID.match(name):
            raise bad(f"{fields.where}.id", "TDX_ and two hex digits", name)
        if any(known.id == name.upper() for known in out):
            raise bad(f"{fields.where}.id", "each module identity once", f"{name} twice")
        out.append(ModuleIdentity(id=name.upper(), module=_module(fields), levels=fields.svn_levels(low=0)))
    return tuple(out)
