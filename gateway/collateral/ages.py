"""How old collateral may be by our own rule, whatever its vendor's window says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from gateway.ports import HeldCollateral

DEFAULT_DAYS: Mapping[str, int] = MappingProxyType(
    {
        # Intel issues these anew all the time and gives them 30 days.
        "intel.tcb-info": 31,
        "intel.qe-identity": 31,
        "intel.pck-crl": 31,
        # Root CRLs live for about a year; one that is issued yearly must not be too old after a month.
        "intel.root-crl": 400,
        "amd.crl": 400,
    }
)
"""Days since issueDate or thisUpdate. Certificates have their own end and no maximum age."""


@dataclass(frozen=True, slots=True)
class Ages:
    """Maximum age by kind, counted from when the object says that it was issued."""

    limits: Mapping[str, timedelta] = field(
        default_factory=lambda: MappingProxyType(
            {kind: timedelta(days=days) for kind, days in DEFAULT_DAYS.items()}
        )
    )

    def end(self, kind: str, issued: datetime, ends: datetime) -> datetime:
        """The first instant at which it is no longer handed out: ours or the vendor's, whichever is first."""
        limit = self.limits.get(kind)
        return ends if limit is None else min(ends, issued + limit)

    def too_old(self, held: HeldCollateral, now: datetime) -> str | None:
        """One line for operators when `held` is older than we allow, though its vendor's window may be
        open."""
        limit = self.limits.get(held.slot.kind)
        if limit is None or now < held.issued + limit:
            return None
        age = now - held.issued
        return (
            f"{held.slot}: issued {held.issued:%Y-%m-%dT%H:%M:%SZ}, {age.days} days ago; "
            f"maximum age {limit.days} days; its vendor's window ends {held.ends:%Y-%m-%dT%H:%M:%SZ}"
        )
