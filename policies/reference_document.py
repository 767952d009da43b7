"""`sealgate: reference-values/1`: a named set of measurements, who vouches for it and until when."""

from __future__ import annotations

from collections.abc import Mapping

from policies import scalars, values
from policies.errors import Place, Problems, did_you_mean, quote
from policies.model import ReferenceSet
from policies.reading import Context, Fields, distinct, pairs
from policies.references import (
    MAX_SHAPES,
    Contradiction,
    Entry,
    Revoked,
    build_index,
    for_kind,
)
from policies.strictyaml import Map, Node, Scalar
from policies.values import Literal
from policies.vocabulary import ROLE_CLAIMS, Role, kinds_of
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TeeKind

KIND = "reference-values/1"

REQUIRED = ("sealgate", "name", "version", "owner", "valid", "entries")
OPTIONAL = ("provenance", "revoked")
VALID = ("from", "until")
_NOTES = ("note", "from_file")
ENTRY = ("id", "origin", *_NOTES)
REVOKED = ("entry", "since", "reason")
ORIGINS = ("predicted", "seen")
_TYPES = frozenset(
    {
        ClaimType.DIGEST,
        ClaimType.BYTES,
        ClaimType.FLAG,
        ClaimType.INTEGER,
        ClaimType.MASK,
        ClaimType.TEXT,
        ClaimType.VERSION,
    }
)


def read(node: Map, context: Context) -> ReferenceSet | None:
    problems = context.problems
    before = len(problems)
    fields = Fields(node, "the reference set", problems, required=REQUIRED, optional=OPTIONAL)
    name, version, owner = fields.id("name"), fields.positive("version"), fields.text("owner")
    valid = (
        Fields(fields.node("valid") or node, "valid", problems, required=VALID)
        if (fields.node("valid") is not None)
        else None
    )
    start, end = (valid.time("from"), valid.time("until")) if valid is not None else (None, None)
    if valid is not None and start is not None and end is not None and end <= start:
        problems.add("time-order", valid.place("until"), "until is later than from")
    provenance = fields.node("provenance")
    said = () if provenance is None else pairs(provenance, "provenance", problems)
    entries = [entry for item in fields.items("entries") if (entry := _entry(item, context)) is not None]
    distinct(((entry.id, entry.at) for entry in entries), "entry", problems)
    by_id = {entry.id: entry for entry in entries}
    revoked = [
        found
        for item in fields.items("revoked")
        if (found := _revoked(item, by_id, version or 0, context)) is not None
    ]
    distinct(((item.entry, item.at) for item in revoked), "revocation of", problems)
    if len(problems) > before or None in (name, version, owner, start, end):
        return None
    assert name is not None and version is not None and owner is not None
    assert start is not None and end is not None
    _check_same_values(entries, problems)
    index = build_index(entries, revoked)
    if any(len(shapes) > MAX_SHAPES for shapes in index.entries.values()):
        message = f"entries state more than {MAX_SHAPES} different combinations of claims"
        problems.add("too-many", fields.place("entries"), message)
    return ReferenceSet(
        name=name,
        version=version,
        owner=owner,
        valid_from=start,
        valid_until=end,
        provenance=said,
        entries=tuple(entries),
        revoked=tuple(revoked),
        index=index,
        digest=node.at.source.digest,
        source=node.at.source,
    )


def _entry(node: Node, context: Context) -> Entry | None:
    problems = context.problems
    before = len(problems)
    if not isinstance(node, Map):
        problems.add("type-mismatch", node.at, f"an entry is a mapping, not {scalars.kind_of(node)}")
        return None
    id_node = node.get("id")
    if id_node is None:
        problems.add("missing-key", node.at, "an entry lacks id")
    entry_id = None if id_node is None else scalars.identifier(id_node, "entry", problems)
    notes: list[tuple[str, str]] = []
    for key, value in node.pairs:
        if key.text in _NOTES:
            said = scalars.text(value, key.text, problems)
            notes += [(key.text, said)] if said is not None else []
    seen = _seen(node.get("origin"), problems)
    claims = _claims(node, ENTRY, context)
    if len(problems) > before or entry_id is None:
        return None
    if not _useful(claims, node.at, f"entry {entry_id}", problems):
        return None
    return Entry(id=entry_id, claims=claims, notes=tuple(notes), seen=seen, at=node.at)


def _seen(node: Node | None, problems: Problems) -> bool:
    """`origin: seen` says that the values come from evidence; they count under an accepted risk only."""
    word = None if node is None else scalars.scalar(node, "origin", problems)
    if word is not None and word.text not in ORIGINS:
        message = f"origin is one of {', '.join(ORIGINS)}; this is {quote(word.text)}"
        problems.add("value", word.at, message, hint=did_you_mean(word.text, ORIGINS))
    return word is not None and word.text == "seen"


def identifies(spec: ClaimSpec) -> bool:
    """Whether an entry may state this claim: one value, about one kind of thing."""
    return spec.type in _TYPES and len(kinds_of(spec.name)) < len(TeeKind)


def _claims(node: Map, others: tuple[str, ...], context: Context) -> dict[str, Literal]:
    """The claims of an entry: everything in it that is not one of `others`."""
    problems = context.problems
    out: dict[str, Literal] = {}
    for key, value in node.pairs:
        if key.text in others:
            continue
        spec = context.words.specs.get(key.text)
        if spec is None:
            hint = did_you_mean(key.text, others) or context.words.suggest(key.text)
            problems.add("claim-unknown", key.at, f"there is no claim {quote(key.text)}", hint=hint)
        elif not identifies(spec):
            message = f"{spec.name} ({spec.type.value}) does not identify a guest, workload or platform"
            problems.add("claim-type", key.at, message)
        elif (literal := values.one(value, spec, "equals", problems)) is not None:
            out[spec.name] = literal
    return out


def _useful(claims: Mapping[str, Literal], at: Place, what: str, problems: Problems) -> bool:
    """An entry must be able to match something, and must not contradict itself."""
    usable = False
    for kind in TeeKind:
        try:
            stated = for_kind(claims, kind)
        except Contradiction as error:
            problems.add("contradiction", at, f"{what}: {error}")
            return False
        usable |= stated is not None and any(not ROLE_CLAIMS[role, kind].isdisjoint(stated) for role in Role)
    if not usable:
        names = ", ".join(sorted({claim for found in ROLE_CLAIMS.values() for claim in found}))
        message = f"{what} identifies nothing; it states at least one of init_data.digest, {names}"
        problems.add("entry-empty", at, message)
        return False
    masked = [name for name in sorted(_identities()) if _is_zero(claims.get(name))]
    for name in masked:
        message = f"{what}: {name} of zero means masked; it would fit every machine that hides its identity"
        problems.add("zero-identity", at, message)
    return not masked


def _identities() -> set[str]:
    return {claim for (role, _), found in ROLE_CLAIMS.items() if role is Role.PLATFORM for claim in found}


def _is_zero(value: Literal | None) -> bool:
    return isinstance(value, bytes) and not any(value)


def _check_same_values(entries: list[Entry], problems: Problems) -> None:
    seen: dict[frozenset[tuple[str, Literal]], Entry] = {}
    for entry in entries:
        key = frozenset(entry.claims.items())
        if key in seen:
            message = f"entry {entry.id} has the values of {seen[key].id}, in line {seen[key].at.line}"
            problems.add("duplicate-entry", entry.at, message)
        seen.setdefault(key, entry)


def _revoked(node: Node, entries: Mapping[str, Entry], version: int, context: Context) -> Revoked | None:
    """`entry: ID` or `ID@VERSION` of this set. Values come from the entry, or stand beside it.

    An entry of an older version is not in this file any more; with its values written here, evidence that
    still shows them is refused as revoked, and not merely as unlisted.
    """
    problems = context.problems
    before = len(problems)
    if not isinstance(node, Map):
        problems.add("type-mismatch", node.at, f"a revocation is a mapping, not {scalars.kind_of(node)}")
        return None
    own = Map(tuple(pair for pair in node.pairs if pair[0].text in REVOKED), node.at)
    fields = Fields(own, "a revocation", problems, required=REVOKED)
    since, reason = fields.time("since"), fields.text("reason")
    claims: Mapping[str, Literal] = _claims(node, REVOKED, context)
    named = fields.read("entry", scalars.scalar)
    if named is None:
        return None
    current = _is_current(named, entries, version, problems)
    if current is not None:
        if claims:
            problems.add("contradiction", node.at, f"{named.text} is in this file; its values stand there")
        claims = current.claims
    elif claims:
        _useful(claims, node.at, f"revocation of {named.text}", problems)
    if len(problems) > before or since is None or reason is None:
        return None
    return Revoked(entry=named.text, since=since, reason=reason, claims=claims, at=node.at)


def _is_current(
    named: Scalar, entries: Mapping[str, Entry], version: int, problems: Problems
) -> Entry | None:
    """The entry of this version that is meant; None when an older one is."""
    entry_id, at, number = named.text.partition("@")
    if at and not (number.isascii() and number.isdigit() and 0 < len(number) < 10):
        problems.add("identifier", named.at, f"{quote(named.text)}: an entry, or entry@version")
        return None
    if at and int(number) > version:
        problems.add("reference", named.at, f"version {number} of this set does not exist yet")
        return None
    if at and int(number) < version:
        return None
    if entry_id not in entries:
        message = f"this set has no entry {quote(entry_id)}; name an older one as {entry_id}@VERSION"
        problems.add("reference", named.at, message, hint=did_you_mean(entry_id, entries))
        return None
    return entries[entry_id]
