"""Field values as people type them, for `sealgate sim --set FIELD=VALUE`.

Spelled as `sealgate inspect` prints claims: digests and identifiers as hex of the field's whole length, masks
and numbers as 0x… or decimal, TCBs by component, versions with dots.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from gateway.simulator import quotewrite, snpreport
from gateway.simulator.snpreport import Kind
from verifiers.model import TcbVersion

_NUMBER = re.compile(r"(0x[0-9a-fA-F]+|[0-9]+)\Z", re.ASCII)
_HEX = re.compile(r"([0-9a-fA-F]{2})*\Z", re.ASCII)
_SHAPES = {
    Kind.NUMBER: "a number, decimal or 0x…",
    Kind.TCB: "a TCB: bootloader.tee.snp.microcode, on Turin fmc first",
    Kind.VERSION: "a version: major.minor.build",
    Kind.CPUID: "6 hex digits: family, model, stepping",
}


class SpellingError(ValueError):
    """One line for a person: what was expected, what was found."""


def assignment(text: str) -> tuple[str, str]:
    """ "FIELD=VALUE" in two."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SpellingError(f"expected FIELD=VALUE, found {text!r}")
    return name.strip(), value.strip()


def unknown(name: str, known: Iterable[str]) -> SpellingError:
    """The error for a field that does not exist, with the one that was probably meant."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return SpellingError(f"no field {name!r}{meant} Fields: {', '.join(names)}")


def snp_value(name: str, text: str) -> object:
    """The value of an SNP report field."""
    entry = snpreport.FIELDS[name]
    if entry.kind is Kind.BYTES:
        return octets(name, text, entry.size)
    parts = [int(part) for part in text.split(".")] if re.fullmatch(r"\d+(\.\d+)*", text, re.ASCII) else []
    value: object = None
    if entry.kind is Kind.NUMBER and _NUMBER.match(text):
        value = int(text, 0) if text.startswith("0x") else int(text)
    elif entry.kind is Kind.TCB and len(parts) in (4, 5) and max(parts) < 256:
        value = tcb(text)
    elif entry.kind is Kind.VERSION and len(parts) == 3 and max(parts) < 256:
        value = tuple(parts)
    elif entry.kind is Kind.CPUID and len(text) == 6 and _HEX.match(text):
        value = tuple(bytes.fromhex(text))
    try:
        snpreport.encode(name, value)
    except ValueError:
        wanted = _SHAPES[entry.kind] + (f" below 2^{8 * entry.size}" if entry.kind is Kind.NUMBER else "")
        raise SpellingError(f"{name}: expected {wanted}, found {text!r}") from None
    return value


def tcb(text: str) -> TcbVersion:
    """ "10.0.25.84", or "1.3.2.5.97" with Turin's FMC first."""
    numbers = [int(part) if _NUMBER.match(part) else 256 for part in text.split(".")]
    if len(numbers) not in (4, 5) or max(numbers) > 255:
        raise SpellingError(f"tcb: expected {_SHAPES[Kind.TCB][7:]}, found {text!r}")
    fmc = numbers[0] if len(numbers) == 5 else None
    bootloader, tee, snp, microcode = numbers[-4:]
    return TcbVersion(bootloader=bootloader, tee=tee, snp=snp, microcode=microcode, fmc=fmc)


def quote_value(name: str, text: str, layout: quotewrite.Layout) -> bytes | int:
    """The value of a field of a quote's header or body: hex of its length, or a number as 0x…."""
    size = (layout.get(name) or quotewrite.HEADER[name])[1]
    if text.startswith("0x") and _NUMBER.match(text):
        number = int(text, 16)
        if number >> 8 * size:
            raise SpellingError(f"{name}: expected a number of {size} bytes, found {text}")
        return number
    return octets(name, text, size, hint=", or a number as 0x…")


def octets(name: str, text: str, size: int, *, hint: str = "") -> bytes:
    """Exactly `size` bytes in hex."""
    if not _HEX.match(text) or len(text) != 2 * size:
        found = f"{text!r} ({len(text)})" if len(text) <= 40 else f"{len(text)} characters"
        raise SpellingError(f"{name}: expected {2 * size} hex digits ({size} bytes){hint}, found {found}")
    return bytes.fromhex(text)
