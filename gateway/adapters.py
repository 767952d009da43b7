"""The clock and the random generator: the only two places of the gateway that ask the machine for them."""

from __future__ import annotations

import os
from datetime import UTC, datetime


class SystemClock:
    """`Clock` of the running machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class OsRandom:
    """`Random` of the operating system (getrandom)."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)
