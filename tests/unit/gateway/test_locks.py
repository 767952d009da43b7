"""The lock between processes: one at a time, in turn, with a deadline. (Descriptors stand for processes.)"""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.locks import TurnLock, open_lock_file, try_lock, unlock


def test_one_at_a_time_and_not_for_ever(tmp_path: Path) -> None:
    with closing(TurnLock(tmp_path / "x")) as one, closing(TurnLock(tmp_path / "x")) as other:
        with one.held(1), pytest.raises(TimeoutError), other.held(0.01):
            raise AssertionError("two hold the lock")
        with other.held(1):
            pass
        with one.held(1):
            pass


def test_an_exception_inside_lets_go(tmp_path: Path) -> None:
    with closing(TurnLock(tmp_path / "x")) as one, closing(TurnLock(tmp_path / "x")) as other:
        with pytest.raises(ZeroDivisionError), one.held(1):
            raise ZeroDivisionError
        with other.held(0):
            pass


def test_who_comes_back_at_once_queues_behind_who_waits(tmp_path: Path) -> None:
    order: list[str] = []
    turn = open_lock_file(tmp_path / "x.turn")
    with closing(TurnLock(tmp_path / "x")) as greedy, closing(TurnLock(tmp_path / "x")) as patient:

        def wait() -> None:
            with patient.held(10):
                order.append("patient")

        thread = threading.Thread(target=wait)
        with greedy.held(1):
            thread.start()
            while try_lock(turn):  # until the other has taken the turnstile
                thread.join(0.001)
                unlock(turn)
        with greedy.held(10):
            order.append("greedy")
        thread.join()
    os.close(turn)
    assert order == ["patient", "greedy"]


def test_lock_files_are_private_and_no_links(tmp_path: Path) -> None:
    with closing(TurnLock(tmp_path / "x")):
        assert {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {
            "x.turn": 0o600,
            "x.writer": 0o600,
        }
    (tmp_path / "y.writer").symlink_to(tmp_path / "x.writer")
    with pytest.raises(OSError, match="symbolic"):
        TurnLock(tmp_path / "y")
