"""What holds collateral and what supplies it, as Protocols whose docstrings state the guarantees.

Part of `gateway/ports.py`, which hands these on: everybody else imports them from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from verifiers.model import Need
from verifiers.vetting import Vetted


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place for one current object.

    kind: "amd.vcek", "amd.vlek", "amd.crl", "intel.tcb-info", "intel.qe-identity", "intel.pck-crl",
    "intel.root-crl", "intel.pck" or "intel.issuer". key: what it answers, as text ("kind=vcek
    product=Milan"). channel: "standard", or "early" for documents of Intel's early updates. variant: tells
    objects apart that answer the same need (VLEKs of two providers), else "". simulated: the simulator's,
    beside the vendors'.
    """

    kind: str
    key: str
    channel: str = "standard"
    variant: str = ""
    simulated: bool = False

    def __str__(self) -> str:
        parts = (self.kind, self.key, self.variant, "early" if self.channel == "early" else "")
        return " ".join(part for part in (*parts, "simulated" if self.simulated else "") if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCollateral:
    """What is known of the object in a slot, without its bytes.

    sha256: of the object; previous: of the one that it superseded, kept for CRLs only. source: "vendor" or
    "import". issued, ends, number: what it says of itself (`verifiers.vetting.Vetted`). fetched: when it
    came; checked: when its source last said that it is still the newest.
    """

    slot: Slot
    sha256: str
    previous: str | None
    size: int
    source: str
    issued: datetime
    ends: datetime
    number: int | None
    fetched: datetime
    checked: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldObject:
    """A held object with its bytes, and those of the one before it where that is kept."""

    about: HeldCollateral
    raw: bytes
    previous: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What `put` did with one object. change: False when it is what was held already."""

    slot: Slot
    sha256: str
    change: bool


class CollateralStore(Protocol):
    """Vetted collateral: objects by their digest, and slots that say which of them is current.

    A slot's issue time and number never go down, whatever is put or removed (the ratchet). Bytes stay as long
    as a slot, or an appraisal that is still kept, may refer to them.
    """

    def put(
        self,
        objects: Sequence[Vetted],
        *,
        channel: str,
        source: str,
        at: datetime,
        answers: Need | None = None,
    ) -> Sequence[Placed]:
        """Make each object the current one of its slot: all of them or, when one would go back, none.

        channel: counts for Intel's documents alone. answers: the need that was asked for, where the object
        does not say so itself (a PCK by encrypted PPID). A certificate that ends earlier than the one held is
        left aside. Durable when it returns; decided inside the transaction, so that of two who put at once
        neither can undo the other. Raises GatewayError(COLLATERAL_ROLLBACK) naming the slot.
        """
        ...

    def generation(self) -> int:
        """One small read. Grows with every change of what `common` gives, and when a leaf is replaced or
        removed; not when a leaf is added."""
        ...

    def common(self) -> tuple[int, Sequence[HeldObject]]:
        """(generation, everything but leaves): what evidence of many machines may need."""
        ...

    def leaves(self, kind: str, key: str) -> Sequence[HeldObject]:
        """Certificates of single machines ("amd.vcek", "amd.vlek", "intel.pck"), newest first, at most 16."""
        ...

    def held(self) -> Sequence[HeldCollateral]:
        """Everything, in the order of slots, without bytes: for status and export."""
        ...

    def shared(self) -> Sequence[HeldCollateral]:
        """What `common` gives, without bytes."""
        ...

    def expiring(self, now: datetime, before: datetime, limit: int) -> Sequence[HeldCollateral]:
        """Leaves that are still valid at `now` and end by `before`, the first to end first."""
        ...

    def by_digests(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Bytes by SHA-256 (hex), also of what was superseded; unknown digests are absent."""
        ...

    def remove(self, slot: Slot, at: datetime) -> bool:
        """Empty a slot; its ratchet, and the bytes that appraisals may refer to, stay. False when it was
        empty."""
        ...

    def prune(self, now: datetime) -> int:
        """Forget bytes that no slot has referred to since before the oldest appraisal that is kept; how
        many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplied:
    """What is held for a piece of evidence, as bytes that the verifier judges once more.

    digests: SHA-256, hex, of everything in it, for replay. withheld: what is held and handed to nobody,
    because it is older than we allow; one line for operators each.
    """

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    tcb_infos: tuple[bytes, ...] = ()
    qe_identities: tuple[bytes, ...] = ()
    digests: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()


class CollateralSource(Protocol):
    def get(self, needs: Sequence[Need], now: datetime) -> Supplied:
        """What may answer `needs`. One small read of the store when everything was asked for before; never
        blocks on a vendor; what is not at hand is simply absent."""
        ...

    def want(self, needs: Sequence[Need], now: datetime, client: str) -> int | None:
        """Note what a verification lacked, for the refresher to fetch. client: who asks, for the budget that
        machines never seen before draw on. In how many seconds to come again; None when nothing will be
        fetched. Writes only what is new."""
        ...
