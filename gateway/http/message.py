"""A request after its limits were applied, and the reply to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON, OCTETS, YAML, TEXT = "application/json", "application/octet-stream", "application/yaml", "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """tenant: from the path, "default" when the path names none. who: id of the administrator, if that is who
    calls; wide: whether the whole gateway is theirs, not one tenant. peer: the network that calls, an IPv4
    address or the first half of an IPv6 one; "" when unknown. It decides nothing but shares of budgets."""

    tenant: str
    body: bytes
    params: Mapping[str, str]
    query: Mapping[str, str]
    who: str | None
    wide: bool = False
    peer: str = ""

    def __repr__(self) -> str:
        return f"Call(tenant={self.tenant!r}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Any, Call], Reply]
"""First argument: the `Gateway` that `app.py` composed."""


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status=status, body=msgspec.json.encode(value), headers=headers or {})
