"""File locks between the processes of one machine, with a deadline and in turn.

`flock` belongs to the open file description: it ends with the process however it ends, and it is
shared by a forked child, which therefore must open its own (`connection.py` sees to that).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIRST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.001


def open_lock_file(path: Path) -> int:
    """A file descriptor (mode 0600, not inherited by other programs) to lock."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _wait(descriptor: int, until: float) -> None:
    """Poll, because flock knows no deadline: eagerly at first, then less, for every look costs the threads
    that have work to do. Raises TimeoutError."""
    pause = _FIRST_PAUSE
    while not try_lock(descriptor):
        if time.monotonic() >= until:
            raise TimeoutError
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class TurnLock:
    """Mutual exclusion between processes in which nobody starves.

    Whoever wants the lock first takes the turnstile, then waits for the lock, then lets the turnstile
    go. A busy process that comes back at once must queue at the turnstile behind those who wait.
    Not for threads: callers hold a lock of their own around it.
    """

    def __init__(self, path: Path) -> None:
        """path: two files beside it are used, `<path>.writer` and `<path>.turn`. Raises OSError."""
        self._lock = open_lock_file(path.with_name(path.name + ".writer"))
        try:
            self._turn = open_lock_file(path.with_name(path.name + ".turn"))
        except OSError:
            os.close(self._lock)
            raise

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Raises TimeoutError when it is not ours within `timeout` seconds."""
        until = time.monotonic() + timeout
        _wait(self._turn, until)
        try:
            _wait(self._lock, until)
        finally:
            unlock(self._turn)
        try:
            yield
        finally:
            unlock(self._lock)

    def close(self) -> None:
        os.close(self._lock)
        os.close(self._turn)
