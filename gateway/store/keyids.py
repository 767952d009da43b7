"""Which keys the store knows: names only, so that a replica with another key folder is found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.errors import GatewayError, GatewayReason
from gateway.store.columns import to_micros
from gateway.store.connection import Connection
from gateway.store.database import Database

_KNOWN = "SELECT kind, id FROM key_id WHERE tenant = ''"
_NOTE = "INSERT INTO key_id VALUES ('', ?, ?, ?) ON CONFLICT DO NOTHING"
_NEVER_RETIRED = ("kek", "nonce")


class SqliteKeyIds:
    def __init__(self, database: Database) -> None:
        self._database = database

    def agree(self, names: Mapping[str, Sequence[str]], at: datetime) -> None:
        """Hold the keys of a folder against those that are known, and note those that are new.

        names: ids by kind ("signing", "kek", "nonce"). Whoever lacks a key that something was sealed or a
        challenge was made with has another folder; of signing keys, which are retired, one in common will do.
        Raises GatewayError(KEYS_FOREIGN), and notes nothing.
        """
        ours = {(kind, key) for kind, keys in names.items() for key in keys}
        if self._database.read(lambda connection: _missing(connection, ours)):
            moment = to_micros(at)
            self._database.write(lambda connection: _note(connection, ours, moment))


def _missing(connection: Connection, ours: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those that the store does not know yet. Raises GatewayError(KEYS_FOREIGN)."""
    known = {(kind, key) for kind, key in connection.execute(_KNOWN)}
    lacking = {each for each in known - ours if each[0] in _NEVER_RETIRED}
    signing = {each for each in known if each[0] == "signing"}
    if lacking or (signing and not signing & ours):
        kind, key = min(lacking or signing)
        raise GatewayError(
            GatewayReason.KEYS_FOREIGN,
            "the key folder is not the one that the other replicas use; give this one a copy of theirs",
            where="keys",
            expected=f"every key that the store knows, among them {kind} {key}",
            found="a folder without it",
        )
    return ours - known


def _note(connection: Connection, ours: set[tuple[str, str]], at: int) -> None:
    """The same question once more, now that nobody else can write."""
    for kind, key in sorted(_missing(connection, ours)):
        connection.execute(_NOTE, (kind, key, at))
