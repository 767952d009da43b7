"""Several processes on one store: races, kills, forks. What was acknowledged is there, and only once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.adapters import OsRandom
from gateway.keys import FileKeys
from gateway.ports import LedgerReceipt
from gateway.store import StoreKind
from tests.integration.store_workers import EXPIRES
from tests.postgres import EVERY_STORE, STORES, server_of
from tests.stores import heads
from tests.support import ROOT

Worker = subprocess.Popen[str]


class Place:
    """A test's folder, and what the store of it is: arguments for workers, and a way to open it here."""

    def __init__(self, folder: Path, implementation: str) -> None:
        self.folder, self.open = folder, partial(STORES[implementation], folder)
        self.arguments = [str(folder)]
        if implementation == "postgres":
            self.arguments.append(server_of(folder).url)


@pytest.fixture(params=EVERY_STORE)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param)


PATIENCE = 60


@contextmanager
def workers(count: int, *arguments: str) -> Iterator[list[Worker]]:
    """Processes that have opened the store and wait to be told to go."""
    # From 3.12 on Python warns of every fork of a process with threads; the fork tests are about just that.
    warnings = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *warnings, "-m", "tests.integration.store_workers", *arguments]
    started = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for worker in started:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
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


def finish(started: list[Worker]) -> list[list[str]]:
    """Let all run to their end; what each printed."""
    go(started)
    printed = [worker.communicate(timeout=PATIENCE)[0].splitlines() for worker in started]
    assert [worker.returncode for worker in started] == [0] * len(started)
    return printed


def test_four_processes_race_and_each_nonce_has_one_winner(place: Place) -> None:
    with workers(4, "race", *place.arguments) as started:
        won = finish(started)
    assert sorted(int(number) for lines in won for number in lines) == list(range(50))


def test_four_processes_create_one_store_and_one_set_of_keys(place: Place) -> None:
    with workers(4, "create", *place.arguments) as started:
        printed = finish(started)
    assert printed == [printed[0]] * 4
    store_id, kid, kek = printed[0][0].split()
    with place.open(kind=StoreKind.PRODUCTION) as store:
        keys = FileKeys.load(place.folder / "keys", store.identity, OsRandom())
        assert (store.store_id, keys.key_ids()) == (store_id, ((kid,), (kek,)))


def test_four_processes_append_to_one_tree(place: Place) -> None:
    with workers(4, "append", *place.arguments) as started:
        printed = finish(started)
    receipts = [LedgerReceipt(int(i), head) for lines in printed for i, head in map(str.split, lines)]
    assert sorted(receipt.index for receipt in receipts) == list(range(400))
    with place.open(kind=StoreKind.PRODUCTION) as store:
        assert {receipt.index: receipt.head for receipt in receipts} == dict(enumerate(heads(store)))
        assert store.ledger.verify(receipts[7]) == store.ledger.head()


def test_nobody_in_a_crowd_is_forgotten(place: Place) -> None:
    """48 threads in three processes: a writer that nobody woke would be one that never ends."""
    with workers(3, "crowd", *place.arguments) as started:
        lines = [line for lines in finish(started) for line in lines]
    entries = [line for line in lines if line[0].isdigit()]
    assert (lines.count("failed"), lines.count("consumed"), len(entries)) == (48 * 4, 48 * 8, 48 * 8)
    with place.open(kind=StoreKind.PRODUCTION) as store:
        found = [f"{number} {head}" for number, head in enumerate(heads(store))]
        assert sorted(found) == sorted(entries)


@pytest.mark.parametrize("acknowledged", [1, 40, 400])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(place: Place, acknowledged: int) -> None:
    """Two processes write; one is killed in the middle of it, the other is not disturbed."""
    with workers(2, "forever", *place.arguments) as started:
        go(started)
        lines = []
        victim, survivor = started
        assert victim.stdout is not None
        while len(lines) < acknowledged:
            lines.append(victim.stdout.readline())
        victim.send_signal(signal.SIGKILL)
        lines += victim.stdout.readlines()
        assert survivor.stdout is not None
        lines += [survivor.stdout.readline() for _ in range(20)]
        survivor.send_signal(signal.SIGKILL)
        lines += survivor.stdout.readlines()
        assert [worker.wait(PATIENCE) for worker in started] == [-signal.SIGKILL] * 2
    with place.open(kind=StoreKind.PRODUCTION) as store:
        held = heads(store)
        words = [line.split() for line in lines if line.endswith("\n")]
        assert len(words) > acknowledged
        for word in words:
            if word[0] == "entry":
                assert held[int(word[1])] == word[2]
            else:
                assert store.nonces.consume("acme", bytes.fromhex(word[1]), EXPIRES) is False
        assert store.ledger.verify(None) == store.ledger.head()
        assert store.ledger.append("acme", "test.after", {}).index == len(held)


def test_a_store_outlives_forks(place: Place) -> None:
    with workers(1, "fork", *place.arguments) as started:
        ((*children,),) = finish(started)
    assert children == ["child 0"] * 5
    with place.open(kind=StoreKind.PRODUCTION) as store:
        kinds = [entry["kind"] for entry in store.ledger.tail("acme", 1_000_000)]
        assert (kinds[0], kinds[-1], kinds.count("test.child")) == ("test.before", "test.after", 100)
        assert store.ledger.verify(None) == store.ledger.head()


def test_a_child_of_a_fork_in_mid_transaction_refuses(place: Place) -> None:
    with workers(1, "fork-inside", *place.arguments) as started:
        assert finish(started) == [["child 7", "parent 0"]]


def test_the_epoch_begins_anew_after_everybody_was_killed(place: Place) -> None:
    with workers(2, "forever", *place.arguments) as started:
        with place.open(kind=StoreKind.PRODUCTION) as store:
            epoch = store.nonces.epoch()
        started[0].kill()
        started[0].wait(PATIENCE)
        with place.open(kind=StoreKind.PRODUCTION) as store:
            assert store.nonces.epoch() == epoch
        started[1].kill()
        started[1].wait(PATIENCE)
        with place.open(kind=StoreKind.PRODUCTION, seed="again") as store:
            assert store.nonces.epoch() != epoch
