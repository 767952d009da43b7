"""The PCK certificate's SGX extension: which platform this is, and its TCB components.

Source: Intel SGX PCK Certificate and CRL Profile Specification, section 1.3.5. A SEQUENCE of SEQUENCE {OID,
value} under 1.2.840.113741.1.13.1; every element once, none that the profile does not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verifiers.codec import der
from verifiers.crypto.x509 import Certificate
from verifiers.dcap.levels import Platform
from verifiers.errors import EndorsementFormatError, Reason

EXTENSION = "1.2.840.113741.1.13.1"
COMPONENTS = 16

_PPID, _TCB, _PCEID, _FMSPC, _SGX_TYPE, _INSTANCE, _CONFIGURATION = (f"{EXTENSION}.{n}" for n in range(1, 8))
_PCESVN, _CPUSVN = f"{_TCB}.17", f"{_TCB}.18"
_REQUIRED = (_PPID, _TCB, _PCEID, _FMSPC, _SGX_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pck(Platform):
    """What a PCK certificate says about its platform.

    components (of `Platform`): the *decomposed* integers, which is what TCB levels are matched against.
    sgx_type: 0 standard, 1 scalable, 2 scalable with integrity. platform_instance_id and the three
    configuration flags exist under the Platform CA only.
    """

    ppid: bytes
    cpu_svn: bytes
    sgx_type: int
    platform_instance_id: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None


def read(certificate: Certificate, where: str) -> Pck:
    """Read the SGX extension of a PCK leaf.

    Raises EndorsementFormatError(CERTIFICATE_MALFORMED): no extension, a missing, repeated or unknown
    element, a component outside 0..255, a wrong type or length.
    """
    found = certificate.extensions.get(EXTENSION)
    if found is None:
        raise _bad(where, "the SGX extension of a PCK certificate", "none")
    sequence = der.only(found[1], der.SEQUENCE, where)
    items = _items(sequence.value, where)
    _no_others(items, (*_REQUIRED, _INSTANCE, _CONFIGURATION), _REQUIRED, where)
    components, pce_svn, cpu_svn = _tcb(items[_TCB], f"{where}.tcb")
    instance = items.get(_INSTANCE)
    flags = _configuration(items.get(_CONFIGURATION), f"{where}.configuration")
    return Pck(
        ppid=der.octets(items[_PPID], f"{where}.ppid", size=16),
        cpu_svn=cpu_svn,
        components=components,
        pce_svn=pce_svn,
        pce_id=der.octets(items[_PCEID], f"{where}.pceid", size=2),
        fmspc=der.octets(items[_FMSPC], f"{where}.fmspc", size=6),
        sgx_type=der.integer(items[_SGX_TYPE], f"{where}.sgx type", low=0, high=2, tag=der.ENUMERATED),
        platform_instance_id=(
            None if instance is None else der.octets(instance, f"{where}.platform instance id", size=16)
        ),
        dynamic_platform=flags.get(1),
        cached_keys=flags.get(2),
        smt_enabled=flags.get(3),
    )


def _tcb(tlv: der.Tlv, where: str) -> tuple[tuple[int, ...], int, bytes]:
    names = tuple(f"{_TCB}.{n}" for n in range(1, COMPONENTS + 1))
    items = _items(_sequence(tlv, where), where)
    _no_others(items, (*names, _PCESVN, _CPUSVN), (*names, _PCESVN, _CPUSVN), where)
    components = tuple(der.integer(items[name], f"{where}.{name}", low=0, high=255) for name in names)
    pce_svn = der.integer(items[_PCESVN], f"{where}.pcesvn", low=0, high=0xFFFF)
    return components, pce_svn, der.octets(items[_CPUSVN], f"{where}.cpusvn", size=16)


def _configuration(tlv: der.Tlv | None, where: str) -> dict[int, bool]:
    if tlv is None:
        return {}
    names = {f"{_CONFIGURATION}.{n}": n for n in (1, 2, 3)}
    items = _items(_sequence(tlv, where), where)
    _no_others(items, tuple(names), (), where)
    return {names[name]: der.boolean(value, f"{where}.{name}") for name, value in items.items()}


def _items(value: bytes, where: str) -> dict[str, der.Tlv]:
    out: dict[str, der.Tlv] = {}
    for element in der.children(value, where):
        pair = der.children(_sequence(element, where), where, limit=2)
        if len(pair) != 2:
            raise _bad(where, "SEQUENCE {OID, value}", f"{len(pair)} elements")
        name = der.oid(pair[0], where)
        if name in out:
            raise _bad(where, "each OID once", f"{name} twice")
        out[name] = pair[1]
    return out


def _no_others(
    items: Mapping[str, der.Tlv], allowed: tuple[str, ...], required: tuple[str, ...], where: str
) -> None:
    unknown = [name for name in items if name not in allowed]
    absent = [name for name in required if name not in items]
    if unknown or absent:
        raise _bad(
            where,
            "the elements of the PCK profile",
            f"unknown {unknown[0]}" if unknown else f"no {absent[0]}",
        )


def _sequence(tlv: der.Tlv, where: str) -> bytes:
    if tlv.tag != der.SEQUENCE:
        raise _bad(where, "SEQUENCE", f"tag {tlv.tag:#04x}")
    return tlv.value


def _bad(where: str, expected: str, found: str) -> EndorsementFormatError:
    return EndorsementFormatError(Reason.CERTIFICATE_MALFORMED, where, expected=expected, found=found)
