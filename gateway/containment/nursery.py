"""The gateway's side of a zygote: start it, have readers forked, talk to one of them, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from gateway.containment import frames
from gateway.containment.errors import EndedError
from gateway.containment.zygote import READY, SPAWN, SPAWNED

COMMAND = (sys.executable, "-I", "-W", "ignore", "-m", "gateway.containment.zygote")
"""-I: neither environment nor working folder choose what is imported."""
START_SECONDS = 30
"""Of a zygote, which imports everything first; readers are there in milliseconds."""


class Process:
    """One reader. state: what it said of its confinement. used: requests so far."""

    def __init__(self, end: socket.socket, handle: int, pid: int, state: Mapping[str, str]) -> None:
        self._end, self._handle = end, handle
        self.pid, self.state, self.used = pid, state, 0

    def exchange(self, parts: Sequence[bytes], seconds: float) -> tuple[bytes, ...]:
        """Send a frame and wait for the one that answers it.

        Raises TimeoutError after `seconds` in all; EndedError when the reader ends before it has answered;
        ReplyError for what is no frame.
        """
        self.used += 1
        until = time.monotonic() + seconds
        try:
            self._end.settimeout(seconds)
            self._end.sendall(frames.write(parts))
            reply = frames.read(_receive(self._end, until))
        except (BrokenPipeError, ConnectionError) as error:
            raise EndedError(str(error)) from None
        if reply is None:
            raise EndedError("no reply")
        return reply

    @property
    def alive(self) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> None:
        """Whatever it does at the moment. By descriptor: a process id may be somebody else's by now."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        os.close(self._handle)
        self._end.close()


class Nursery:
    """A zygote, started when the first reader is wanted and again if it should end. Safe to use from several
    threads. command: another one, for tests."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command, self._lock = tuple(command), threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def spawn(self) -> Process:
        """Raises OSError, EndedError, TimeoutError when there can be no reader."""
        with self._lock:
            if self._zygote is None or self._zygote.poll() is not None:
                self._start()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                with theirs:
                    handle, pid = self._ask(theirs)
            except BaseException:
                ours.close()
                raise
        try:
            return Process(ours, handle, pid, _state(ours))
        except BaseException:
            os.close(handle)
            ours.close()
            raise

    def close(self) -> None:
        """Ends the zygote, and with it all readers."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._zygote is not None:
                try:
                    self._zygote.wait(1)
                except subprocess.TimeoutExpired:
                    self._zygote.kill()
                    self._zygote.wait()
            self._zygote = self._control = None

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(START_SECONDS)
        with theirs:
            self._zygote = subprocess.Popen(  # noqa: S603
                [*self._command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
            )
        self._control = ours

    def _ask(self, theirs: socket.socket) -> tuple[int, int]:
        control = self._control
        if control is None:
            raise EndedError("there is no zygote")
        socket.send_fds(control, [SPAWN], [theirs.fileno()])
        message, handles, _, _ = socket.recv_fds(control, 5, 1)
        if message[:1] != SPAWNED or not handles:
            raise EndedError("the zygote forked nothing that lived")
        return handles[0], int.from_bytes(message[1:], "big")


def _state(end: socket.socket) -> Mapping[str, str]:
    """What a reader says before it has read anything of a peer's."""
    parts = frames.read(_receive(end, time.monotonic() + START_SECONDS))
    if parts is None or len(parts) != 2 or parts[0] != READY:
        raise EndedError("the reader did not become ready")
    said: dict[str, str] = json.loads(parts[1])
    return said


def _receive(end: socket.socket, until: float) -> Callable[[int], bytes]:
    def receive(most: int) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        end.settimeout(left)
        return end.recv(most)

    return receive
