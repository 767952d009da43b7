"""What may follow what in a slot: a pure rule, applied inside the store's write transaction.

Every CRL that Intel has published carries CRL number 1, so it is the date that says which one is newer, and a
number can only add to it: neither may go down. Certificates are outside of this: vendors mint the same one
anew, and the one that ends last is kept.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from gateway.collateral.slots import RATCHETED
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import Slot
from verifiers.vetting import Vetted


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a slot had come. sha256: of what is in it now, None when it is empty."""

    sha256: str | None
    issued: datetime
    ends: datetime
    number: int | None


class Step(enum.Enum):
    FORWARD = "forward"
    """The object becomes the current one."""
    SAME = "same"
    """It is the current one already."""
    ASIDE = "aside"
    """A certificate that ends no later than the one held: genuine, and not needed."""
    BACK = "back"
    """It is older than what was known here before."""


def step(mark: Mark | None, new: Vetted) -> Step:
    """What putting `new` into a slot with this mark means."""
    if mark is None:
        return Step.FORWARD
    if mark.sha256 == new.sha256:
        return Step.SAME
    if new.kind not in RATCHETED:
        return Step.ASIDE if mark.sha256 is not None and new.ends <= mark.ends else Step.FORWARD
    if new.issued < mark.issued or _number(new.number) < _number(mark.number):
        return Step.BACK
    return Step.FORWARD


def refused(slot: Slot, mark: Mark, new: Vetted) -> GatewayError:
    """The error for a step back."""
    return GatewayError(
        GatewayReason.COLLATERAL_ROLLBACK,
        f"{new.where} is older than what was known here before",
        where=str(slot),
        expected=f"issued at {_shown(mark.issued, mark.number)} or later",
        found=_shown(new.issued, new.number),
    )


def _number(number: int | None) -> int:
    return -1 if number is None else number


def _shown(issued: datetime, number: int | None) -> str:
    text = issued.isoformat().replace("+00:00", "Z")
    return text if number is None else f"{text}, number {number}"
