"""Other processes of the store's tests: `python -m tests.integration.store_workers COMMAND FOLDER [URL]`.

Each says "ready" when it has opened the store, waits for a line, then works and prints what was acknowledged.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gateway.adapters import OsRandom, SystemClock
from gateway.errors import GatewayError
from gateway.keys import FileKeys
from gateway.store import Server, Store, StoreKind, database, open_store
from tests.stores import START, database_path

EXPIRES = START + timedelta(days=36500)


def say(line: str) -> None:
    """One write for one line, so that a kill cannot cut it."""
    os.write(1, f"{line}\n".encode())


def opened(folder: Path) -> Store:
    return open_store(
        Server(sys.argv[3]) if len(sys.argv) > 3 else database_path(folder),
        create=StoreKind.PRODUCTION,
        expect=None,
        clock=SystemClock(),
        random=OsRandom(),
    )


def start(folder: Path) -> Store:
    store = opened(folder)
    say("ready")
    sys.stdin.readline()
    return store


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def create(folder: Path) -> None:
    """Wait first, so that several make the store and its keys at the same time."""
    say("ready")
    sys.stdin.readline()
    with opened(folder) as store:
        keys = FileKeys.create(folder / "keys", store.identity, OsRandom())
        say(f"{store.store_id} {keys.key_ids()[0][0]} {keys.key_ids()[1][0]}")


def race(folder: Path) -> None:
    """Everybody wants the same 50 nonces; print those that were ours."""
    with start(folder) as store:

        def work(_: int) -> None:
            for number in range(50):
                if store.nonces.consume("acme", number.to_bytes(16, "big"), EXPIRES):
                    say(str(number))

        in_threads(2, work)


def append(folder: Path) -> None:
    """25 entries from each of 4 threads; print what was acknowledged."""
    with start(folder) as store:

        def work(thread: int) -> None:
            for number in range(25):
                receipt = store.ledger.append("acme", "test.entry", {"thread": thread, "number": number})
                say(f"{receipt.index} {receipt.head}")

        in_threads(4, work)


def crowd(folder: Path) -> None:
    """Many threads write at once, every fifth time something that fails: each hears what became of its own.
    Python switches between them as often as it can, so that they meet everywhere."""
    sys.setswitchinterval(1e-6)
    with start(folder) as store:

        def fail(_: object) -> None:
            raise KeyError("an operation of one thread")

        def work(thread: int) -> None:
            for number in range(20):
                if number % 5 == 4:
                    try:
                        store.database.write(fail)
                    except KeyError:
                        say("failed")
                elif number % 2:
                    receipt = store.ledger.append("acme", "test.entry", {"thread": thread, "number": number})
                    say(f"{receipt.index} {receipt.head}")
                elif store.nonces.consume("acme", os.urandom(16), EXPIRES):
                    say("consumed")

        in_threads(16, work)


def forever(folder: Path) -> None:
    """Append, consume and save until killed; print what was acknowledged."""
    store = start(folder)

    def work(_: int) -> None:
        while True:
            nonce = os.urandom(16)
            store.nonces.consume("acme", nonce, EXPIRES)
            say(f"nonce {nonce.hex()}")
            receipt = store.ledger.append("acme", "test.entry", {"nonce": nonce.hex()})
            say(f"entry {receipt.index} {receipt.head}")

    in_threads(4, work)


def fork(folder: Path) -> None:
    """Use the store before, in the child of, and after a fork, while another thread keeps writing."""
    store = start(folder)
    store.ledger.append("acme", "test.before", {})
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            store.ledger.append("acme", "test.busy", {})
            store.ledger.head()

    busy = threading.Thread(target=work)
    busy.start()
    for number in range(5):
        child = os.fork()
        if child == 0:
            for _ in range(20):
                store.ledger.append("acme", "test.child", {"number": number})
            store.close()
            os._exit(0)
        say(f"child {os.waitpid(child, 0)[1]}")
    stop.set()
    busy.join()
    store.ledger.append("acme", "test.after", {})
    store.close()


def fork_inside(folder: Path) -> None:
    """A child of a fork in the middle of a transaction must refuse; its parent goes on."""
    database._FORK_PATIENCE = 0.1
    store = start(folder)

    def inside(_: object) -> int:
        child = os.fork()
        if child == 0:
            try:
                store.ledger.head()
            except GatewayError as error:
                os._exit(7 if error.reason == "store.forked" else 1)
            os._exit(2)
        return child

    child = store.database.read(inside)
    say(f"child {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")
    say(f"parent {store.ledger.append('acme', 'test.after', {}).index}")


COMMANDS: dict[str, Callable[[Path], None]] = {
    "create": create,
    "race": race,
    "append": append,
    "crowd": crowd,
    "forever": forever,
    "fork": fork,
    "fork-inside": fork_inside,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]))
