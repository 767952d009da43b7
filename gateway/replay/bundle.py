"""A replay bundle: one JSON file with everything that a stored appraisal was made from.

Whoever has it, and the sealgate that made the appraisal, needs nothing else: no store, no key, no network.
Every object in it is compared with its digest when the file is read, and those digests with the ones that the
record names, so that nothing can be exchanged alone. The record itself is vouched for by the ledger, which
has the digests of evidence and policies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import evidence
from gateway.appraisals import StoredAppraisal
from gateway.errors import GatewayError, GatewayReason
from gateway.evidence import Submission
from gateway.ports import StoredDocument, Supplied
from gateway.record import rfc3339
from policies.model import Profile, Requirement
from verifiers.codec import b64, strictjson
from verifiers.errors import AttestationError
from verifiers.model import AnchorSet, Binding, ReportData, Unbound

FORMAT = "sealgate-replay/1"
MAX_BUNDLE = 32 * 1024 * 1024
_MAX_OBJECT = 4 * 1024 * 1024
_MAX_DOCUMENTS = 512
_MAX_CHECKS = 10_000
_MEMBERS = frozenset(
    {"format", "attempt", "tenant", "at", "record", "evidence", "runtime_data", "collateral", "policies"}
)
_OBJECT = frozenset({"kind", "sha256", "source"})
_DOCUMENT = frozenset({"kind", "name", "digest", "source"})
_KIND = re.compile(r"[a-z-]{1,32}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"([a-z0-9][a-z0-9._-]{0,127})@([1-9][0-9]{0,9})\Z")


@dataclass(frozen=True, slots=True)
class Piece:
    """One object that a verifier was handed. raw: None when it is held no more."""

    kind: str
    sha256: str
    raw: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One policy document. name, version: as its record says. source: its whole file; None: not held."""

    kind: str
    name: str
    version: int
    digest: str
    source: bytes | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}@{self.version} {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """record: the appraisal as it is stored. verifier … required: what its `replay` says. now: what our
    sources would have handed over at the time of export, when that was asked for."""

    attempt: str
    tenant: str
    at: datetime
    record: Mapping[str, Any]
    verifier: str
    anchors: AnchorSet
    binding: Binding
    profile: Profile
    required: frozenset[Requirement]
    submission: Submission
    withheld: tuple[str, ...]
    collateral: tuple[Piece, ...]
    documents: tuple[Document, ...]
    now: tuple[Piece, ...] | None


# --- writing -------------------------------------------------------------------------------------------


def documents_of(record: Mapping[str, Any]) -> tuple[Document, ...]:
    """What the stored record names, without sources: the documents that had a say, and the baselines that
    were compiled beside them."""
    replay = _object(record.get("replay"), "record.replay")
    listed = [
        *_list(replay.get("baselines"), "record.replay.baselines", _MAX_DOCUMENTS),
        *_list(record.get("policies"), "record.policies", _MAX_DOCUMENTS),
    ]
    found = {}
    for index, item in enumerate(listed):
        where = f"record: policy {index + 1}"
        member = _object(item, where)
        named = _document(member | {"kind": member.get("kind", "baseline")}, where)
        found[named.kind, named.name, named.version] = named
    return tuple(found.values())


def replayable(stored: StoredAppraisal) -> dict[str, Any]:
    """The record. Raises GatewayError(REPLAY_NOT_KEPT) for one that says nothing of a replay."""
    record = _object(_loads(stored.record, "record", MAX_BUNDLE), "record")
    if "replay" not in record:
        raise GatewayError(
            GatewayReason.REPLAY_NOT_KEPT,
            "this attempt ended before there was a verdict, or is older than replays",
            where=f"attempt {stored.jti}",
            expected="a record with `replay`",
            found="one without",
        )
    return record


def write(
    stored: StoredAppraisal,
    submission: Submission,
    *,
    objects: Mapping[str, bytes],
    documents: Sequence[StoredDocument],
    now: Supplied | None,
) -> dict[str, Any]:
    """The bundle in JSON's types. objects: by SHA-256 in hex; documents: as stored. What is in neither is
    listed without its bytes, so that whoever replays is told what is lacking.

    Raises GatewayError: REPLAY_NOT_KEPT for a record that says nothing of a replay, REPLAY_ALTERED.
    """
    record = replayable(stored)
    members = () if stored.collateral is None else evidence.members(stored.collateral)
    sources = {(d.kind, d.name, d.version): d.source for d in documents}
    out: dict[str, Any] = {
        "format": FORMAT,
        "attempt": stored.jti,
        "tenant": stored.tenant,
        "at": rfc3339(stored.created),
        "record": record,
        "evidence": b64.encode_url(submission.evidence),
        "runtime_data": b64.encode_url(submission.runtime_data),
        "collateral": [
            {"kind": kind, "sha256": digest, "source": _encoded(objects.get(digest))}
            for kind, digest in members
        ],
        "policies": [
            {
                "kind": each.kind,
                "name": f"{each.name}@{each.version}",
                "digest": each.digest,
                "source": _encoded(sources.get((each.kind, each.name, each.version))),
            }
            for each in documents_of(record)
        ],
    }
    if now is not None:
        out["collateral_now"] = [
            {"kind": kind, "sha256": hashlib.sha256(raw).hexdigest(), "source": b64.encode_url(raw)}
            for kind, raw in evidence.pieces_of(now)
        ]
    return out


def _encoded(raw: bytes | None) -> str | None:
    return None if raw is None else b64.encode_url(raw)


# --- reading -------------------------------------------------------------------------------------------


def parse(raw: bytes) -> Bundle:
    """A bundle, every part of it compared with its digest.

    Raises GatewayError: REPLAY_MALFORMED for what is no bundle, REPLAY_ALTERED for a part that is not what
    the record was made from. Parts that are lacking are no error here.
    """
    top = _object(_loads(raw, "bundle", MAX_BUNDLE), "bundle")
    unknown = sorted(top.keys() - _MEMBERS - {"collateral_now"})
    if unknown or not top.keys() >= _MEMBERS:
        raise _malformed("bundle", f"the members of {FORMAT}", f"{unknown or sorted(_MEMBERS - top.keys())}")
    if top["format"] != FORMAT:
        raise _malformed("format", FORMAT, top["format"])
    record = _object(top["record"], "record")
    replay = _object(record.get("replay"), "record.replay")
    _check_findings(record)
    submission = Submission(_bytes(top["evidence"], "evidence"), _bytes(top["runtime_data"], "runtime_data"))
    _same("evidence", submission.digest, replay.get("submission"))
    pieces = _pieces(top["collateral"], "collateral")
    listing = b"".join(f"{piece.kind} {piece.sha256}\n".encode() for piece in pieces)
    _same("collateral", hashlib.sha256(listing).hexdigest(), replay.get("collateral"))
    for name in ("attempt", "tenant", "at"):
        if top[name] != record.get(name):
            raise _altered(name, record.get(name), top[name])
    return Bundle(
        attempt=_text(top["attempt"], "attempt"),
        tenant=_text(top["tenant"], "tenant"),
        at=_moment(top["at"], "at"),
        record=record,
        verifier=_text(replay.get("verifier"), "record.replay.verifier"),
        anchors=_word(AnchorSet, replay.get("anchors"), "record.replay.anchors"),
        binding=_binding(replay.get("binding")),
        profile=_word(Profile, replay.get("profile"), "record.replay.profile"),
        required=frozenset(
            _word(Requirement, word, "record.replay.required")
            for word in _list(replay.get("required"), "record.replay.required", 16)
        ),
        submission=submission,
        withheld=tuple(
            _text(line, "record.replay.withheld")
            for line in _list(replay.get("withheld"), "record.replay.withheld", evidence.MAX_SET)
        ),
        collateral=pieces,
        documents=_documents(top["policies"], record),
        now=_pieces(top["collateral_now"], "collateral_now") if "collateral_now" in top else None,
    )


def _check_findings(record: Mapping[str, Any]) -> None:
    """What is compared and shown has the types that a record gives it."""
    _text(record.get("verdict"), "record.verdict")
    if record.get("reason") is not None:
        _text(record["reason"], "record.reason")
    for index, check in enumerate(_list(record.get("checks"), "record.checks", _MAX_CHECKS)):
        where = f"record.checks[{index}]"
        member = _object(check, where)
        texts = [member.get(name) for name in ("id", "outcome", "expected", "found", "source")]
        texts += [member[name] for name in ("reason", "fix") if member.get(name) is not None]
        if not all(isinstance(text, str) for text in texts):
            raise _malformed(where, "a check", sorted(member))


def _pieces(value: object, where: str) -> tuple[Piece, ...]:
    out = []
    for index, item in enumerate(_list(value, where, evidence.MAX_SET)):
        at = f"{where}[{index}]"
        member = _object(item, at)
        kind, digest = member.get("kind"), member.get("sha256")
        if member.keys() != _OBJECT or not _matches(_KIND, kind) or not _matches(_DIGEST, digest):
            raise _malformed(at, "kind, sha256 and source", sorted(member))
        raw = None if member["source"] is None else _bytes(member["source"], at)
        if raw is not None and hashlib.sha256(raw).hexdigest() != digest:
            raise _altered(f"{at}: {kind}", f"sha256:{digest}", f"sha256:{hashlib.sha256(raw).hexdigest()}")
        out.append(Piece(str(kind), str(digest), raw))
    return tuple(out)


def _documents(value: object, record: Mapping[str, Any]) -> tuple[Document, ...]:
    """Exactly the documents that the record names, in its order."""
    given = []
    for index, item in enumerate(_list(value, "policies", _MAX_DOCUMENTS)):
        at = f"policies[{index}]"
        member = _object(item, at)
        if member.keys() != _DOCUMENT:
            raise _malformed(at, ", ".join(sorted(_DOCUMENT)), sorted(member))
        named = _document(member, at)
        if named.source is not None:
            _same(f"{at}: {named.name}", "sha256:" + hashlib.sha256(named.source).hexdigest(), named.digest)
        given.append(named)
    for want, got in zip(expected := documents_of(record), given, strict=False):
        if str(want) != str(got):
            raise _altered("policies", want, got)
    if len(expected) != len(given):
        raise _altered("policies", f"{len(expected)} documents", f"{len(given)} documents")
    return tuple(given)


def _document(member: Mapping[str, Any], where: str) -> Document:
    name = _NAME.match(member["name"]) if isinstance(member.get("name"), str) else None
    if name is None or not _matches(_KIND, member.get("kind")):
        raise _malformed(where, "a kind and NAME@VERSION", member.get("name"))
    source = member.get("source")
    return Document(
        kind=member["kind"],
        name=name[1],
        version=int(name[2]),
        digest=_text(member.get("digest"), f"{where}.digest"),
        source=None if source is None else _bytes(source, where),
    )


def _binding(value: object) -> Binding:
    where = "record.replay.binding"
    match _object(value, where):
        case {"report_data": data}:
            expected = _bytes(data, where)
            if len(expected) == 64:
                return ReportData(expected)
        case {"unbound": str() as why}:
            return Unbound(why)
    raise _malformed(where, "64 bytes of report data, or why there are none", value)


# --- small readers -------------------------------------------------------------------------------------


def _loads(raw: bytes, where: str, limit: int) -> object:
    try:
        return strictjson.loads(raw, where, limit=limit)
    except AttestationError as error:
        raise _malformed(error.where, error.expected, error.found) from None


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(where, "an object", type(value).__name__)
    return value


def _list(value: object, where: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        found = f"{len(value)} items" if isinstance(value, list) else type(value).__name__
        raise _malformed(where, f"a list of at most {most}", found)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise _malformed(where, "a short string", type(value).__name__)
    return value


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _bytes(value: object, where: str) -> bytes:
    try:
        return b64.decode_url(value, where, limit=_MAX_OBJECT)
    except AttestationError as error:
        raise _malformed(where, error.expected, error.found) from None


def _moment(value: object, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(_text(value, where).replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None or found.utcoffset():
        raise _malformed(where, "a time in UTC", value)
    return found


def _word(words: Any, value: object, where: str) -> Any:
    try:
        return words(value)
    except ValueError:
        raise _malformed(where, " or ".join(word.value for word in words), value) from None


def _same(what: str, found: str, expected: object) -> None:
    if found != expected:
        raise _altered(what, expected, found)


def _altered(what: str, expected: object, found: object) -> GatewayError:
    return GatewayError(
        GatewayReason.REPLAY_ALTERED,
        f"{what} is not what the record was made from",
        where=what,
        expected=str(expected)[:160],
        found=str(found)[:160],
    )


def _malformed(where: str, expected: object, found: object) -> GatewayError:
    said = f"{where}: expected {expected}, found {str(found)[:120]}"
    return GatewayError(
        GatewayReason.REPLAY_MALFORMED, said, where=where, expected=expected, found=str(found)[:120]
    )
