"""Policy documents once they are read: frozen, typed, every constant already converted.

An object of this module that exists is valid by itself (`load.py` made it); that documents fit together is
`compiler.py`'s question. `at` says where something stands and is never part of its value.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from policies.errors import Place, Source
from policies.paths import matches
from policies.references import Entry, Index, Revoked
from policies.values import Literal
from verifiers.claimtypes import ClaimType
from verifiers.model import TeeKind


class Requirement(enum.StrEnum):
    """A question whose missing answer makes an appraisal undecided, when it is required."""

    IDENTITY = "identity"
    """Is it the guest and workload that somebody approved? Needs a release policy."""
    FRESHNESS = "freshness"
    """Was it made for our challenge? Needs the expected report data."""
    REVOCATION = "revocation"
    """Were its certificates withdrawn? Needs CRLs."""


ALL_REQUIREMENTS = frozenset(Requirement)
"""What a gateway always requires."""


class Profile(enum.StrEnum):
    """The protocol by which evidence was bound to a key. A release rule lists those it accepts."""

    NATIVE = "native"
    KBS = "kbs"
    """Weaker: neither label nor audience in the report data."""


# --- conditions ------------------------------------------------------------------------------------

# `node` keeps what `logic.py` prepares once, the first time a condition is asked. It follows from the rest:
# it is no part of the value, and `replace` leaves it behind.


@dataclass(frozen=True, slots=True)
class Test:
    """`claim: {operator: literal}`. type: the claim's; None when `claim` is a role. expected: for people."""

    claim: str
    type: ClaimType | None
    operator: str
    literal: Literal
    expected: str
    at: Place = field(compare=False, repr=False)
    node: object = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Condition, ...]
    at: Place = field(compare=False, repr=False)
    node: object = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Any:
    of: tuple[Condition, ...]
    at: Place = field(compare=False, repr=False)
    node: object = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition
    at: Place = field(compare=False, repr=False)
    node: object = field(default=None, init=False, compare=False, repr=False)


Condition = Test | All | Any | Not


# --- platform baseline -----------------------------------------------------------------------------


class Floor(enum.Enum):
    """What a baseline rule has to do with the firmware's TCB."""

    NO = "not a floor"
    YES = "a floor"
    NONE = "no floor is known"
    """States openly that nothing is checked here; listed under `unchecked`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRule:
    """One demand on the platform. when: None means always. require: None exactly for Floor.NONE.

    waivable: how long an accepted risk may last; None means never. asks: the requirement it answers; when
    its input is missing and nobody requires it, it is "not checked" instead of "unknown".
    """

    id: str
    when: Condition | None
    require: Condition | None
    waivable: timedelta | None
    asks: Requirement | None
    floor: Floor
    because: tuple[str, ...]
    fix: str | None
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    name: str
    version: int
    issued: datetime
    review_by: datetime
    kinds: frozenset[TeeKind]
    rules: tuple[BaselineRule, ...]
    admits: frozenset[str]
    """Of `vocabulary.ADMISSIBLE`: what is refused unless every baseline for this evidence names it."""
    digest: str
    source: Source = field(compare=False, repr=False)


# --- reference values ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSet:
    """A named set of measurements. Holds from `valid_from` until before `valid_until`."""

    name: str
    version: int
    owner: str
    valid_from: datetime
    valid_until: datetime
    provenance: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]
    revoked: tuple[Revoked, ...]
    index: Index = field(compare=False, repr=False)
    digest: str
    source: Source = field(compare=False, repr=False)


# --- release policy --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How long a released secret may be used, and how often its holder must prove itself again."""

    lasts: timedelta
    renew_every: timedelta
    max_holders: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowRule:
    """One way to be accepted. `require` is never empty: its conditions must all hold."""

    id: str
    profiles: frozenset[Profile]
    when: Condition
    require: tuple[Condition, ...]
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyRule:
    id: str
    when: Condition
    at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRisk:
    """One finding, accepted by name for a while. Holds at `valid_from` and until before `expires`."""

    id: str
    finding: str
    only_in: str
    only_when: tuple[Condition, ...]
    reason: str
    ticket: str | None
    owner: str
    approved_by: tuple[str, ...]
    valid_from: datetime
    expires: datetime
    at: Place = field(compare=False, repr=False)
    finding_at: Place = field(compare=False, repr=False)
    only_in_at: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePolicy:
    name: str
    version: int
    tenant: str
    owner: str
    secrets: tuple[str, ...]
    baselines: Mapping[str, int]
    """Name to lowest version."""
    references: Mapping[str, int]
    lease: Lease
    allow: tuple[AllowRule, ...]
    deny: tuple[DenyRule, ...]
    accept_risk: tuple[AcceptRisk, ...]
    digest: str
    places: Mapping[str, Place] = field(compare=False, repr=False)
    """Where "secrets", "uses" and each used name stand, for messages."""
    source: Source = field(compare=False, repr=False)

    def owns(self, path: str) -> bool:
        return any(matches(pattern, path) for pattern in self.secrets)


Document = Baseline | ReferenceSet | ReleasePolicy
