"""Where the CPU time of one attestation with one release goes, stage by stage, in one thread of one process.

What the server adds around it (sockets, event loop, threads) is not in here: `http.py` measures all of it
from outside, and the difference is that.
"""

from __future__ import annotations

import functools
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from gateway import administration, app, appraiser, keys, pipeline, releasing, secrets
from gateway.adapters import SystemClock
from gateway.collateral import importing
from gateway.config import Config
from gateway.demo import documents
from gateway.http.app import Application
from gateway.http.handlers import Site
from gateway.protocol import native
from gateway.simulator.amd import SnpMachine
from gateway.store.database import Database
from verifiers import registry

WARM = 64
HTTP, PARSE, STORE, VERIFY, APPRAISE, SIGN, OTHER = (
    "HTTP: route, limits, reply", "parse", "store", "verify", "appraise", "sign, wrap", "other"
)  # fmt: skip
_STAGES: Sequence[tuple[Any, str, str]] = (
    (Application, "__call__", HTTP),
    (pipeline, "attest", OTHER),
    (native, "parse_attest", PARSE),
    (native, "parse_runtime_data", PARSE),
    (pipeline, "_open", PARSE),
    (Database, "write", STORE),
    (Database, "_reading", STORE),
    (registry, "verify", VERIFY),
    (appraiser, "appraise", APPRAISE),
    (keys.FileKeys, "sign_jws", SIGN),
    (releasing, "wrap", SIGN),
)


def measure(
    bodies_of: Callable[[str, Callable[[], str], int], list[bytes]], requests: int
) -> dict[str, float]:
    """CPU seconds of one request, by stage. bodies_of: issuer, a source of challenges and a number to as many
    requests."""
    with _site() as site:

        def challenge() -> str:
            return str(pipeline.challenge(site.gateway, "default", b"")["nonce"])

        bodies = bodies_of(site.gateway.issuer, challenge, requests + WARM)
        application = Application(site)
        for body in bodies[:WARM]:
            _send(application, body)
        spent: dict[str, float] = dict.fromkeys((HTTP, PARSE, STORE, VERIFY, APPRAISE, SIGN, OTHER), 0.0)
        with _timed(spent):
            for body in bodies[WARM:]:
                _send(application, body)
    return {stage: seconds / requests for stage, seconds in spent.items()}


@contextmanager
def _site() -> Iterator[Site]:
    """A gateway in this process, with the demonstration's documents and one secret."""
    with tempfile.TemporaryDirectory() as name:
        config = Config(data=Path(name) / "data", development=True)
        prepared = app.prepare(config)
        site, store = app.compose(config)
        machine = SnpMachine(product="Genoa", at=datetime.now(UTC).replace(microsecond=0))
        now = SystemClock().now()
        importing.import_file(site.desk.importer, machine.good_crl, "bench", by="bench", now=now)
        for raw in (documents.references(), documents.policy()):
            administration.apply(site.office, "default", raw, "bench.yaml", by="bench", baselines=True)
        secrets.put(site.vault, "default", documents.RELEASED_PATH, os.urandom(32), by="bench")
        yield site
        store.close()
        prepared.store.close()


def _send(application: Application, body: bytes) -> None:
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/v1/attest", "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
    said: list[str] = []
    reply = b"".join(application(environ, lambda status, headers: said.append(status)))
    if said != ["200 OK"] or b'"release"' not in reply:
        raise AssertionError(f"not a release: {said} {reply[:200]!r}")


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Inside, every stage adds its own time to `spent`, without that of the stages it calls."""
    inner: list[float] = [0.0]

    def timer(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            inner.append(0.0)
            start = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                took = time.thread_time() - start
                spent[stage] += took - inner.pop()
                inner[-1] += took

        return timed

    with ExitStack() as patches:
        for owner, name, stage in _STAGES:
            patches.enter_context(mock.patch.object(owner, name, timer(getattr(owner, name), stage)))
        yield
