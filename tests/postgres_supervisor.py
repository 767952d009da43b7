"""Runs one PostgreSQL for tests: `python -m tests.postgres_supervisor BINARIES`.

It lives as long as its standard input: when whoever started it ends, however that happens, the server is
stopped and its folder removed. PostgreSQL refuses to run as root, so root runs it as `nobody`; no account is
made.

Commands, one a line, each answered by one line: start, stop, kill (everything, as a power failure would),
freeze, thaw, and wipe (stop, and an empty cluster in the place of the old one).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "120",
    "max_wal_size": "256MB",
    "log_min_messages": "fatal",
    "timezone": "UTC",
}
_ACCESS = """
local with_password all scram-sha-256
local all all trust
"""
_PATIENCE = 60
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def _identity() -> dict[str, Any]:
    """Arguments of Popen that make the child somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)


class Cluster:
    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="sealgate-pg-"))
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self.server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        command = [self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        command += ["--no-sync", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **_identity())
        (self.data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        command = [self.binaries / "postgres", "-D", self.data, "-k", self.folder, *settings]
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            self.server = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,
                **_identity(),
            )
            if self._came_up(until):
                return
            self.server.wait()  # what a kill left behind is cleared away at the next try
        raise SystemExit("PostgreSQL did not come up")

    def _came_up(self, until: float) -> bool:
        pid_file = self.data / "postmaster.pid"
        while self.server is not None and self.server.poll() is None and time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError):
                lines = pid_file.read_text().split("\n")
                if lines[0] == str(self.server.pid) and len(lines) > 7 and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    def _all(self) -> list[psutil.Process]:
        if self.server is None or self.server.poll() is not None:
            return []
        parent = psutil.Process(self.server.pid)
        return [parent, *parent.children(recursive=True)]

    def signal_all(self, number: int) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        processes = self._all()
        for process in processes:  # the parent first, so that it starts nothing anew
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self.server is not None:
            self.server.wait()
        psutil.wait_procs(processes, timeout=_PATIENCE)

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends sessions and shuts down properly, SIGQUIT does not."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(number)
            self.server.wait(_PATIENCE)

    def wipe(self) -> None:
        self.stop()
        shutil.rmtree(self.data)
        self.make()
        self.start()

    def remove(self) -> None:
        with contextlib.suppress(Exception):
            self.signal_all(signal.SIGCONT)
            self.stop(signal.SIGQUIT)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def main(binaries: Path) -> None:
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # our input ends when it is time
    cluster = Cluster(binaries)
    commands = {
        "start": cluster.start,
        "stop": cluster.stop,
        "kill": cluster.kill,
        "wipe": cluster.wipe,
        "freeze": lambda: cluster.signal_all(signal.SIGSTOP),
        "thaw": lambda: cluster.signal_all(signal.SIGCONT),
    }
    try:
        cluster.make()
        cluster.start()
        print(cluster.folder, flush=True)
        for line in sys.stdin:
            commands[line.strip()]()
            print("done", flush=True)
    except BrokenPipeError:
        pass
    finally:
        cluster.remove()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
