"""Attest and release over HTTP against a real gateway with two workers.

Load comes from processes on the same machine, so requests per second are a lower bound. Challenges and
evidence are prepared beforehand: what is timed is the gateway. Every request carries evidence of its own.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from gateway.demo.documents import RELEASED_PATH
from gateway.demo.process import running
from gateway.demo.run import provide
from gateway.demo.scenarios import Stage
from gateway.protocol.native import report_data
from gateway.simulator.amd import SnpMachine
from tests.bench.clock import Timing, summary
from verifiers.codec import b64

PROCESSES, THREADS = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """latency: microseconds per request. crypto_share: unavoidable crypto / all of the server's CPU time."""

    per_second: float
    latency: Timing
    errors: int
    cpu_ms_per_request: float
    crypto_ms_per_request: float
    memory_mb_per_worker: float

    @property
    def crypto_share(self) -> float:
        return self.crypto_ms_per_request / self.cpu_ms_per_request


def attest_and_release(requests: int) -> Load:
    """`requests` SNP guests, each attesting once and getting one secret in the same reply."""
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name), development=True, options=["--workers", "2"]) as gateway,
    ):
        stage = provide(gateway)
        bodies = _bodies(stage, requests + 64)
        _send(gateway.url, bodies[:64])
        server = _family(gateway.process.pid)
        before = _cpu(server)
        started = time.perf_counter()
        shares = [bodies[64 + n :: PROCESSES] for n in range(PROCESSES)]
        with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
            results = pool.starmap(_send, [(gateway.url, share) for share in shares])
        took = time.perf_counter() - started
        used = _cpu(server) - before
        memory = max(p.memory_info().rss for p in server) / 1e6
    samples = [sample for found, _ in results for sample in found]
    errors = sum(failed for _, failed in results)
    return Load(
        per_second=len(samples) / took,
        latency=summary(samples),
        errors=errors,
        cpu_ms_per_request=used / requests * 1000,
        crypto_ms_per_request=_unavoidable() * 1000,
        memory_mb_per_worker=memory,
    )


def _bodies(stage: Stage, count: int) -> list[bytes]:
    machine = SnpMachine(product="Genoa", at=datetime.now(UTC).replace(microsecond=0))
    guest = stage.guest(machine)
    out = []
    for _ in range(count):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        runtime = guest.runtime_data(guest.challenge(), key)
        body = {
            "evidence": dict(guest.evidence(report_data(runtime))),
            "runtime_data": b64.encode_url(runtime),
            "release": [RELEASED_PATH],
        }
        out.append(json.dumps(body).encode())
    return out


def _send(url: str, bodies: list[bytes]) -> tuple[list[float], int]:
    """Send over a few connections that stay open; (microseconds each, how many were not a release)."""
    host = urlsplit(url).netloc
    samples: list[float] = []
    failed: list[int] = []

    def run(share: list[bytes]) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        for body in share:
            start = time.perf_counter_ns()
            connection.request("POST", "/v1/attest", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            raw = reply.read()
            samples.append((time.perf_counter_ns() - start) / 1000)
            if reply.status != 200 or b'"release"' not in raw:
                failed.append(reply.status)
        connection.close()

    threads = [threading.Thread(target=run, args=(bodies[n::THREADS],)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return samples, len(failed)


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _unavoidable() -> float:
    """CPU seconds of the public-key operations that one attestation with one release cannot do without:
    verify the report (P-384), sign EAR and release (P-256), agree on a key with the guest (P-256)."""
    p384, p256 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    message = os.urandom(672)
    signature = p384.sign(message, ec.ECDSA(hashes.SHA384()))
    public, peer = p384.public_key(), ec.generate_private_key(ec.SECP256R1()).public_key()
    rounds = 200
    start = time.thread_time()
    for _ in range(rounds):
        public.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        p256.sign(message, ec.ECDSA(hashes.SHA256()))
        p256.sign(message, ec.ECDSA(hashes.SHA256()))
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        aes_key_wrap(ephemeral.exchange(ec.ECDH(), peer), bytes(32))
    return (time.thread_time() - start) / rounds
