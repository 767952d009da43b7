"""Several gateways on one PostgreSQL, behind a balancer that remembers nobody."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client, ClientError, Refused
from gateway.guest import Guest
from gateway.release.native import Expected, open_release
from tests.e2e.support import PATH, SECRET, SNP, Server, documents, fresh_key, refusal, serving
from tests.postgres import cluster, needs_postgres

pytestmark = needs_postgres
PATIENCE = 60.0
"""Seconds until something that takes well below one is given up."""


class Balancer:
    """Hands requests round among replicas, and to the next one when nobody listens. No memory of clients."""

    def __init__(self) -> None:
        self.replicas: list[Server] = []
        self._turn = count()

    def ask(self, method: str, path: str, *arguments: Any, **more: Any) -> Any:
        for _ in range(20):
            replicas = self.replicas
            chosen = replicas[next(self._turn) % len(replicas)]
            try:
                return Client(url=chosen.url).ask(method, path, *arguments, **more)
            except ClientError as error:
                if "refused" not in str(error).lower() or isinstance(error, Refused):
                    raise
        raise AssertionError("no replica listens")

    def get(self, path: str, **query: str) -> Any:
        return self.ask("GET", path, query=query)

    def post(self, path: str, value: object) -> Any:
        return self.ask("POST", path, json.dumps(value).encode(), "application/json")


class Replicas:
    """Gateways of one test, each with a folder of its own and a copy of the first one's keys."""

    def __init__(self, folder: Path, held: contextlib.ExitStack) -> None:
        self.folder, self._held, self._stopped = folder, held, set[int]()
        self.config = folder / "gateway.toml"
        cluster().database("replicas")
        self.config.write_text(f'[listen]\nworkers = 1\n[store]\nurl = "{cluster().url("replicas")}"\n')
        self.all: list[Server] = []

    def start(self) -> Server:
        data = self.folder / f"replica{len(self.all)}"
        if self.all:
            first = self.folder / "replica0"
            data.mkdir()
            shutil.copy(first / "token", data / "token")
            shutil.copytree(first / "state" / "keys", data / "state" / "keys")
            (data / "state").chmod(0o700)
        server = self._held.enter_context(serving(data, "--config", str(self.config)))
        self.all.append(server)
        return server


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    with contextlib.ExitStack() as held:
        yield Replicas(tmp_path, held)


def eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def balanced(guest: Guest, client: Any) -> Guest:
    return replace(guest, client=client)


def test_no_replica_needs_to_remember_what_another_was_asked(replicas: Replicas) -> None:
    a, b, c = replicas.start(), replicas.start(), replicas.start()
    a.provide()
    guest, key = a.guest(SNP), fresh_key()
    nonce = guest.challenge()
    runtime = guest.runtime_data(nonce, key.public_key())
    reply = b.guest(SNP).attest(runtime, [])
    released = c.anonymous.post("/v1/release", {"ear": reply["ear"], "paths": [PATH]})
    (entry,) = released["releases"]
    wanted = Expected(iss=a.issuer, aud=a.issuer, nonce=nonce, path=PATH, tenant="default")
    assert open_release(entry["release"], guest.jwks, key, wanted).secret == SECRET
    # A challenge is used once, whoever is asked.
    assert refusal(c.guest(SNP).attest, runtime, []).reason == "session.nonce-used"
    heads = {server.admin.get("/v1/ledger/checkpoint")["head"] for server in (a, b, c)}
    assert len(heads) == 1


def test_one_challenge_that_all_replicas_get_at_once_counts_once(replicas: Replicas) -> None:
    servers = [replicas.start() for _ in range(3)]
    servers[0].provide()
    guests = [server.guest(SNP) for server in servers]
    for _ in range(5):
        key = fresh_key()
        runtime = guests[0].runtime_data(guests[0].challenge(), key.public_key())
        barrier = threading.Barrier(6)

        def attempt(number: int, runtime: bytes = runtime, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            try:
                (released,) = guests[number % 3].attest(runtime, [PATH])["releases"]
                return str(released["path"])
            except Refused as error:
                return error.reason

        with ThreadPoolExecutor(6) as pool:
            found = sorted(pool.map(attempt, range(6)))
        assert found == [PATH, *["session.nonce-used"] * 5]


def test_activation_and_retirement_reach_every_replica(replicas: Replicas) -> None:
    a, b = replicas.start(), replicas.start()
    a.provide()
    guest = b.guest(SNP)
    assert guest.get([PATH])[PATH].secret == SECRET
    a.activate(documents(version=2))
    b_sees = lambda: str(b.admin.get("/v1/admin/policies")).count("'version': 2")  # noqa: E731
    eventually(lambda: b_sees() >= 3)
    b.admin.ask("DELETE", "/v1/admin/policies/release/payments-db")

    def refused() -> bool:
        try:
            a.guest(SNP).get([PATH])
        except ClientError:
            return True
        return False

    eventually(refused)


def test_an_upgrade_one_after_the_other_refuses_nobody(replicas: Replicas) -> None:
    balancer, stop = Balancer(), threading.Event()
    first = replicas.start()
    first.provide()
    balancer.replicas = [first, replicas.start()]
    guest = balanced(first.guest(SNP), balancer)
    served, problems = [0, 0], list[str]()

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                assert guest.get([PATH])[PATH].secret == SECRET
                served[number] += 1
                time.sleep(0.02)  # leave something of the machine to those who start
            except Exception as error:
                problems.append(repr(error))
                return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for old in list(balancer.replicas):
            fresh = replicas.start()
            before = sum(served)
            eventually(lambda before=before: sum(served) > before + 4 or bool(problems))  # type: ignore[misc]
            balancer.replicas = [*balancer.replicas, fresh]
            old.process.send_signal(signal.SIGTERM)
            assert old.process.wait(PATIENCE) == 0
            balancer.replicas = [server for server in balancer.replicas if server is not old]
        before = sum(served)
        eventually(lambda: sum(served) > before + 4 or bool(problems))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []


def test_a_killed_database_costs_503_and_nothing_that_was_acknowledged(replicas: Replicas) -> None:
    a, b = replicas.start(), replicas.start()
    a.provide()
    acknowledged, codes, stop = {"a": 0, "b": 0}, set[str](), threading.Event()

    def work(server: Server, name: str) -> None:
        while not stop.is_set():
            try:
                put = server.admin.ask(
                    "PUT", f"/v1/admin/secrets/test/{name}", SECRET, "application/octet-stream"
                )
                acknowledged[name] = put["version"]
            except Refused as error:
                codes.add(f"{error.status} {error.reason}")
                if error.status != 503:
                    return
                time.sleep(0.02)

    threads = [threading.Thread(target=work, args=(server, name)) for server, name in ((a, "a"), (b, "b"))]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: min(acknowledged.values()) > 5)
        cluster().tell("kill")
        eventually(lambda: bool(codes))
        assert refusal(a.anonymous.get, "/readyz").status == 503
        cluster().tell("start")
        reached = dict(acknowledged)
        eventually(lambda: all(acknowledged[name] > reached[name] + 4 for name in acknowledged))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {code.split()[0] for code in codes} == {"503"}, codes
    for server, name in ((a, "a"), (b, "b")):
        kept = {each["path"]: each["version"] for each in server.admin.get("/v1/admin/secrets")["secrets"]}
        assert kept[f"test/{name}"] >= acknowledged[name]
    assert a.guest(SNP).get([PATH])[PATH].secret == SECRET


def test_a_replica_with_keys_of_its_own_does_not_start(replicas: Replicas, tmp_path: Path) -> None:
    replicas.start()
    data = tmp_path / "stranger"
    data.mkdir()
    stranger = serving(data, "--config", str(replicas.config))
    with pytest.raises(AssertionError, match="did not start") as caught, stranger:
        pass
    assert "keys.absent" in str(caught.value)
