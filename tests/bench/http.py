"""Attest and release over HTTP against a real gateway with two workers.

Load comes from processes on the same machine, so requests per second are a lower bound. Challenges and
evidence are prepared beforehand: what is timed is the gateway. Every request carries evidence of its own.

Two kinds of load: as much as a few connections carry, for CPU per request; and a fixed rate, for latency.
With a fixed rate a request's time begins when it was due, so that one that had to wait for a connection
counts as slow, not as sent later.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
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
from gateway.guest import public_jwk
from gateway.protocol.native import report_data
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from tests.bench import stages
from tests.bench.clock import Timing, summary
from verifiers.codec import b64

PROCESSES, THREADS = 2, 4
RATE_THREADS = 16
WARM = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """latency: microseconds per request. crypto_share: unavoidable crypto / all of the server's CPU time.
    stages: CPU milliseconds per request by stage, without the server around the application."""

    per_second: float
    latency: Timing
    errors: int
    cpu_ms_per_request: float
    crypto_ms_per_request: float
    memory_mb_per_worker: float
    stages: dict[str, float]

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
        bodies = _bodies(gateway.issuer, stage.guest(stage.snp()).challenge, requests + WARM)
        _send(gateway.url, bodies[:WARM])
        server = _family(gateway.process.pid)
        before = _cpu(server)
        started = time.perf_counter()
        shares = [bodies[WARM + n :: PROCESSES] for n in range(PROCESSES)]
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
        stages={
            stage: seconds * 1000 for stage, seconds in stages.measure(_bodies, min(requests, 1000)).items()
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """latency: microseconds from when a request was due to the end of its reply."""

    offered: int
    latency: Timing
    errors: int


def attest_at_rate(per_second: int, seconds: float) -> Paced:
    """SNP guests that attest and ask for nothing, `per_second` of them whatever comes back."""
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name), development=True, options=["--workers", "2"]) as gateway,
    ):
        stage = provide(gateway)
        count = int(per_second * seconds)
        bodies = _bodies(gateway.issuer, stage.guest(stage.snp()).challenge, count + WARM, release=False)
        _send(gateway.url, bodies[:WARM])
        begin = time.perf_counter() + 0.5
        due = [(begin + number / per_second, body) for number, body in enumerate(bodies[WARM:])]
        with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
            shares = [(gateway.url, due[n::PROCESSES]) for n in range(PROCESSES)]
            results = pool.starmap(_send_when_due, shares)
    return Paced(
        offered=per_second,
        latency=summary([sample for found, _ in results for sample in found]),
        errors=sum(failed for _, failed in results),
    )


def _bodies(issuer: str, challenge: Callable[[], str], count: int, *, release: bool = True) -> list[bytes]:
    guest = SimulatedGuest(SnpMachine(product="Genoa", at=datetime.now(UTC).replace(microsecond=0)))
    out = []
    for _ in range(count):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        told = {"nonce": challenge(), "key": public_jwk(key), "aud": issuer, "tenant": "default"}
        runtime = json.dumps(told).encode()
        body = {
            "evidence": guest.evidence(report_data(runtime)),
            "runtime_data": b64.encode_url(runtime),
            "release": [RELEASED_PATH] if release else [],
        }
        out.append(json.dumps(body).encode())
    return out


def _send(url: str, bodies: list[bytes]) -> tuple[list[float], int]:
    """Send over a few connections, one after the other; (microseconds each, how many were not a release)."""
    return _load(url, [(0.0, body) for body in bodies], THREADS, b'"release"')


def _send_when_due(url: str, due: list[tuple[float, bytes]]) -> tuple[list[float], int]:
    """Send each body at its time; (microseconds each, how many were not an EAR)."""
    return _load(url, due, RATE_THREADS, b'"ear"')


def _load(url: str, due: list[tuple[float, bytes]], threads: int, wanted: bytes) -> tuple[list[float], int]:
    """Over `threads` connections that stay open. due: (time on the performance counter, body); 0 is now."""
    host = urlsplit(url).netloc
    samples: list[float] = []
    failed: list[int] = []

    def run(share: list[tuple[float, bytes]]) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        for when, body in share:
            time.sleep(max(0.0, when - time.perf_counter()))
            start = when or time.perf_counter()
            connection.request("POST", "/v1/attest", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            raw = reply.read()
            samples.append((time.perf_counter() - start) * 1e6)
            if reply.status != 200 or wanted not in raw:
                failed.append(reply.status)
        connection.close()

    started = [threading.Thread(target=run, args=(due[n::threads],)) for n in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return samples, len(failed) + len(due) - len(samples)


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
