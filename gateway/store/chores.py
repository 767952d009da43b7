"""`gateway.collateral.chores.Chores` on SQLite. All of it concerns the whole gateway: tenant ""."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.collateral.chores import GIVEN_UP, Host, Task, TaskName, Want, bucket_wait
from gateway.store.columns import from_micros, to_micros
from gateway.store.connection import Connection
from gateway.store.database import Database
from verifiers.model import Need

_TASKS = """
    SELECT kind, key, channel, need, wanted, client, failures, retry_at, outcome, outcome_at, lease,
    lease_until FROM collateral_task WHERE tenant = ''
"""
_NAMED = " AND kind = ? AND key = ? AND channel = ?"
_DROP_TASK = "DELETE FROM collateral_task WHERE tenant = ''" + _NAMED  # noqa: S608
_OVER = f"wanted IS NULL AND outcome = '{GIVEN_UP}' AND retry_at <= ? AND lease_until <= ?"
_ABOUT_WANT = f"""
    SELECT EXISTS (SELECT 1 FROM collateral_task WHERE tenant = ''{_NAMED} AND NOT ({_OVER})),
        (SELECT count(*) FROM collateral_task WHERE wanted IS NOT NULL),
        (SELECT count(*) FROM collateral_task WHERE wanted IS NOT NULL AND client = ?),
        (SELECT spent_until FROM collateral_budget WHERE tenant = '' AND client = ?)
"""  # noqa: S608
_COUNT = """
    INSERT INTO collateral_tally VALUES ('', ?, ?, 1)
    ON CONFLICT (tenant, name, label) DO UPDATE SET count = collateral_tally.count + 1
"""
_PUT_TASK = """
    INSERT INTO collateral_task (tenant, kind, key, channel, need, wanted, client, failures, retry_at,
        outcome, outcome_at, lease, lease_until)
    VALUES ('', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, kind, key, channel) DO UPDATE SET need = excluded.need, wanted = excluded.wanted,
        client = excluded.client, failures = excluded.failures, retry_at = excluded.retry_at,
        outcome = excluded.outcome, outcome_at = excluded.outcome_at, lease = excluded.lease,
        lease_until = excluded.lease_until
"""
_HOSTS = """
    SELECT name, failures, open_until, spent_until, outcome, outcome_at FROM collateral_host WHERE tenant = ''
"""
_PUT_HOST = """
    INSERT INTO collateral_host VALUES ('', ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, name) DO UPDATE SET failures = excluded.failures, open_until = excluded.open_until,
        spent_until = excluded.spent_until, outcome = excluded.outcome, outcome_at = excluded.outcome_at
"""
_BUDGET = "SELECT spent_until FROM collateral_budget WHERE tenant = '' AND client = ?"
_SPEND = """
    INSERT INTO collateral_budget VALUES ('', ?, ?)
    ON CONFLICT (tenant, client) DO UPDATE SET spent_until = excluded.spent_until
"""
_MAX_BUDGETS = 4096
_EVERYBODY_ELSE = "everybody else"
"""Whose budget strangers draw on when there are more of them than anybody counts."""
_KEPT = timedelta(days=2)


class SqliteChores:
    def __init__(self, database: Database) -> None:
        self._database = database

    def tasks(self) -> Sequence[Task]:
        return tuple(map(_task, self._database.query(_TASKS)))

    def task(self, name: TaskName) -> Task | None:
        rows = self._database.query(_TASKS + _NAMED, name)
        return _task(rows[0]) if rows else None

    def change_task(self, name: TaskName, change: Callable[[Task | None], Task | None]) -> Task | None:
        def inside(connection: Connection) -> Task | None:
            row = connection.execute(_TASKS + _NAMED, name).fetchone()
            before = None if row is None else _task(row)
            after = change(before)
            if after is None:
                connection.execute(_DROP_TASK, name)
            elif after != before:
                connection.execute(_PUT_TASK, _row(after))
            return after

        return self._database.write(inside)

    def want(
        self, task: Task, now: datetime, *, most: int, interval: timedelta | None, burst: int, each: int
    ) -> Want:
        def refused(known: bool, waiting: int, own: int, spent: int | None) -> Want | None:
            if known:
                return Want("known")
            if waiting >= most or (interval is not None and own >= each):
                return Want("full")
            if interval is not None and spent is not None:
                wait = bucket_wait(from_micros(spent), now, interval, burst)
                if wait:
                    return Want("spent", wait)
            return None

        rows = self._database.query(_ABOUT_WANT, _about(task, now, task.client))
        refusal = refused(*rows[0])
        if refusal is not None:
            return refusal
        return self._database.write(lambda connection: _want(connection, task, now, interval, refused))

    def hosts(self) -> Sequence[Host]:
        return tuple(map(_host, self._database.query(_HOSTS + " ORDER BY name")))

    def change_host(self, name: str, change: Callable[[Host], Host]) -> tuple[Host, Host]:
        def inside(connection: Connection) -> tuple[Host, Host]:
            row = connection.execute(_HOSTS + " AND name = ?", (name,)).fetchone()
            before = Host(name=name) if row is None else _host(row)
            after = change(before)
            if after != before:
                at = None if after.outcome_at is None else to_micros(after.outcome_at)
                connection.execute(
                    _PUT_HOST,
                    (name, after.failures, to_micros(after.open_until), to_micros(after.spent_until),
                     after.outcome, at),
                )  # fmt: skip
            return before, after

        return self._database.write(inside)

    def count(self, name: str, label: str) -> None:
        self._database.write(lambda connection: connection.execute(_COUNT, (name, label)))

    def tallies(self) -> Sequence[tuple[str, str, int]]:
        rows = self._database.query("SELECT name, label, count FROM collateral_tally ORDER BY name, label")
        return tuple((row[0], row[1], row[2]) for row in rows)

    def tidy(self, now: datetime) -> int:
        def inside(connection: Connection) -> int:
            full = connection.execute(
                "DELETE FROM collateral_budget WHERE spent_until <= ?", (to_micros(now),)
            )
            old = connection.execute(
                "DELETE FROM collateral_task WHERE wanted IS NOT NULL AND wanted < ? AND lease_until <= ?",
                (to_micros(now - _KEPT), to_micros(now)),
            )
            over = connection.execute(
                f"DELETE FROM collateral_task WHERE tenant = '' AND {_OVER}",  # noqa: S608
                (to_micros(now), to_micros(now)),
            )
            return full.rowcount + old.rowcount + over.rowcount

        return self._database.write(inside)


def _about(task: Task, now: datetime, budget: str) -> tuple[object, ...]:
    return (*task.name, to_micros(now), to_micros(now), task.client, budget)


def _want(
    connection: Connection,
    task: Task,
    now: datetime,
    interval: timedelta | None,
    refused: Callable[[bool, int, int, int | None], Want | None],
) -> Want:
    """The same questions once more, now that nobody else can write."""
    client = task.client
    if interval is not None and connection.execute(_BUDGET, (client,)).fetchone() is None:
        (clients,) = connection.execute("SELECT count(*) FROM collateral_budget").fetchone()
        if clients >= _MAX_BUDGETS:
            client = _EVERYBODY_ELSE
    known, waiting, own, until = connection.execute(_ABOUT_WANT, _about(task, now, client)).fetchone()
    refusal = refused(known, waiting, own, until)
    if refusal is not None:
        return refusal
    if interval is not None:
        spent = now if until is None else max(from_micros(until), now)
        connection.execute(_SPEND, (client, to_micros(spent + interval)))
    connection.execute(_PUT_TASK, _row(task))
    return Want("new")


def _task(row: Sequence[Any]) -> Task:
    kind, pairs, *asked = json.loads(row[3])
    return Task(
        name=TaskName(row[0], row[1], row[2]),
        need=Need(kind, tuple((name, value) for name, value in pairs)),
        wanted=_moment(row[4]),
        client=row[5],
        failures=row[6],
        retry_at=from_micros(row[7]),
        outcome=row[8],
        outcome_at=_moment(row[9]),
        lease=row[10],
        lease_until=from_micros(row[11]),
        asked=asked[0] if asked else 0,
    )


def _row(task: Task) -> tuple[object, ...]:
    return (
        *task.name,
        json.dumps([task.need.kind, task.need.key, *([task.asked] if task.asked else [])]),
        None if task.wanted is None else to_micros(task.wanted),
        task.client,
        task.failures,
        to_micros(task.retry_at),
        task.outcome,
        None if task.outcome_at is None else to_micros(task.outcome_at),
        task.lease,
        to_micros(task.lease_until),
    )


def _host(row: Sequence[Any]) -> Host:
    return Host(
        name=row[0],
        failures=row[1],
        open_until=from_micros(row[2]),
        spent_until=from_micros(row[3]),
        outcome=row[4],
        outcome_at=_moment(row[5]),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
