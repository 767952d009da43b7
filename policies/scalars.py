"""What one scalar means, once somebody asks for a certain type.

Each function takes the node and where problems go, and returns the value, or None after reporting. Only one
spelling is accepted for each value, and quoting is never guessed away: `"true"` is a text, not a flag.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from policies.errors import Problems, did_you_mean, quote
from policies.strictyaml import Map, Node, Scalar, Seq
from verifiers.codec.b64 import decode_standard
from verifiers.errors import EvidenceFormatError

MAX_INTEGER = (1 << 64) - 1
MAX_DURATION = timedelta(days=3660)

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
# A domain or name never ends in a dot, so that "a@b." is no second spelling of "a@b".
_PERSON = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9])?(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?)?"
)

DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


def kind_of(node: Node) -> str:
    """What a message calls a node."""
    if isinstance(node, Map):
        return "a mapping"
    if isinstance(node, Seq):
        return "a list"
    return f"the text {quote(node.text)}" if node.quoted else quote(node.text) if node.text else "nothing"


def scalar(node: Node, what: str, problems: Problems) -> Scalar | None:
    """Any scalar but an empty or null one."""
    if not isinstance(node, Scalar):
        problems.add("type-mismatch", node.at, f"{what} is one value, not {kind_of(node)}")
        return None
    if not node.text or (not node.quoted and node.text in {"~", "null", "Null", "NULL"}):
        problems.add("missing-value", node.at, f"{what} has no value; absent is never fine")
        return None
    return node


def text(node: Node, what: str, problems: Problems) -> str | None:
    """Text for people: one paragraph, at most 1,000 characters."""
    found = scalar(node, what, problems)
    if found is None:
        return None
    value = " ".join(found.text.split())
    if not value or len(value) > 1000:
        problems.add("type-mismatch", found.at, f"{what} has 1 to 1,000 characters")
        return None
    return value


def identifier(node: Node, what: str, problems: Problems) -> str | None:
    """A name that others refer to: lower-case letters, digits and `. _ -` inside, at most 64 characters."""
    found = scalar(node, what, problems)
    if found is None:
        return None
    if _ID.fullmatch(found.text) is None:
        message = f"{what} {quote(found.text)}: 1 to 64 lower-case letters, digits, and . _ - inside"
        problems.add("identifier", found.at, message)
        return None
    return found.text


def person(node: Node, what: str, problems: Problems) -> str | None:
    """Who answers for something: one address or account name, which can be compared with another.

    Full names, comments and letters of other scripts would make one person look like two.
    """
    found = scalar(node, what, problems)
    if found is None:
        return None
    if _PERSON.fullmatch(found.text) is None:
        message = (
            f"{what} {quote(found.text)}: one address such as asha@acme.example, in A-Z a-z 0-9 . _ % + -"
        )
        problems.add("person", found.at, message)
        return None
    return found.text


def same_person(one: str, other: str) -> bool:
    """Case, and what follows a plus sign in a mailbox's name, make no other person."""
    return _mailbox(one) == _mailbox(other)


def _mailbox(person: str) -> str:
    name, at, domain = person.casefold().partition("@")
    return name.partition("+")[0] + at + domain


def flag(node: Node, what: str, problems: Problems) -> bool | None:
    found = scalar(node, what, problems)
    if found is None:
        return None
    if not found.quoted and found.text in {"true", "false"}:
        return found.text == "true"
    hint = None if found.quoted else did_you_mean(found.text, ["true", "false"])
    problems.add(
        "type-mismatch", found.at, f"{what} is a flag, true or false; this is {kind_of(found)}", hint=hint
    )
    return None


def integer(node: Node, what: str, problems: Problems, *, hexadecimal: bool = False) -> int | None:
    """0 to 2^64-1, decimal without leading zeros; where bits are meant also 0x…"""
    found = scalar(node, what, problems)
    if found is None:
        return None
    pattern = r"0|[1-9][0-9]{0,19}" + (r"|0x[0-9a-fA-F]{1,16}" if hexadecimal else "")
    if found.quoted or re.fullmatch(pattern, found.text) is None:
        kind = (
            "a whole number, decimal or 0x…"
            if hexadecimal
            else "a whole number without sign or leading zeros"
        )
        problems.add("type-mismatch", found.at, f"{what} is {kind}; this is {kind_of(found)}")
        return None
    value = int(found.text, 16 if found.text.startswith("0x") else 10)
    if value > MAX_INTEGER:
        problems.add("type-mismatch", found.at, f"{what} is at most 2^64-1")
        return None
    return value


def time(node: Node, what: str, problems: Problems) -> datetime | None:
    """RFC 3339 with a zone; returned in UTC. No leap second, no lower-case t or z."""
    found = scalar(node, what, problems)
    if found is None:
        return None
    match = _TIME.fullmatch(found.text)
    value: datetime | None = None
    if match is not None:
        try:
            value = datetime.fromisoformat(found.text.replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError):
            value = None
    if value is None:
        hint = "a time has a zone: end it with Z" if re.fullmatch(r"[0-9-]+T[0-9:.]+", found.text) else None
        message = f"{what} is a time such as 2026-07-01T00:00:00Z; this is {kind_of(found)}"
        problems.add("time", found.at, message, hint=hint)
    return value


def duration(node: Node, what: str, problems: Problems) -> timedelta | None:
    """`7d`, `12h`, `30m`, `90s`: one number and one unit."""
    found = scalar(node, what, problems)
    if found is None:
        return None
    match = re.fullmatch(r"(0|[1-9][0-9]{0,8})([dhms])", found.text)
    value = timedelta(seconds=int(match[1]) * _UNITS[match[2]]) if match else None
    if value is None or value > MAX_DURATION:
        message = f"{what} is a duration such as 7d, 12h, 30m or 90s; this is {kind_of(found)}"
        problems.add("duration", found.at, message)
        return None
    return value


def octets(
    found: Scalar, what: str, length: int | None, problems: Problems, *, digest: bool, hint: str | None = None
) -> bytes | None:
    """Bytes: `sha384:` + hex and its sisters, `hex:`, `base64:`, `zero`, or bare hex. Never guessed.

    length: how many bytes the value has, None when that is not fixed. digest: `what` is a hash, whose
    length names its algorithm. hint: added to a length error.
    """
    word = found.text
    if word == "zero" and length is not None:
        return bytes(length)
    prefix, colon, rest = word.partition(":")
    if not colon:
        prefix, rest = "hex", word
    if prefix not in {*DIGEST_SIZES, "hex", "base64"}:
        problems.add(
            "digest",
            found.at,
            f"{what}: unknown prefix {quote(prefix + ':')}",
            hint=did_you_mean(prefix, DIGEST_SIZES),
        )
        return None
    value = _base64(rest) if prefix == "base64" else _hex(rest)
    if value is None:
        form = "base64 with its padding" if prefix == "base64" else "hexadecimal digits"
        extra = "base64 needs the prefix base64:" if not colon and _base64(rest) is not None else None
        problems.add("digest", found.at, f"{what}: {quote(rest)} is not {form}", hint=extra)
        return None
    if prefix in DIGEST_SIZES and len(value) != DIGEST_SIZES[prefix]:
        _bad_length(found, f"{prefix}: is ", DIGEST_SIZES[prefix], rest, value, problems)
        return None
    if length is not None and len(value) != length:
        algorithm = {size: f"SHA-{name[3:]}, " for name, size in DIGEST_SIZES.items()}.get(length, "")
        _bad_length(found, f"{what} is {algorithm if digest else ''}", length, rest, value, problems, hint)
        return None
    return value


def _bad_length(
    found: Scalar,
    subject: str,
    length: int,
    written: str,
    value: bytes,
    problems: Problems,
    hint: str | None = None,
) -> None:
    probably = {size: name for name, size in DIGEST_SIZES.items()}.get(len(value))
    message = f"{subject}{length} bytes; this is {len(written)} characters, {len(value)} bytes"
    if probably is not None:
        message += f", the length of a SHA-{probably[3:]}"
    problems.add("digest-length", found.at, message, hint=hint)


def _hex(digits: str) -> bytes | None:
    if len(digits) % 2 or re.fullmatch(r"[0-9a-fA-F]+", digits) is None:
        return None
    return bytes.fromhex(digits)


def _base64(digits: str) -> bytes | None:
    """Standard alphabet, padded, canonical: exactly one spelling for each value."""
    try:
        return decode_standard(digits, "base64", limit=1024) or None
    except EvidenceFormatError:
        return None
