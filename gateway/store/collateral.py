"""`CollateralStore` on SQLite. Collateral is public and the vendors', so it belongs to tenant ""."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.collateral import ratchet
from gateway.collateral.ratchet import Mark, Step
from gateway.collateral.slots import LEAVES, RATCHETED, slot_of
from gateway.ports import HeldCollateral, HeldObject, Placed, Slot
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.counters import COUNTER, increment, read_counter
from gateway.store.database import Database
from verifiers.model import Need
from verifiers.vetting import Vetted

MAX_LEAVES = 16
_PRUNED = 500
_UNDER_WAY = 3_600_000_000
_DIGESTS = 200
_GENERATION = "collateral-generation"
_NAMED = "tenant = '' AND kind = ? AND key = ? AND channel = ? AND variant = ? AND simulated = ?"
_LEAVES = ", ".join(f"'{kind}'" for kind in sorted(LEAVES))
_ABOUT = """
    SELECT s.kind, s.key, s.channel, s.variant, s.simulated, s.sha256, s.previous, length(o.source), s.origin,
        s.issued, s.ends, s.number, s.fetched, s.checked{more}
    FROM collateral_slot AS s JOIN collateral_object AS o ON o.sha256 = s.sha256 {join}
"""
_HELD = _ABOUT.format(more="", join="") + "ORDER BY s.kind, s.key, s.channel, s.variant, s.simulated"
_SHARED = _ABOUT.format(more="", join="") + f"WHERE s.kind NOT IN ({_LEAVES})"
_OBJECTS = _ABOUT.format(
    more=", o.source, p.source", join="LEFT JOIN collateral_object AS p ON p.sha256 = s.previous"
)
_COMMON = _OBJECTS + f"WHERE s.kind NOT IN ({_LEAVES}) ORDER BY s.kind, s.key, s.channel, s.variant"
# The plus keeps SQLite from walking all leaves by their end instead of looking up one key.
_LEAF = _OBJECTS + "WHERE s.tenant = '' AND s.kind = ? AND s.key = ? ORDER BY +s.ends DESC LIMIT ?"
_MARK = f"SELECT sha256, issued, ends, number FROM collateral_slot WHERE {_NAMED}"  # noqa: S608
_UPSERT = """
    INSERT INTO collateral_slot (tenant, kind, key, channel, variant, simulated, sha256, previous, origin,
        issued, ends, number, fetched, checked)
    VALUES ('', ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, kind, key, channel, variant, simulated) DO UPDATE SET
        previous = CASE WHEN excluded.kind LIKE '%crl' THEN collateral_slot.sha256 END,
        sha256 = excluded.sha256, origin = excluded.origin, issued = excluded.issued, ends = excluded.ends,
        number = excluded.number, fetched = excluded.fetched, checked = excluded.checked
"""
_EXPIRING = (
    _ABOUT.format(more="", join="")
    + f"WHERE s.kind IN ({_LEAVES}) AND s.ends > ? AND s.ends <= ? ORDER BY s.ends LIMIT ?"
)
_UNUSED = """
    UPDATE collateral_object SET released = ? WHERE sha256 = ? AND released IS NULL
    AND NOT EXISTS (SELECT 1 FROM collateral_slot AS s WHERE s.sha256 = collateral_object.sha256)
    AND NOT EXISTS (SELECT 1 FROM collateral_slot AS s WHERE s.previous = collateral_object.sha256)
    AND NOT EXISTS (SELECT 1 FROM collateral_unvetted AS u WHERE u.sha256 = collateral_object.sha256)
"""
_PRUNE = """
    DELETE FROM collateral_object WHERE sha256 IN (
        SELECT sha256 FROM collateral_object
        WHERE released IS NOT NULL AND released < ? ORDER BY released LIMIT ?)
"""


class SqliteCollateral:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- writing ---

    def put(
        self,
        objects: Sequence[Vetted],
        *,
        channel: str,
        source: str,
        at: datetime,
        answers: Need | None = None,
    ) -> Sequence[Placed]:
        named = [(slot_of(each, channel, answers), each) for each in objects]

        def place(connection: Connection) -> Sequence[Placed]:
            return tuple(_place(connection, slot, each, source, to_micros(at)) for slot, each in named)

        return self._database.write(place)

    def remove(self, slot: Slot, at: datetime) -> bool:
        def empty(connection: Connection) -> bool:
            row = connection.execute(
                f"SELECT sha256, previous FROM collateral_slot WHERE {_NAMED}",  # noqa: S608
                _name(slot),
            ).fetchone()
            if row is None or row[0] is None:
                return False
            if slot.kind in RATCHETED:
                connection.execute(
                    f"UPDATE collateral_slot SET sha256 = NULL, previous = NULL WHERE {_NAMED}",  # noqa: S608
                    _name(slot),
                )
            else:
                connection.execute(f"DELETE FROM collateral_slot WHERE {_NAMED}", _name(slot))  # noqa: S608
            _release(connection, row, to_micros(at))
            increment(connection, _GENERATION)
            return True

        return self._database.write(empty)

    def prune(self, now: datetime) -> int:
        total = 0
        while True:
            done = self._database.write(lambda connection: _prune(connection, to_micros(now)))
            total += done
            if done < _PRUNED:
                return total

    # --- reading ---

    def generation(self) -> int:
        rows = self._database.query(COUNTER, (_GENERATION,))
        return int(rows[0][0]) if rows else 0

    def common(self) -> tuple[int, Sequence[HeldObject]]:
        def read(connection: Connection) -> tuple[int, Sequence[HeldObject]]:
            rows = connection.execute(_COMMON).fetchall()
            return read_counter(connection, _GENERATION) or 0, tuple(map(_object, rows))

        return self._database.read(read)

    def leaves(self, kind: str, key: str) -> Sequence[HeldObject]:
        return tuple(map(_object, self._database.query(_LEAF, (kind, key, MAX_LEAVES))))

    def shared(self) -> Sequence[HeldCollateral]:
        return tuple(map(_about, self._database.query(_SHARED)))

    def expiring(self, now: datetime, before: datetime, limit: int) -> Sequence[HeldCollateral]:
        values = (to_micros(now), to_micros(before), limit)
        return tuple(map(_about, self._database.query(_EXPIRING, values)))

    def held(self) -> Sequence[HeldCollateral]:
        return tuple(map(_about, self._database.query(_HELD)))

    def by_digests(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        wanted = list(dict.fromkeys(digests))
        for start in range(0, len(wanted), _DIGESTS):
            some = wanted[start : start + _DIGESTS]
            marks = ", ".join("?" * len(some))
            rows = self._database.query(
                f"SELECT sha256, source FROM collateral_object WHERE sha256 IN ({marks})",  # noqa: S608
                some,
            )
            found |= dict(rows)
        return found

    # --- what an older version left behind ---

    def unvetted(self) -> Mapping[str, bytes]:
        """Digest to bytes of what was held before there was vetting, newest first."""
        return dict(
            self._database.query(
                "SELECT u.sha256, o.source FROM collateral_unvetted AS u"
                " JOIN collateral_object AS o ON o.sha256 = u.sha256 ORDER BY u.imported DESC"
            )
        )

    def forget_unvetted(self, digest: str, at: datetime) -> None:
        """It was vetted, and put or found wanting. The bytes stay for appraisals that refer to them."""

        def forget(connection: Connection) -> None:
            connection.execute("DELETE FROM collateral_unvetted WHERE sha256 = ?", (digest,))
            _release(connection, (digest,), to_micros(at))

        self._database.write(forget)


def _place(connection: Connection, slot: Slot, new: Vetted, source: str, at: int) -> Placed:
    """Raises GatewayError(COLLATERAL_ROLLBACK), which undoes the whole operation."""
    row = connection.execute(_MARK, _name(slot)).fetchone()
    mark = None
    if row is not None:
        mark = Mark(sha256=row[0], issued=from_micros(row[1]), ends=from_micros(row[2]), number=row[3])
    step = ratchet.step(mark, new)
    if step is Step.BACK and mark is not None:
        raise ratchet.refused(slot, mark, new)
    if step is not Step.FORWARD:
        connection.execute(
            f"UPDATE collateral_slot SET checked = ? WHERE {_NAMED} AND checked < ?",  # noqa: S608
            (at, *_name(slot), at),
        )
        return Placed(slot=slot, sha256=new.sha256, change=False)
    connection.execute(
        "INSERT INTO collateral_object VALUES (?, '', ?, ?, NULL)"
        " ON CONFLICT (sha256) DO UPDATE SET released = NULL",
        (new.sha256, new.raw, at),
    )
    before = connection.execute(
        f"SELECT sha256, previous FROM collateral_slot WHERE {_NAMED}",  # noqa: S608
        _name(slot),
    ).fetchone()
    values = (to_micros(new.issued), to_micros(new.ends), new.number, at, at)
    connection.execute(_UPSERT, (*_name(slot), new.sha256, source, *values))
    _release(connection, before or (), at)
    if slot.kind not in LEAVES or (mark is not None and mark.sha256 is not None):
        increment(connection, _GENERATION)
    return Placed(slot=slot, sha256=new.sha256, change=True)


def _release(connection: Connection, digests: Sequence[str | None], at: int) -> None:
    """Note when the last slot let go of these objects; of those that are still referred to, nothing."""
    for digest in digests:
        if digest is not None:
            connection.execute(_UNUSED, (at, digest))


def _prune(connection: Connection, now: int) -> int:
    """An appraisal relies on what was current when it was made, so that what was let go of before the oldest
    one that is kept is referred to by none. An hour more, for those under way and for clocks that differ."""
    (oldest,) = connection.execute("SELECT min(created) FROM appraisal").fetchone()
    before = (now if oldest is None else min(now, oldest)) - _UNDER_WAY
    return connection.execute(_PRUNE, (before, _PRUNED)).rowcount


def _name(slot: Slot) -> tuple[str, str, str, str, int]:
    return slot.kind, slot.key, slot.channel, slot.variant, int(slot.simulated)


def _about(row: Sequence[Any]) -> HeldCollateral:
    return HeldCollateral(
        slot=Slot(row[0], row[1], row[2], row[3], row[4] == 1),
        sha256=row[5],
        previous=row[6],
        size=row[7],
        source=row[8],
        issued=from_micros(row[9]),
        ends=from_micros(row[10]),
        number=row[11],
        fetched=from_micros(row[12]),
        checked=from_micros(row[13]),
    )


def _object(row: Sequence[Any]) -> HeldObject:
    return HeldObject(about=_about(row), raw=row[14], previous=row[15])
