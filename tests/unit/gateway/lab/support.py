"""A lab whose clock stands still until it is told otherwise, and one way to ask it."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from gateway.simulator import seeds


@dataclass
class Clock:
    at: datetime = seeds.EPOCH

    def now(self) -> datetime:
        return self.at

    def forward(self, by: timedelta) -> None:
        self.at += by


@dataclass(frozen=True)
class Got:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""


def get(
    base: str, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: bytes = b""
) -> Got:
    """One request; whatever http.client raises, it raises."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(str(parts.hostname), int(parts.port or 0), timeout=10)
    try:
        connection.request(method, path, body=body or None, headers=headers or {})
        reply = connection.getresponse()
        lower = {name.lower(): value for name, value in reply.getheaders()}
        return Got(reply.status, reply.read(), lower)
    finally:
        connection.close()
