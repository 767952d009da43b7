"""A gateway in a process of its own, on a free loopback port, as an operator would start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.client import Client

_START_SECONDS = 60
_STOP_SECONDS = 30


class NotStarted(Exception):
    """The process ended, or was not ready in time; the message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A gateway that is ready. log: everything it has printed."""

    url: str
    issuer: str
    process: subprocess.Popen[bytes]
    token: str
    log: Path

    @property
    def anonymous(self) -> Client:
        return Client(url=self.url)

    @property
    def admin(self) -> Client:
        return Client(url=self.url, token=self.token)


@contextmanager
def running(folder: Path, *, development: bool, options: Sequence[str] = ()) -> Iterator[Running]:
    """Start `sealgate serve` with its state in `folder`; stopped at the end. Raises NotStarted."""
    folder.mkdir(parents=True, exist_ok=True)
    ready, token, log = folder / "ready.json", folder / "admin-token", folder / "log"
    command = [
        sys.executable, "-m", "gateway", "serve",
        "--data", str(folder / "state"), "--port", "0", "--ready-file", str(ready), *options,
    ]  # fmt: skip
    if not token.exists():
        command += ["--admin-token-file", str(token)]
    command.append("--development" if development else "--offline")
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _await(process, ready, log)
        told = json.loads(ready.read_bytes())
        yield Running(
            url=told["url"], issuer=told["issuer"], process=process, token=token.read_text().strip(), log=log
        )
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise NotStarted(f"the gateway did not start; it said:\n{log.read_text()}")
        time.sleep(0.02)
