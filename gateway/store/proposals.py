"""`ProposalStore` on SQLite: what was proposed never changes, and what became of it is only added to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.changeports import Proposal, ProposalStep, Written
from gateway.ledger.entry import canonical
from gateway.ports import NewEntry
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.database import Database
from gateway.store.ledger import SqliteLedger, drafts_of

_PROPOSALS = """
    SELECT tenant, id, created, by, files FROM proposal WHERE tenant = ? AND id LIKE ? || '%'
    ORDER BY created DESC, id LIMIT ?
"""
_WRITE = "INSERT INTO author VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_AUTHORS = "SELECT administrator FROM author WHERE tenant = ? AND kind = ? AND name = ? AND version = ?"
_STEPS = "SELECT at, step, by, detail FROM proposal_step WHERE tenant = ? AND id = ? ORDER BY position"
_COUNT = "SELECT count(*) FROM proposal_step WHERE tenant = ? AND id = ?"
_ACTIVATED = """
    SELECT sequence, record FROM policy_change WHERE tenant = ? AND record LIKE '%"' || ? || '"%'
    ORDER BY sequence
"""


class SqliteProposals:
    def __init__(self, database: Database, ledger: SqliteLedger) -> None:
        self._database, self._ledger = database, ledger

    def add(self, proposal: Proposal, documents: Sequence[Written], entry: NewEntry) -> bool:
        drafts = drafts_of((entry,))
        row = (proposal.tenant, proposal.id, to_micros(proposal.created), proposal.by, proposal.files)

        def write(connection: Connection) -> bool:
            statement = "INSERT INTO proposal VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            new = connection.execute(statement, row).rowcount
            for each in documents:
                new += connection.execute(_WRITE, (*each, proposal.by)).rowcount
            if not new:
                return False
            self._ledger.add(connection, drafts)
            return True

        return self._database.write(write)

    def authors(self, documents: Sequence[Written]) -> Mapping[Written, frozenset[str]]:
        return {each: frozenset(row[0] for row in self._database.query(_AUTHORS, each)) for each in documents}

    def find(self, tenant: str, prefix: str, limit: int) -> Sequence[Proposal]:
        rows = self._database.query(_PROPOSALS, (tenant, prefix, max(limit, 0)))
        return tuple(
            Proposal(tenant=row[0], id=row[1], created=from_micros(row[2]), by=row[3], files=row[4])
            for row in rows
        )

    def steps(self, tenant: str, proposal: str) -> Sequence[ProposalStep]:
        return tuple(map(_step, self._database.query(_STEPS, (tenant, proposal))))

    def add_step(self, tenant: str, proposal: str, step: ProposalStep, entry: NewEntry) -> None:
        drafts, detail = drafts_of((entry,)), canonical(step.detail).decode()

        def write(connection: Connection) -> None:
            (position,) = connection.execute(_COUNT, (tenant, proposal)).fetchone()
            row = (tenant, proposal, position, to_micros(step.at), step.step, step.by, detail)
            connection.execute("INSERT INTO proposal_step VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._ledger.add(connection, drafts)

        self._database.write(write)

    def activated(self, tenant: str, proposal: str) -> Sequence[int]:
        rows = self._database.query(_ACTIVATED, (tenant, proposal))
        return tuple(row[0] for row in rows if json.loads(row[1]).get("proposal") == proposal)


def _step(row: tuple[Any, ...]) -> ProposalStep:
    return ProposalStep(at=from_micros(row[0]), step=row[1], by=row[2], detail=json.loads(row[3]))
