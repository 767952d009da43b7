"""How often one client may ask for what costs us something, decided before anything but the route is read.

Each worker process counts for itself and remembers nothing across restarts: a fence against one client that
asks without end, not an account of who asked how often. Whoever has many addresses is many clients.
"""

from __future__ import annotations

import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.errors import GatewayReason
from gateway.http import clients, problem
from gateway.http.routes import ROUTES

LIMITED = tuple(route.path for route in ROUTES if route.access.open and route.method == "POST")
"""What anybody may ask for and is not free. Challenges have a count of their own."""
MOST_CLIENTS = 16_384
"""Counts that are remembered, the last used ones; a forgotten one begins full."""

_PATH = re.compile(f"(?:/t/[^/]+)?({'|'.join(map(re.escape, LIMITED))})\\Z")
_CHALLENGE = "/v1/challenge"

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body, as granian takes them."""


class Buckets:
    """Token buckets by key: each holds `per_minute` and gains so many a minute. For one thread.

    now: seconds from anywhere, never running backwards.
    """

    def __init__(
        self, per_minute: int, *, most: int = MOST_CLIENTS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._full, self._gain, self._most, self._now = float(per_minute), per_minute / 60, most, now
        self._held: OrderedDict[tuple[str, bool], tuple[float, float]] = OrderedDict()

    def wait(self, key: tuple[str, bool]) -> int:
        """0 when one was taken; else whole seconds until there will be one."""
        now = self._now()
        held, at = self._held.get(key, (self._full, now))
        held = min(self._full, held + (now - at) * self._gain)
        taken = held >= 1
        self._held[key] = (held - 1 if taken else held, now)
        self._held.move_to_end(key)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return 0 if taken else math.ceil((1 - held) / self._gain)

    def __len__(self) -> int:
        return len(self._held)


class Limiter:
    """What the front asks about every request. For the event loop's thread alone.

    per_minute: attempts of one client, and as many challenges; 0: no limit. proxies: addresses of our own
    proxies: from them, and only from them, X-Forwarded-For says who the client is. headers: what every reply
    of ours carries. count: called with the route of a request that is refused.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        proxies: Collection[str],
        headers: Mapping[str, str],
        count: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buckets = Buckets(per_minute, now=now) if per_minute else None
        self._proxies = frozenset(map(clients.address, proxies))
        self._headers, self._count = dict(headers), count

    def refusal(self, scope: Any) -> Answer | None:
        """None: go on. Otherwise the whole answer; no byte of the body was asked for."""
        if self._buckets is None or scope.method != "POST":
            return None
        match = _PATH.match(scope.path)
        if match is None:
            return None
        seconds = self._buckets.wait((clients.network(self._client(scope)), match[1] == _CHALLENGE))
        if not seconds:
            return None
        self._count(match[1])
        told = problem.plain(
            GatewayReason.RATE_LIMITED,
            f"this client asked too often; again in {seconds} s",
            {"Retry-After": str(seconds)},
        )
        reply = problem.closing(told).reply()
        headers = {**self._headers, **reply.headers, "Content-Type": reply.media_type}
        return reply.status, [(name.lower(), value) for name, value in headers.items()], reply.body

    def _client(self, scope: Any) -> str:
        given = ",".join(value for name, value in scope.headers.items() if name.lower() == "x-forwarded-for")
        return clients.client(scope.client.rpartition(":")[0], given, self._proxies)
