"""One file of collateral for a gateway that reaches no vendor: what it looks like, written and read.

    sealgate-collateral/1\\n
    JWS\\n            compact, ES256, "sealgate-bundle+jws": {created, format, issuer, key, manifest, origins}
    origins\\n        [[source, fetched], …], one for each object: where the exporter had it from, and when
    manifest\\n       [{bytes, channel, key, kind, sha256, simulated, variant}, …]: one for each slot
    members          the bytes of every object, each once, in the order of the manifest, nothing in between

`manifest` and `origins` in the JWS are SHA-256 (hex) over those two lines without their line feed; `key` is
the public JWK that signed, so a bundle says who made it, and `signer` is the RFC 7638 thumbprint of that key:
the importing side pins it. Lines are canonical JSON (sorted keys, no blanks, ASCII); rows are in `rank`
order, issuers first, so that equal contents are equal bytes from the manifest on. Nothing is compressed.

What must stay true: signature and digests are checked before a row is believed; a member is bytes of exactly
the size and digest that its row says. A signature says who packed a bundle, never that a member is genuine:
that is for vetting to say, piece by piece.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

from gateway.collateral.slots import CHANNELS, FORMS
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Slot
from gateway.protocol import jwk
from gateway.record import rfc3339
from gateway.token import jws
from verifiers.codec import b64, strictjson
from verifiers.collateral import MAX_FILE
from verifiers.errors import AttestationError

MAGIC = b"sealgate-collateral/1"
TYP = "sealgate-bundle+jws"
MAX_OBJECTS = 5_000
MAX_HEAD = 3 * 1024 * 1024
"""Bytes of the four lines; a head and a piece go into one request body, of which none has more than 4 MiB."""
MAX_BYTES = 128 * 1024 * 1024
"""Bytes of a whole bundle."""
MAX_PIECE = 1024 * 1024
"""Bytes of members that go to a gateway at once."""
_MAX_TOKEN = 8 * 1024
_MEMBERS = ("bytes", "channel", "key", "kind", "sha256", "simulated", "variant")
_CLAIMS = frozenset({"created", "format", "issuer", "key", "manifest", "origins"})
_SIGNED = ("crv", "kty", "x", "y")
_HEX = frozenset("0123456789abcdef")

Sign = Callable[[Mapping[str, Any], bytes], str]


@dataclass(frozen=True, slots=True)
class Row:
    """An object and the slot it is for. source, fetched: what the exporter says of its origin."""

    slot: Slot
    sha256: str
    size: int
    source: str
    fetched: str


class Member(NamedTuple):
    """The bytes of one object or, where slots share it, of several. at: offset behind the head."""

    sha256: str
    size: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Everything but the members. digest: of the manifest, hex: names the contents. raw: the four lines."""

    issuer: str
    created: str
    signer: str
    digest: str
    rows: tuple[Row, ...]
    raw: bytes = field(repr=False)

    @property
    def members(self) -> tuple[Member, ...]:
        """Each object once, in the order of the file."""
        out: dict[str, Member] = {}
        at = 0
        for row in self.rows:
            if row.sha256 not in out:
                out[row.sha256] = Member(row.sha256, row.size, at)
                at += row.size
        return tuple(out.values())

    @property
    def size(self) -> int:
        """Bytes of the whole bundle."""
        return len(self.raw) + sum(member.size for member in self.members)


def rank(slot: Slot) -> tuple[object, ...]:
    """The order of rows: certificates of issuers before what they vouch for, then by name."""
    return (slot.kind != "intel.issuer", slot.kind, slot.key, slot.channel, slot.variant, slot.simulated)


# --- writing -------------------------------------------------------------------------------------------


def make_head(
    rows: Sequence[Row], *, issuer: str, created: datetime, key: Mapping[str, str], sign: Sign
) -> Head:
    """The signed head of a bundle of these objects. key: the public JWK of whom `sign` signs for.

    Raises GatewayError(BUNDLE_TOO_LARGE): too many objects or bytes for one file.
    """
    ordered = sorted(rows, key=lambda row: rank(row.slot))
    origins = _canonical([[row.source, row.fetched] for row in ordered])
    manifest = _canonical([_row_json(row) for row in ordered])
    claims = {
        "created": rfc3339(created),
        "format": MAGIC.decode(),
        "issuer": issuer,
        "key": {name: key[name] for name in _SIGNED},
        "manifest": hashlib.sha256(manifest).hexdigest(),
        "origins": hashlib.sha256(origins).hexdigest(),
    }
    token = sign({"typ": TYP}, _canonical(claims))
    raw = b"\n".join((MAGIC, token.encode(), origins, manifest, b""))
    head = parse_head(raw)
    _require_size(head)
    return head


def _row_json(row: Row) -> dict[str, object]:
    values = (row.size, row.slot.channel, row.slot.key, row.slot.kind, row.sha256, row.slot.simulated,
              row.slot.variant)  # fmt: skip
    return dict(zip(_MEMBERS, values, strict=True))


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


# --- reading -------------------------------------------------------------------------------------------


def looks_like(start: bytes) -> bool:
    """Whether a file that begins so means to be a bundle."""
    return start.startswith(b"sealgate-collateral/")


def read_head(file: BinaryIO) -> Head:
    """The head of a bundle; `file` stands behind it afterwards. Never reads more than MAX_HEAD bytes.

    Raises GatewayError: BUNDLE_MALFORMED, BUNDLE_TRUNCATED (fewer than four lines), BUNDLE_SIGNATURE (the key
    in it did not sign these lines), BUNDLE_TOO_LARGE.
    """
    lines: list[bytes] = []
    left = MAX_HEAD
    for name in ("format", "signature", "origins", "manifest"):
        line = file.readline(left + 1)
        if len(line) > left:
            raise _bad(GatewayReason.BUNDLE_TOO_LARGE, name, f"a head of at most {MAX_HEAD} bytes", "more")
        if name == "format" and line.rstrip(b"\n") != MAGIC:
            raise _bad(GatewayReason.BUNDLE_MALFORMED, name, MAGIC.decode(), repr(line[:32]))
        if not line.endswith(b"\n"):
            raise _bad(GatewayReason.BUNDLE_TRUNCATED, name, "a whole line", f"{len(line)} bytes of one")
        left -= len(line)
        lines.append(line[:-1])
    _, token, origins, manifest = lines
    claims = _claims(token)
    for name, line in (("origins", origins), ("manifest", manifest)):
        if claims[name] != hashlib.sha256(line).hexdigest():
            raise _bad(GatewayReason.BUNDLE_SIGNATURE, name, "the line that was signed", "another")
    head = Head(
        issuer=claims["issuer"],
        created=claims["created"],
        signer=claims["signer"],
        digest=claims["manifest"],
        rows=_rows(manifest, origins),
        raw=b"\n".join((*lines, b"")),
    )
    _require_size(head)
    return head


def parse_head(raw: bytes) -> Head:
    """As `read_head`, of bytes that are a head and nothing more."""
    head, rest = split(raw)
    if rest:
        raise _surplus("head")
    return head


def split(raw: bytes) -> tuple[Head, bytes]:
    """The head at the front of `raw`, and what follows it. Raises as `read_head`."""
    file = io.BytesIO(raw)
    head = read_head(file)
    return head, file.read()


def members(head: Head, file: BinaryIO) -> Iterator[tuple[Member, bytes]]:
    """Every member, checked against its row, from a file that stands behind the head.

    Raises GatewayError: BUNDLE_TRUNCATED, BUNDLE_MEMBER (other bytes than the row says: changed, swapped or
    twice), BUNDLE_SURPLUS (something behind the last one).
    """
    for index, member in enumerate(head.members):
        yield member, check(index, member, file.read(member.size))
    if file.read(1):
        raise _surplus("members")


def cut(head: Head, start: int, raw: bytes) -> Iterator[tuple[Member, bytes]]:
    """Whole members, from the one with index `start` on, as far as `raw` goes. Raises as `members`."""
    at = 0
    for index, member in enumerate(head.members[start:], start):
        if at == len(raw):
            return
        yield member, check(index, member, raw[at : at + member.size])
        at += member.size
    if at != len(raw):
        raise _surplus("members")


def check(index: int, member: Member, raw: bytes) -> bytes:
    """`raw`, if it is that member."""
    where = f"member {index}"
    if len(raw) < member.size:
        raise _bad(GatewayReason.BUNDLE_TRUNCATED, where, f"{member.size} bytes", f"{len(raw)} bytes")
    found = hashlib.sha256(raw).hexdigest()
    if found != member.sha256:
        raise _bad(GatewayReason.BUNDLE_MEMBER, where, f"sha256 {member.sha256}", f"sha256 {found}")
    return raw


def _claims(token: bytes) -> dict[str, str]:
    """What was signed, and `signer`, the thumbprint of the key that it names and that signed it."""
    if len(token) > _MAX_TOKEN:
        raise _bad(
            GatewayReason.BUNDLE_MALFORMED, "signature", f"at most {_MAX_TOKEN} bytes", f"{len(token)} bytes"
        )
    try:
        text = token.decode("ascii")
        parts = text.split(".")
        middle = parts[1] if len(parts) == 3 else ""
        payload = b64.decode_url(middle, "signature", limit=_MAX_TOKEN)
        claims = strictjson.loads(payload, "signature", limit=_MAX_TOKEN, max_depth=4)
        if not isinstance(claims, dict) or claims.keys() != _CLAIMS or _canonical(claims) != payload:
            raise _bad(GatewayReason.BUNDLE_MALFORMED, "signature", f"members {sorted(_CLAIMS)}", "others")
        key = jwk.parse(claims.pop("key"), "key")
        if key.jwk.get("crv") != "P-256":
            raise _bad(GatewayReason.BUNDLE_MALFORMED, "key", "P-256", str(key.jwk.get("crv", "RSA")))
        if claims["format"] != MAGIC.decode() or not all(isinstance(claims[name], str) for name in claims):
            raise _bad(GatewayReason.BUNDLE_MALFORMED, "signature", "texts", "something else")
        jws.verify(text, {"keys": [{**key.jwk, "kid": key.thumbprint}]}, typ=TYP)
    except (UnicodeDecodeError, AttestationError) as error:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, "signature", "a compact JWS", str(error)[:100]) from None
    except GatewayError as error:
        if error.reason is GatewayReason.BUNDLE_MALFORMED:
            raise
        reason = GatewayReason.BUNDLE_SIGNATURE
        if error.reason is not GatewayReason.TOKEN_SIGNATURE:
            reason = GatewayReason.BUNDLE_MALFORMED
        raise _bad(reason, error.where, error.expected, error.found) from None
    return {**claims, "signer": key.thumbprint}


def _rows(manifest: bytes, origins: bytes) -> tuple[Row, ...]:
    listed, places = _list(manifest, "manifest"), _list(origins, "origins")
    if len(listed) != len(places):
        raise _bad(GatewayReason.BUNDLE_MALFORMED, "origins", f"{len(listed)} entries", str(len(places)))
    out: list[Row] = []
    sizes: dict[str, int] = {}
    for index, (value, place) in enumerate(zip(listed, places, strict=True)):
        row = _row(value, place, index)
        if out and rank(out[-1].slot) >= rank(row.slot):
            raise _bad(
                GatewayReason.BUNDLE_MALFORMED,
                f"manifest[{index}]",
                "each slot once, in order",
                str(row.slot),
            )
        if sizes.setdefault(row.sha256, row.size) != row.size:
            raise _bad(
                GatewayReason.BUNDLE_MALFORMED, f"manifest[{index}].bytes", "one size", "two for one digest"
            )
        out.append(row)
    return tuple(out)


def _row(value: object, place: object, index: int) -> Row:
    where = f"manifest[{index}]"
    if not isinstance(value, dict) or tuple(sorted(value)) != _MEMBERS:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, where, f"members {', '.join(_MEMBERS)}", "others")
    texts = [value[name] for name in ("channel", "key", "kind", "sha256", "variant")]
    origin: list[Any] = place if isinstance(place, list) and len(place) == 2 else [None, None]
    sound = (
        all(isinstance(text, str) for text in (*texts, *origin))
        and type(value["bytes"]) is int
        and isinstance(value["simulated"], bool)
    )
    if not sound or value["kind"] not in FORMS or value["channel"] not in CHANNELS:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, where, "a slot of a known kind and its object", "another")
    if not 0 < value["bytes"] <= MAX_FILE:
        raise _bad(
            GatewayReason.BUNDLE_MALFORMED, f"{where}.bytes", f"1 to {MAX_FILE}", str(value["bytes"])[:20]
        )
    if len(value["sha256"]) != 64 or not set(value["sha256"]) <= _HEX:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, f"{where}.sha256", "64 hex digits", "something else")
    slot = Slot(value["kind"], value["key"], value["channel"], value["variant"], value["simulated"])
    return Row(slot, value["sha256"], value["bytes"], origin[0], origin[1])


def _list(raw: bytes, where: str) -> list[Any]:
    try:
        value = strictjson.loads(raw, where, limit=MAX_HEAD, max_depth=3)
    except AttestationError as error:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, error.where, error.expected, error.found) from None
    if not isinstance(value, list) or _canonical(value) != raw:
        raise _bad(GatewayReason.BUNDLE_MALFORMED, where, "a list in canonical JSON", "something else")
    return value


def _require_size(head: Head) -> None:
    if len(head.rows) > MAX_OBJECTS:
        raise _bad(
            GatewayReason.BUNDLE_TOO_LARGE, "manifest", f"at most {MAX_OBJECTS} objects", str(len(head.rows))
        )
    if len(head.raw) > MAX_HEAD or head.size > MAX_BYTES:
        raise _bad(
            GatewayReason.BUNDLE_TOO_LARGE, "manifest", f"at most {MAX_BYTES} bytes", f"{head.size} bytes"
        )


def _surplus(where: str) -> GatewayError:
    return _bad(GatewayReason.BUNDLE_SURPLUS, where, "the end", "more bytes")


def _bad(reason: GatewayReason, where: str, expected: str, found: object) -> GatewayError:
    return GatewayError(
        reason,
        f"bundle: {where}: expected {expected}, found {found}",
        where=f"bundle: {where}",
        expected=expected,
        found=found,
    )
