"""Reference sets as something to look evidence up in: one entry matches as a whole, entries never mix.

Lookup hardly depends on the number of entries: entries that state the same claims form a *shape*, and a shape
is a mapping from the tuple of those claims' values to the entry: a dictionary, or sorted bytes when there are
many (`packed.py`). Sets have one or two shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from policies.errors import Place
from policies.packed import pack
from policies.values import Literal
from policies.vocabulary import (
    INIT_DATA,
    INIT_DATA_REGISTER,
    ROLE_CLAIMS,
    Role,
    kinds_of,
)
from verifiers.model import Claims, TeeKind

# Each shape costs one look-up; real sets have one per kind of evidence, or two.
MAX_SHAPES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One set of values that belong together. notes: provenance of this entry, for people. seen: taken from
    evidence, and not predicted from an image."""

    id: str
    claims: Mapping[str, Literal]
    notes: tuple[tuple[str, str], ...]
    seen: bool = False
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """An entry that no longer matches, from `since` on. claims: its values, when they are known."""

    entry: str
    since: datetime
    reason: str
    claims: Mapping[str, Literal]
    at: Place = field(compare=False, repr=False)


class Contradiction(ValueError):
    """An entry states two values for one register."""


def for_kind(claims: Mapping[str, Literal], kind: TeeKind) -> dict[str, Literal] | None:
    """What an entry states about evidence of `kind`, with `init_data.digest` turned into the register.

    None when it states nothing, or something that evidence of this kind cannot satisfy (a SHA-384 init-data
    digest in the 32 bytes of HOST_DATA). Raises Contradiction.
    """
    out = {name: value for name, value in claims.items() if name != INIT_DATA and kind in kinds_of(name)}
    if INIT_DATA in claims and kind in INIT_DATA_REGISTER:
        register, size = INIT_DATA_REGISTER[kind]
        digest = claims[INIT_DATA]
        assert isinstance(digest, bytes)
        if len(digest) > size:
            return None
        padded = digest + bytes(size - len(digest))
        if out.setdefault(register, padded) != padded:
            raise Contradiction(f"{INIT_DATA} and {register} differ")
    return out or None


@dataclass(frozen=True, slots=True)
class Shape:
    """Entries that state the same claims. rows: values, in the order of `names`, to entry id. types: of the
    values; evidence with a value of another type (True for 1) is as if it had none."""

    names: tuple[str, ...]
    rows: Mapping[tuple[Literal, ...], str]
    types: tuple[type, ...]

    def values(self, claims: Claims) -> tuple[Literal | None, ...]:
        """What evidence says of `names`; None where it says nothing, or something of another type."""
        found = zip(map(claims.get, self.names), self.types, strict=True)
        return tuple([value if type(value) is kind else None for value, kind in found])


@dataclass(frozen=True, slots=True)
class Index:
    """Shapes by role and kind of evidence; revoked values apart, under every role, with when and why."""

    entries: Mapping[tuple[Role, TeeKind], tuple[Shape, ...]]
    revoked: Mapping[tuple[Role, TeeKind], tuple[Shape, ...]]
    revocations: Mapping[str, Revoked]
    seen: bool
    """Whether some entry was taken from evidence, and not predicted."""
    pinned: Mapping[tuple[Role, TeeKind], frozenset[str]]
    """The claims that all entries of a role state."""


def build_index(entries: Iterable[Entry], revoked: Iterable[Revoked]) -> Index:
    """Raises Contradiction; an entry must have been checked for that when it was read."""
    entries = tuple(entries)
    gone = sorted(revoked, key=lambda item: item.since)  # of equal values, the earliest revocation counts
    shapes = _shapes(((entry.id, entry.claims) for entry in entries), _roles_of)
    return Index(
        shapes,
        _shapes(((item.entry, item.claims) for item in gone), _every_role),
        MappingProxyType({item.entry: item for item in gone}),
        any(entry.seen for entry in entries),
        MappingProxyType(
            {
                key: frozenset.intersection(*(frozenset(shape.names) for shape in found))
                for key, found in shapes.items()
            }
        ),
    )


def _roles_of(kind: TeeKind, names: tuple[str, ...]) -> tuple[Role, ...]:
    """What an entry that states `names` can be looked up as."""
    return tuple(role for role in Role if not ROLE_CLAIMS[role, kind].isdisjoint(names))


def _every_role(kind: TeeKind, names: tuple[str, ...]) -> tuple[Role, ...]:
    """A revoked image is no approved workload either, when an entry states both."""
    return tuple(Role)


def _shapes(
    rows: Iterable[tuple[str, Mapping[str, Literal]]],
    roles: Callable[[TeeKind, tuple[str, ...]], tuple[Role, ...]],
) -> Mapping[tuple[Role, TeeKind], tuple[Shape, ...]]:
    built: dict[tuple[Role, TeeKind], dict[tuple[str, ...], dict[tuple[Literal, ...], str]]] = {}
    for name, claims in rows:
        for kind in TeeKind:
            stated = for_kind(claims, kind)
            if stated is None:
                continue
            names = tuple(sorted(stated))
            values = tuple(stated[n] for n in names)
            for role in roles(kind, names):
                built.setdefault((role, kind), {}).setdefault(names, {}).setdefault(values, name)
    return MappingProxyType(
        {
            key: tuple(
                Shape(names, pack(MappingProxyType(found)), tuple(map(type, next(iter(found)))))
                for names, found in shapes.items()
            )
            for key, shapes in built.items()
        }
    )


def all_matches(shapes: tuple[Shape, ...], claims: Claims) -> tuple[str, ...]:
    """Ids of every entry that matches, at most one per shape."""
    found = []
    for shape in shapes:
        found.append(shape.rows.get(shape.values(claims)))  # type: ignore[arg-type]  # None finds nothing
    return tuple(entry for entry in found if entry is not None)


def find(shapes: tuple[Shape, ...], claims: Claims) -> tuple[str | None, str | None]:
    """(id of the matching entry, name of a claim that was missing).

    Both None: evidence was compared with every entry and matches none.
    """
    missing: str | None = None
    for shape in shapes:
        values = shape.values(claims)
        if None in values:
            missing = missing or shape.names[values.index(None)]
            continue
        entry = shape.rows.get(values)  # type: ignore[arg-type]
        if entry is not None:
            return entry, None
    return None, missing
