"""Running the gateway: worker processes of granian, each with the front and the WSGI application."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from gateway import app, files
from gateway.adapters import SystemClock
from gateway.collateral import refresher
from gateway.config import Config
from gateway.containment import assembly as containment
from gateway.errors import GatewayError
from gateway.forecast import fleet, gauges
from gateway.http.answer import fixed_headers
from gateway.http.app import Application
from gateway.http.front import Front
from gateway.http.limiter import Limiter
from gateway.store import Store
from policies.errors import PolicyError

_HEADER_MILLISECONDS = 10_000
_CONNECTIONS = 1024
"""Requests that one worker takes on at once, most of them waiting for their body."""
_STOP_SECONDS = 10
_READY_SECONDS = 60
_POLL_SECONDS = 0.05
_HOUSEKEEPING_SECONDS = 60.0
_YOUNG_OBJECTS = 10_000
"""New objects after which a worker looks for cycles among them. Requests leave next to none, so to look often
is work for nothing; Python's own figure is 700."""

log = logging.getLogger("sealgate.serve")


def load_application(config: Config) -> Any:
    """What granian calls in a worker process: the front, and behind it the WSGI application."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    site, _ = app.compose(config, reader=containment.reader_for(config))
    application = Application(site)
    if site.provider is not None and site.provider.keyset.fetches:
        looks = partial(site.provider.keyset.keep_fresh, threading.Event())
        threading.Thread(target=looks, name="oidc-keys", daemon=True).start()
    limiter = Limiter(
        config.limits.attempts_per_minute,
        proxies=config.limits.proxies,
        headers=fixed_headers(site),
        count=lambda route: site.metrics.count("sealgate_http_requests_total", route=route, status="429"),
    )
    gc.collect()
    gc.freeze()  # what is there now stays for ever: no need to look through it again and again
    gc.set_threshold(_YOUNG_OBJECTS)
    return Front(
        application,
        application.limit_of,
        threads=config.listen.threads,
        seconds=config.limits.read_seconds,
        refusal=limiter.refusal,
        guard_of=application.guard_of,
    )


def serve(config: Config, store: Store, *, ready: Callable[[], None]) -> None:
    """Run until SIGINT or SIGTERM; requests under way are finished first.

    store: open already; looked after here. ready: called once, from another thread, when a worker answers.
    """
    server = Server(
        "gateway",
        address=config.listen.host,
        port=config.listen.port,
        interface=Interfaces.RSGI,
        workers=config.listen.workers,
        backpressure=_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=64 * 1024),
        log_level=LogLevels.error,
        ssl_cert=config.tls.certificate,
        ssl_key=config.tls.key,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
    )
    stop = threading.Event()
    jobs = [partial(_announce, config, ready), partial(_keep_house, config, store)]
    engine = app.engine(config, store)
    if engine is not None:
        jobs += [partial(refresher.keep_fresh, engine, vendor.name, stop) for vendor in engine.vendors]
    for job in jobs:
        server.on_startup(threading.Thread(target=job, daemon=True).start)
    try:
        server.serve(target_loader=partial(load_application, config), wrap_loader=False)
    finally:
        stop.set()


@contextlib.contextmanager
def reserved_port(config: Config) -> Iterator[Config]:
    """The configuration with a real port. Port 0 becomes a free one, held (bound, not listening) until the
    workers have it too: they all bind with SO_REUSEPORT. Another one is tried, so that one that is taken is
    known before a store is created. Raises OSError when it cannot be bound."""
    family = socket.AF_INET6 if ":" in config.listen.host else socket.AF_INET
    if config.listen.port:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((config.listen.host, config.listen.port))
        yield config
        return
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((config.listen.host, 0))
        yield replace(config, listen=replace(config.listen, port=held.getsockname()[1]))


def write_ready_file(path: Path, config: Config, token_file: Path | None) -> None:
    """What whoever started us needs to know, all at once: a reader sees a whole file or none."""
    value = {"url": config.url, "pid": os.getpid(), "issuer": config.issuer_name}
    if token_file is not None:
        value["admin_token_file"] = str(token_file)
    files.replace_file(path, json.dumps(value).encode())


def tidy(config: Config, store: Store, now: datetime) -> None:
    """Forget used challenges that have expired, appraisals whose time is over or that are too many, and then
    the collateral that only they referred to."""
    store.nonces.prune(now)
    store.appraisals.prune(now - timedelta(days=config.limits.appraisal_days))
    store.appraisals.shrink(config.limits.evidence_megabytes * 2**20)
    store.collateral.prune(now)
    store.chores.tidy(now)


def look_ahead(config: Config, store: Store, now: datetime) -> None:
    """What is ahead of the machines that were seen, once an hour, for `/metrics`."""
    if gauges.due(store.gauges, now):
        found = fleet.forecast(app.look_ahead(config, store), now, days=gauges.DAYS)
        gauges.keep(store.gauges, found, now)


def _keep_house(config: Config, store: Store) -> None:
    """One process does it for all workers."""
    clock = SystemClock()
    while True:
        time.sleep(_HOUSEKEEPING_SECONDS)
        try:
            tidy(config, store, clock.now())
            look_ahead(config, store, clock.now())
        except (GatewayError, PolicyError) as error:
            log.warning("housekeeping: %s", error)
        except Exception:  # our bug; without anybody who keeps house the disk fills
            log.exception("housekeeping")


def _announce(config: Config, ready: Callable[[], None]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        if _answers(config):
            ready()
            return


def _answers(config: Config) -> bool:
    """Is a worker there? Any HTTP answer counts; whose certificate it is does not matter to ourselves."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.listen.host, config.listen.host)  # noqa: S104
    connection: http.client.HTTPConnection
    if config.tls.enabled:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, config.listen.port, timeout=2, context=context)
    else:
        connection = http.client.HTTPConnection(host, config.listen.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
