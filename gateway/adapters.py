"""The clock and the random generator: where the gateway asks the machine for them.

Only keys that live for one operation, with what goes with them, come from the cryptographic library itself.
"""

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
