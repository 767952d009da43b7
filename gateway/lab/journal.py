"""Who asked for what: so that a test can count vendor calls, and a user can see them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MAX_ENTRIES = 20_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. endpoint "": none of ours. status 0: none was sent (yet). faults: names of those met."""

    at: datetime
    host: str
    method: str
    target: str
    endpoint: str
    key: Mapping[str, str]
    faults: tuple[str, ...] = ()
    status: int = 0
    sent: int = field(default=0)

    def to_json(self) -> dict[str, object]:
        return {
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "host": self.host,
            "request": f"{self.method} {self.target}",
            "endpoint": self.endpoint,
            "faults": list(self.faults),
            "status": self.status,
            "bytes": self.sent,
        }


class Journal:
    """The last MAX_ENTRIES requests, in the order in which they came. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)

    def entries(self, endpoint: str | None = None, **key: str) -> tuple[Entry, ...]:
        """Those of one endpoint and with these parts of the key; all of them without arguments."""
        with self._lock:
            held = tuple(self._entries)
        return tuple(
            each
            for each in held
            if endpoint in (None, each.endpoint) and all(each.key.get(k) == v for k, v in key.items())
        )

    def count(self, endpoint: str | None = None, **key: str) -> int:
        return len(self.entries(endpoint, **key))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
