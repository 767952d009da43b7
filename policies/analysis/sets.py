"""Reference sets cut down to the rows that rules can tell apart.

A set may have a million rows. Two *clusters* of rows (rows linked by a common value) with the same shape are
interchangeable: swapping all their values changes no answer. Evidence shows one value for each of at most k
claims, so it touches at most k clusters, and k clusters of each shape are as good as all of them. What is
left is exact, not a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.model import ReferenceSet
from policies.values import Literal
from policies.vocabulary import Role
from verifiers.model import TeeKind

Value = tuple[str, Literal]
"""A claim's name and one value of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry, or one revocation when `since` says from when on it counts. values: by claim, sorted."""

    origin: tuple[str, Role]
    """Which set (`key`), and the role under which the row is looked up."""
    values: tuple[Value, ...]
    entry: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of one set under one role that are left. names: the claims of every shape that the set has,
    for a claim that is missing is missing whichever rows are left."""

    entries: tuple[Row, ...]
    revoked: tuple[Row, ...]
    shapes: tuple[tuple[str, ...], ...]


def tables(
    wanted: Iterable[tuple[ReferenceSet, Role]],
    kind: TeeKind,
    told: Callable[[str, Literal], object],
) -> Mapping[tuple[str, Role], Table]:
    """told: what all other conditions say of one value of a claim, in a form that compares and hashes.

    Keys are as `key` makes them.
    """
    pairs = {key(found, role): (found, role) for found, role in wanted}
    left: defaultdict[tuple[str, Role], list[Row]] = defaultdict(list)
    for row in _representatives(
        [row for found, role in pairs.values() for row in _rows(found, role, kind)], told
    ):
        left[row.origin].append(row)
    return {
        origin: Table(
            entries=tuple(row for row in left[origin] if row.since is None),
            revoked=tuple(row for row in left[origin] if row.since is not None),
            shapes=tuple(shape.names for shape in found.index.entries.get((role, kind), ())),
        )
        for origin, (found, role) in pairs.items()
    }


def key(found: ReferenceSet, role: Role) -> tuple[str, Role]:
    """A set under a role. All sets of one file have that file's digest: the name tells them apart."""
    return f"{found.name} {found.digest}", role


def _rows(found: ReferenceSet, role: Role, kind: TeeKind) -> Iterator[Row]:
    origin, index = key(found, role), found.index
    for shape in index.entries.get((role, kind), ()):
        for values, entry in shape.rows.items():
            yield Row(origin, tuple(zip(shape.names, values, strict=True)), entry, None)
    for shape in index.revoked.get((role, kind), ()):
        for values, entry in shape.rows.items():
            since = index.revocations[entry].since
            yield Row(origin, tuple(zip(shape.names, values, strict=True)), entry, since)


def _representatives(rows: list[Row], told: Callable[[str, Literal], object]) -> Iterator[Row]:
    most = len({name for row in rows for name, _ in row.values})
    seen: defaultdict[object, int] = defaultdict(int)
    for cluster in _clusters(rows):
        signature = _signature(cluster, told)
        if signature is not None:
            seen[signature] += 1
            if seen[signature] > most:
                continue
        yield from cluster


def _clusters(rows: list[Row]) -> Iterable[list[Row]]:
    """Rows that share a value, directly or through others, together; in order of first appearance."""
    parent: dict[Value, Value] = {}

    def root(value: Value) -> Value:
        while (above := parent.get(value, value)) != value:
            parent[value] = parent.get(above, above)
            value = above
        return value

    for row in rows:
        if len(row.values) > 1:
            first = root(row.values[0])
            for value in row.values[1:]:
                parent[root(value)] = first
    out: dict[Value, list[Row]] = {}
    for row in rows:
        out.setdefault(root(row.values[0]), []).append(row)
    return out.values()


def _signature(cluster: list[Row], told: Callable[[str, Literal], object]) -> object | None:
    """What the cluster looks like with its values' names taken away; None when it has two values of one
    claim: such a cluster is kept as it is."""
    values: dict[str, Literal] = {}
    for row in cluster:
        for name, value in row.values:
            if values.setdefault(name, value) != value:
                return None
    seen = frozenset((name, told(name, value)) for name, value in values.items())
    shapes = frozenset((row.origin, tuple(name for name, _ in row.values), row.since) for row in cluster)
    return seen, shapes
