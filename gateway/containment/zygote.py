"""The process that readers are forked from: started afresh, so nothing of the gateway is in its memory.

It is told one thing: a descriptor comes over its control socket, and a reader is to be forked that serves it.
It answers with a descriptor of that process, by which the gateway can end it and nobody else by mistake. It
reads nothing that a peer sent. When the gateway ends, in whatever way, its control socket closes: it ends,
and the kernel ends its readers.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping

from gateway.containment import confine, frames, worker

SPAWN, SPAWNED, FAILED = b"s", b"p", b"f"
READY = b"ready"

Confine = Callable[[], Mapping[str, str]]
Serve = Callable[[int], None]


def main(fd: int, serve: Serve = worker.serve, limit: Confine = confine.confine) -> None:
    """Fork readers as asked over `fd`. serve, limit: others, for tests."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # readers that ended are nobody's zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway says when it is over
    warnings.simplefilter("ignore")
    with socket.socket(fileno=fd) as control:
        while True:
            message, given, _, _ = socket.recv_fds(control, 1, 1)
            if not message:
                return
            _spawn(control, given[0], serve, limit)


def _spawn(control: socket.socket, fd: int, serve: Serve, limit: Confine) -> None:
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _become_reader(parent, fd, serve, limit)
            code = 0
        finally:
            os._exit(code)
    os.close(fd)
    try:
        handle = os.pidfd_open(child)
    except OSError:  # it is gone already
        control.sendall(FAILED)
        return
    socket.send_fds(control, [SPAWNED + child.to_bytes(4, "big")], [handle])
    os.close(handle)


def _become_reader(parent: int, fd: int, serve: Serve, limit: Confine) -> None:
    """Keep the one descriptor, at 3, and three that lead nowhere; confine; say what held; serve."""
    os.dup2(fd, 3)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    confine.drop_root()
    confine.die_with_parent()
    if os.getppid() != parent:
        return
    found = limit()
    os.write(3, frames.write((READY, json.dumps(dict(found)).encode())))
    serve(3)


if __name__ == "__main__":
    main(int(sys.argv[1]), functools.partial(worker.serve))
