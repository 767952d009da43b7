"""What each vendor's service is asked, and how its answers are read.

A vendor module is the only place that makes a URL: a configured base, a path that is written there, and
values that were matched against their exact form. What does not match is a need that this vendor cannot
answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from gateway.collateral.dial import Reply, Request
from verifiers.model import AnchorSet, Need
from verifiers.vetting import Vetted


class Vendor(Protocol):
    """name: "amd" or "intel", the first word of the kinds that it answers. base: where it is, for people."""

    @property
    def name(self) -> str: ...

    @property
    def base(self) -> str: ...

    def requests(self, need: Need, channel: str) -> tuple[Request, ...]:
        """What to ask, in order: the next only where the one before was not found. () when it has no
        answer."""
        ...

    def read(
        self, need: Need, reply: Reply, where: str, pool: Sequence[bytes], anchors: AnchorSet
    ) -> tuple[Vetted, ...]:
        """The body of an OK reply, vetted, issuers first. Raises EndorsementFormatError, VettingError; also
        for what is genuine and about something else than was asked."""
        ...


def fitting(need: Need, shapes: dict[str, re.Pattern[str]]) -> dict[str, str] | None:
    """The need's values, when it has exactly these names and each is of its shape; else None."""
    found = dict(need.key)
    if len(found) != len(need.key) or found.keys() != shapes.keys():
        return None
    return found if all(shapes[name].fullmatch(value) for name, value in found.items()) else None
