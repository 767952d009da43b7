"""A database for many threads and processes, held so that what it acknowledged stays true.

What must stay true, whatever is behind it (`sqlite.py`, `postgres.py`):

* A `write` that returned is on disk. Writers of one process share transactions (group commit): whoever
  comes while a commit runs goes into the next one. An operation that fails alone is undone alone.
* One transaction writes at a time, across all processes: what an operation reads is what is so until it
  commits.
* No connection is open across a fork. Before a fork all connections are closed; a child of a fork in
  mid-transaction refuses.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from gateway.errors import GatewayError
from gateway.store.connection import BUSY_SECONDS, Backend, Connection, busy, forked, unavailable

T = TypeVar("T")
V = TypeVar("V")

MAX_BATCH = 64
"""Operations in one transaction: bounds how long one process keeps the others waiting."""
_FORK_PATIENCE = 5.0
_SPARE_READERS = 16


class _Operation:
    """One caller's wish, and what became of it. event: None where nobody waits for another thread; whether
    there is one is settled before the operation is in the queue, and never changes."""

    __slots__ = ("done", "error", "event", "function", "lead", "result")

    def __init__(self, function: Callable[[Connection], Any]) -> None:
        self.function, self.lead, self.done = function, False, False
        self.event: threading.Event | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    def wake(self) -> None:
        if self.event is not None:
            self.event.set()

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        if not self.done:
            raise unavailable("the operation was not reached")
        return self.result


class _State:
    """All that belongs to one process: connections, queue, locks. Never used by a child."""

    def __init__(self, backend: Backend) -> None:
        self.pid = os.getpid()
        self.lock = backend.turn()
        self.changed = threading.Condition(threading.Lock())
        self.queue: deque[_Operation] = deque()
        self.leading = False
        self.committing: int | None = None
        """The thread that is inside a transaction."""
        self.paused = False
        self.closed = False
        self.reading = 0
        self.readers: list[Connection] = []
        self.writer: Connection | None = None

    def idle(self) -> bool:
        return self.committing is None and not self.reading

    def disconnected(self) -> bool:
        return self.writer is None and not self.readers

    def drop_writer(self) -> None:
        """After an error the connection is in doubt; the next write opens another."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def close_connections(self) -> None:
        for connection in self.readers:
            connection.close()
        self.readers.clear()
        self.drop_writer()


class Database:
    """Every method raises GatewayError: STORE_UNAVAILABLE when the database fails (disk full, I/O error, no
    server, closed), STORE_BUSY when another process holds the write lock for longer than five seconds,
    STORE_FORKED."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._state: _State | None = _State(backend)
        _DATABASES.add(self)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._backend.name

    # --- reading ---

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run `function` on a connection that sees one consistent state and can change nothing."""

        def begin(connection: Connection) -> Connection:
            connection.execute(self._backend.begin_reading)
            return connection

        def inside(connection: Connection) -> T:
            try:
                return function(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

        return self._reading(begin, inside)

    def _reading(self, first: Callable[[Connection], V], function: Callable[[V], T]) -> T:
        """`first` is done anew, once, on a fresh connection when the one that lay ready was dead; it asks
        and changes nothing."""
        state = self._ours()
        self._backend.require_same()
        connection = self._borrow(state)
        sound = False
        try:
            try:
                begun = first(connection)
            except self._backend.errors:
                if not self._backend.gone(connection):
                    raise
                connection = self._another(state, connection)
                begun = first(connection)
            result = function(begun)
            sound = not connection.in_transaction
            return result
        except self._backend.errors as error:
            raise self._backend.translate(error) from None
        finally:
            self._give_back(state, connection, sound)

    def _another(self, state: _State, dead: Connection) -> Connection:
        """A server that ended one connection has ended those that lie beside it too."""
        with state.changed:
            left, state.readers[:] = list(state.readers), []
        for connection in left:
            connection.close()
        fresh = self._backend.connect(read_only=True)
        dead.close()
        return fresh

    def _borrow(self, state: _State) -> Connection:
        with state.changed:
            while state.paused:
                state.changed.wait()
            if state.closed:
                raise unavailable("the store is closed")
            state.reading += 1
            if state.readers:
                return state.readers.pop()
        try:
            return self._backend.connect(read_only=True)
        except BaseException as error:
            with state.changed:
                state.reading -= 1
                state.changed.notify_all()
            if isinstance(error, self._backend.errors):
                raise self._backend.translate(error) from None
            raise

    def _give_back(self, state: _State, connection: Connection, sound: bool) -> None:
        with state.changed:
            if sound and not state.closed and not state.paused and len(state.readers) < _SPARE_READERS:
                state.readers.append(connection)
            else:
                connection.close()
            state.reading -= 1
            if state.paused or state.closed:
                state.changed.notify_all()

    def query(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of one SELECT. A single statement sees one state by itself: cheaper than `read`."""
        return self._reading(
            lambda connection: connection.execute(statement, values).fetchall(), lambda rows: rows
        )

    # --- writing ---

    def write(self, function: Callable[[Connection], T]) -> T:
        """Run `function` inside an immediate transaction and return when its effects are durable.

        It may share the transaction with others, so it neither commits nor rolls back; when it raises,
        its own effects are undone and the exception arrives here. `function` runs at most once, perhaps in
        another thread; it must not call `write` again. When the commit itself fails nothing was
        acknowledged, though it may be found written later (as after a crash).
        """
        state = self._ours()
        if state.committing == threading.get_ident():
            raise RuntimeError("a write inside a write")
        operation = _Operation(function)
        with state.changed:
            if state.closed:
                raise unavailable("the store is closed")
            lead, state.leading = not state.leading, True
            waiting = None if lead else threading.Event()
            operation.event = waiting
            state.queue.append(operation)
        if waiting is not None:
            try:
                waiting.wait()
            except BaseException:  # an interrupt: nobody waits for this operation any more, but others do
                self._abandon(state, operation)
                raise
            lead = operation.lead
        if lead:
            self._lead(state, operation)
        return cast(T, operation.outcome())

    def _lead(self, state: _State, operation: _Operation) -> None:
        """Commit the head of the queue, `operation` first, then pass the lead on."""
        batch: list[_Operation] = []
        try:
            with state.changed:
                while state.paused:
                    state.changed.wait()
                state.committing = threading.get_ident()
                while state.queue and len(batch) < MAX_BATCH:
                    batch.append(state.queue.popleft())
            _commit(self._backend, state, batch)
        finally:
            with state.changed:
                state.committing = None
                if operation in state.queue:  # interrupted before it began
                    state.queue.remove(operation)
                _pass_on(state)
            for each in batch:
                each.wake()

    def _abandon(self, state: _State, operation: _Operation) -> None:
        with state.changed:
            if operation in state.queue:
                state.queue.remove(operation)
                if operation.lead:
                    _pass_on(state)

    # --- life cycle ---

    def close(self) -> None:
        """Close every connection, after operations under way have finished. Idempotent."""
        state = self._state
        if state is None or state.pid != os.getpid():
            return
        with state.changed:
            if state.closed:
                return
            state.closed = True
            state.changed.wait_for(lambda: not state.leading and not state.reading, BUSY_SECONDS)
            state.close_connections()
        state.lock.close()

    def _ours(self) -> _State:
        state = self._state
        if state is not None and state.pid != os.getpid():  # a fork that ran none of Python's hooks
            _disown(state)
            self._state = state = None
        if state is None:
            raise forked()
        return state

    def before_fork(self) -> None:
        """Finish what runs, let nothing start, close every connection."""
        state = self._state
        if state is None or state.closed:
            return
        state.changed.acquire()
        state.paused = True
        until = time.monotonic() + _FORK_PATIENCE
        while not state.idle() and time.monotonic() < until:
            state.changed.wait(0.01)
        if state.idle():
            state.close_connections()

    def after_fork_in_parent(self) -> None:
        state = self._state
        if state is None or not state.paused:
            return
        state.paused = False
        state.changed.notify_all()
        state.changed.release()

    def after_fork_in_child(self) -> None:
        state = self._state
        if state is None or not state.paused:
            return
        _disown(state)
        self._state = _State(self._backend) if state.idle() and state.disconnected() else None


def _pass_on(state: _State) -> None:
    """Wake the next in the queue as leader; under `state.changed`."""
    if state.queue:
        state.queue[0].lead = True
        state.queue[0].wake()
    else:
        state.leading = False
    if state.paused or state.closed:
        state.changed.notify_all()


def _commit(backend: Backend, state: _State, batch: list[_Operation]) -> None:
    """One transaction for all of `batch`: sets each operation's result or error."""
    try:
        with state.lock.held(BUSY_SECONDS):
            backend.require_same()
            writer = _begin(backend, state)
            try:
                for operation in batch:
                    _run(backend, writer, operation, shared=len(batch) > 1)
                if any(operation.error is None for operation in batch):
                    backend.commit(writer)
            finally:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
        for operation in batch:
            operation.done = True
        return
    except TimeoutError:
        failure = busy()
    except backend.errors as error:
        failure = backend.translate(error)
    except OSError as error:
        failure = unavailable(error.strerror or "an operating system error")
    except GatewayError as error:
        failure = error
    except BaseException:
        state.drop_writer()
        raise
    state.drop_writer()
    for operation in batch:
        operation.error = failure


def _begin(backend: Backend, state: _State) -> Connection:
    """The writer, inside a transaction. One that the server ended since it was last used is replaced: nothing
    was done yet."""
    if state.writer is not None:
        try:
            backend.begin_writing(state.writer)
            return state.writer
        except backend.errors:
            if not backend.gone(state.writer):
                raise
            state.drop_writer()
    state.writer = backend.connect(read_only=False)
    backend.begin_writing(state.writer)
    return state.writer


def _run(backend: Backend, writer: Connection, operation: _Operation, *, shared: bool) -> None:
    """One operation; under a savepoint when others are in the transaction, which else is undone as a whole.
    Raises what spoils the whole transaction."""
    if shared:
        writer.execute("SAVEPOINT operation")
    try:
        operation.result = operation.function(writer)
    except Exception as error:
        if not backend.isolated(error):
            raise
        operation.error = backend.translate(error) if isinstance(error, backend.errors) else error
        if shared:
            writer.execute("ROLLBACK TO operation")
    if shared:
        writer.execute("RELEASE operation")


# --- forks -------------------------------------------------------------------------------------

_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()
_DISOWNED: list[_State] = []
_forking = threading.Lock()
_paused: list[Database] = []


def _disown(state: _State) -> None:
    """Keep a parent's connections from being finalised here: closing them would touch the parent's files.
    Its lock descriptors are closed, or a lock of the parent would outlive it in this process."""
    _DISOWNED.append(state)
    state.lock.close()


def _before_fork() -> None:
    _forking.acquire()
    _paused[:] = list(_DATABASES)
    for database in _paused:
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in _paused:
        database.after_fork_in_parent()
    _paused.clear()
    _forking.release()


def _after_fork_in_child() -> None:
    for database in _paused:
        database.after_fork_in_child()
    _paused.clear()
    _forking.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
