"""Refreshers of several processes over one store: one vendor call, and a killed one leaves the store good."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.collateral_world import CHIP, World, world
from tests.stores import sqlite_store
from tests.support import ROOT

Worker = subprocess.Popen[str]


@contextmanager
def workers(folder: Path, there: World, count: int, *, later: float = 0) -> Iterator[list[Worker]]:
    command = [sys.executable, "-m", "tests.integration.collateral_workers", str(folder), there.lab.urls.kds]
    started = [
        subprocess.Popen(
            [*command, f"p{n}", str(later)],
            cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for n in range(count)
    ]  # fmt: skip
    try:
        for worker in started:
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def go(started: list[Worker]) -> None:
    for worker in started:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def test_two_processes_that_race_for_one_need_make_one_call(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.want(CHIP)
        there.lab.set("amd.vcek", "slow", before_s=0.5)
        with workers(tmp_path, there, 3) as started:
            go(started)
            made = sorted(int(worker.communicate(timeout=60)[0]) for worker in started)
        assert made == [0, 0, 1]
        assert there.lab.journal.count("amd.vcek") == 1
        assert len(there.held("amd.vcek")) == 1


def test_a_process_killed_in_the_middle_of_a_refresh_leaves_the_store_good(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.want(CHIP)
        rule = there.lab.set("amd.vcek", "slow", before_s=60)
        with workers(tmp_path, there, 1) as (victim,):
            go([victim])
            until = time.monotonic() + 60
            while not there.lab.journal.count("amd.vcek") and time.monotonic() < until:
                time.sleep(0.02)
            victim.kill()
            victim.wait()
        there.lab.unset(rule)
        (task,) = there.store.chores.tasks()
        assert task.leased(there.clock.now()) and there.held("amd.vcek") == []
        assert there.fetch_all() == 0, "its lease has not ended"
        with workers(tmp_path, there, 1, later=125) as (another,):
            go([another])
            assert another.communicate(timeout=60)[0] == "1\n"
        assert len(there.held("amd.vcek")) == 1 and there.store.chores.tasks() == ()
    with sqlite_store(tmp_path) as store:
        assert store.ledger.verify(None) == store.ledger.head()
        assert store.database.query("PRAGMA integrity_check") == [("ok",)]
