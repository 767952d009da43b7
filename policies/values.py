"""Constants of the policy language, typed by the claim they are compared with.

The right-hand side of a condition means nothing until the claim on the left says what it should be: a digest
of 48 bytes, a flag, a TCB. A constant that does not fit is an error when the document is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies import scalars
from policies.errors import Problems, did_you_mean, quote
from policies.strictyaml import Map, Node, Seq
from policies.vocabulary import INIT_DATA, INIT_DATA_SIZES
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import ClaimValue, TcbVersion

MAX_LIST = 20_000

TCB_COMPONENTS = ("fmc", "bootloader", "tee", "snp", "microcode")
_REQUIRED_COMPONENTS = TCB_COMPONENTS[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbFloor:
    """A bound for each component of a TCB; None is `any`, which somebody wrote.

    names_fmc: whether `fmc` (Turin and later) was written at all. A floor that does not name it cannot be
    compared with a TCB that has it.
    """

    bootloader: int | None
    tee: int | None
    snp: int | None
    microcode: int | None
    fmc: int | None
    names_fmc: bool


@dataclass(frozen=True, slots=True)
class Components:
    """Bounds for a version or a list. lexicographic: from the left (versions), else each by itself."""

    parts: tuple[int | None, ...]
    lexicographic: bool


Literal = ClaimValue | TcbFloor | Components | frozenset[bytes] | frozenset[int] | frozenset[tuple[int, ...]]


def components(value: TcbVersion | TcbFloor) -> tuple[int | None, ...]:
    """In the order of TCB_COMPONENTS."""
    return (value.fmc, value.bootloader, value.tee, value.snp, value.microcode)


def one(node: Node, spec: ClaimSpec, operator: str, problems: Problems) -> Literal | None:
    """One constant for `spec`, as `operator` compares it; None after reporting a problem."""
    name = spec.name
    if name == INIT_DATA:
        return _init_data(node, problems)
    match spec.type:
        case ClaimType.DIGEST | ClaimType.BYTES:
            found = scalars.scalar(node, name, problems)
            hint = None if found is None else _length_hint(name, found.text)
            if found is None:
                return None
            digest = spec.type is ClaimType.DIGEST
            return scalars.octets(found, name, spec.length, problems, digest=digest, hint=hint)
        case ClaimType.FLAG:
            return scalars.flag(node, name, problems)
        case ClaimType.INTEGER:
            return scalars.integer(node, name, problems)
        case ClaimType.MASK:
            return scalars.integer(node, name, problems, hexadecimal=True)
        case ClaimType.TEXT:
            return _token(node, spec, problems)
        case ClaimType.TIME:
            return scalars.time(node, name, problems)
        case ClaimType.DURATION:
            return scalars.duration(node, name, problems)
        case ClaimType.TCB:
            return _tcb(node, name, operator, problems)
        case ClaimType.VERSION:
            parts = _version(node, name, problems)
            return parts if parts is None or operator in {"equals", "in"} else Components(parts, True)
        case ClaimType.LIST:
            return _list(node, name, operator, problems)
        case ClaimType.SET:
            return many(node, spec, operator, problems)


def many(node: Node, spec: ClaimSpec, operator: str, problems: Problems) -> Literal | None:
    """A list of constants; for a mask one number with the bits. Empty lists and repetitions are errors."""
    if spec.type is ClaimType.MASK and operator in {"subset_of", "includes"}:
        return scalars.integer(node, spec.name, problems, hexadecimal=True)
    items = items_of(node, f"{spec.name} {operator}", problems)
    if items is None:
        return None
    values: dict[Literal, Node] = {}
    complete = True
    for item in items:
        value = (
            _token(item, spec, problems)
            if spec.type is ClaimType.SET
            else one(item, spec, operator, problems)
        )
        if value is None:
            complete = False
        elif value in values:
            problems.add("duplicate-value", item.at, f"{show(value)} is in this list already")
            complete = False
        else:
            values[value] = item
    return frozenset(values) if complete else None  # type: ignore[return-value]


def items_of(node: Node, what: str, problems: Problems) -> tuple[Node, ...] | None:
    """The items of a list that has at least one."""
    if not isinstance(node, Seq):
        problems.add("type-mismatch", node.at, f"{what} takes a list, not {scalars.kind_of(node)}")
        return None
    if not node.items:
        problems.add("empty-list", node.at, f"{what}: an empty list never passes; say what you mean")
        return None
    if len(node.items) > MAX_LIST:
        problems.add("too-many", node.at, f"{what}: at most {MAX_LIST} items; use a reference set")
        return None
    return node.items


def _token(node: Node, spec: ClaimSpec, problems: Problems) -> str | None:
    found = scalars.scalar(node, spec.name, problems)
    if found is None:
        return None
    if found.text != found.text.strip() or "\n" in found.text or len(found.text) > 256:
        problems.add(
            "type-mismatch", found.at, f"{spec.name}: one line, at most 256 characters, no spaces around it"
        )
        return None
    if spec.values and found.text not in spec.values:
        message = f"{spec.name} is never {quote(found.text)}; it is one of {', '.join(spec.values)}"
        problems.add("value", found.at, message, hint=did_you_mean(found.text, spec.values))
        return None
    if spec.pattern and re.fullmatch(spec.pattern, found.text) is None:
        words = spec.pattern.split("|")
        hint = did_you_mean(found.text, words) if len(words) > 1 else None
        message = f"{spec.name} is never {quote(found.text)}; it is spelled {quote(spec.pattern)}"
        problems.add("value", found.at, message, hint=hint)
        return None
    return found.text


def _init_data(node: Node, problems: Problems) -> bytes | None:
    found = scalars.scalar(node, INIT_DATA, problems)
    value = None if found is None else scalars.octets(found, INIT_DATA, None, problems, digest=True)
    if found is not None and value is not None and len(value) not in INIT_DATA_SIZES:
        message = f"{INIT_DATA} is a SHA-256 (32 bytes) or a SHA-384 (48 bytes); this is {len(value)} bytes"
        problems.add("digest-length", found.at, message)
        return None
    return value


def _length_hint(name: str, text: str) -> str | None:
    """Which claim a digest of the wrong length probably belongs to."""
    digits = text.partition(":")[2] or text
    if name in {"snp.measurement", "tdx.mr_td"} and len(digits) == 64:
        return f"did you mean {INIT_DATA}?"
    return None


def _tcb(node: Node, name: str, operator: str, problems: Problems) -> Literal | None:
    """Every component by name; `any` where there is no bound, which only bounds may have."""
    if not isinstance(node, Map):
        message = f"{name} names its components: {{bootloader: …, tee: …, snp: …, microcode: …}}"
        problems.add("type-mismatch", node.at, message)
        return None
    before = len(problems)
    parts: dict[str, int | None] = {}
    for key, value in node.pairs:
        if key.text not in TCB_COMPONENTS:
            hint = did_you_mean(key.text, TCB_COMPONENTS)
            problems.add("unknown-key", key.at, f"a TCB has no component {quote(key.text)}", hint=hint)
            continue
        parts[key.text] = _component(value, f"{name} {key.text}", operator != "equals", problems)
    missing = [component for component in _REQUIRED_COMPONENTS if component not in parts]
    if missing:
        message = f"{name} leaves {', '.join(missing)} open; write `any` where there is no floor"
        problems.add("tcb-component", node.at, message)
    if len(problems) > before:
        return None
    if operator == "equals":
        whole = {component: value for component, value in parts.items() if value is not None}
        return TcbVersion(**whole)
    if all(value is None or (value == 0 and operator == "at_least") for value in parts.values()):
        problems.add("tcb-component", node.at, f"{name}: no component has a bound; this checks nothing")
        return None
    return TcbFloor(
        bootloader=parts["bootloader"],
        tee=parts["tee"],
        snp=parts["snp"],
        microcode=parts["microcode"],
        fmc=parts.get("fmc"),
        names_fmc="fmc" in parts,
    )


def _component(node: Node, what: str, may_be_any: bool, problems: Problems) -> int | None:
    found = scalars.scalar(node, what, problems)
    if found is None or (may_be_any and found.text == "any" and not found.quoted):
        return None
    value = scalars.integer(node, what, problems)
    if value is not None and value > 255:
        problems.add("type-mismatch", node.at, f"{what} is at most 255")
    return value


def _version(node: Node, name: str, problems: Problems) -> tuple[int, ...] | None:
    found = scalars.scalar(node, name, problems)
    if found is None:
        return None
    parts = found.text.split(".")
    if not 2 <= len(parts) <= 4 or not all(p.isascii() and p.isdigit() and len(p) <= 9 for p in parts):
        problems.add(
            "type-mismatch", found.at, f"{name} is a version such as 1.55.29; this is {quote(found.text)}"
        )
        return None
    return tuple(int(part) for part in parts)


def _list(node: Node, name: str, operator: str, problems: Problems) -> Literal | None:
    items = items_of(node, name, problems)
    if items is None:
        return None
    before = len(problems)
    bound = operator not in {"equals", "in"}
    parts = [_component(item, f"{name}[{n}]", bound, problems) for n, item in enumerate(items)]
    if len(problems) > before:
        return None
    if bound and all(part is None for part in parts):
        problems.add("type-mismatch", node.at, f"{name}: `any` in every component checks nothing")
        return None
    if bound:
        return Components(tuple(parts), False)
    return tuple(part for part in parts if part is not None)


_PYTHON_TYPES: dict[ClaimType, type] = {
    ClaimType.DIGEST: bytes,
    ClaimType.BYTES: bytes,
    ClaimType.FLAG: bool,
    ClaimType.INTEGER: int,
    ClaimType.MASK: int,
    ClaimType.TEXT: str,
    ClaimType.VERSION: tuple,
    ClaimType.LIST: tuple,
    ClaimType.TCB: TcbVersion,
    ClaimType.TIME: datetime,
    ClaimType.DURATION: timedelta,
    ClaimType.SET: frozenset,
}


def python_type(claim_type: ClaimType) -> type:
    """What a value of a claim of this type is here."""
    return _PYTHON_TYPES[claim_type]


def fits(claim_type: ClaimType, value: ClaimValue) -> bool:
    """Whether a claim's value is of its own type; if not, that is a fault of ours and counts as missing."""
    kind = _PYTHON_TYPES[claim_type]
    return type(value) is kind or (kind is not int and isinstance(value, kind))


def show(value: Literal, *, most: int = 8) -> str:
    """A value or constant as people read it, one line. most: how many members of a set are named."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return "zero" if value and not any(value) else value.hex()
    if isinstance(value, TcbVersion | TcbFloor):
        return _show_tcb(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return show_duration(value)
    if isinstance(value, Components):
        return ".".join("any" if part is None else str(part) for part in value.parts)
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    if isinstance(value, frozenset):
        members = sorted(show(member) for member in value)
        more = f" and {len(members) - most} more" if len(members) > most else ""
        return (", ".join(members[:most]) or "nothing") + more
    return str(value)


def _show_tcb(value: TcbVersion | TcbFloor) -> str:
    parts = zip(TCB_COMPONENTS, components(value), strict=True)
    return ", ".join([f"{name} {part}" for name, part in parts if part is not None])


def show_duration(value: timedelta) -> str:
    """Largest unit first, at most two: "3d 4h", "90s"."""
    seconds = int(value.total_seconds())
    if seconds < 0:
        return f"-{show_duration(-value)}"
    out = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            out.append(f"{count}{unit}")
    return " ".join(out[:2]) or "0s"
