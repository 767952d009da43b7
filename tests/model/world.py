"""Who is there, and what they say to each other: the terms of the model. Cryptography is perfect here.

A hash is the thing that was hashed; a signature or a seal is a tuple that nobody but its maker makes; a JWE
is a tuple that only the holder of its key looks into. Everything that travels is known to the attacker.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

GOOD, EVIL = "the approved image", "the attacker's image"
"""What runs in a genuine TEE. Both are on genuine hardware; the second is the attacker's own workload."""
HONEST, MALLORY = "acme", "mallory"
"""Tenants of every gateway. The second belongs to the attacker."""
DISK, LOG = "disk", "log"
"""Paths, in every tenant. The first of the honest tenant is for the approved image alone."""
ONE, TWO = "one", "two"
"""Gateways; also the name that is their issuer and audience. Keys of their own."""
OWN_KEY = "the attacker's key"
FORGED = "a secret that the attacker made up"


class Config(NamedTuple):
    """A guest session as its owner configured it: which gateway (issuer, audience, pinned keys), which
    tenant, which path it wants. All are of the approved image."""

    gateway: str
    tenant: str
    path: str


class Challenge(NamedTuple):
    """What is in a challenge, besides the random bytes that tell it apart: whose MAC key, for which tenant.
    All are issued at the start, in the first epoch."""

    gateway: str
    tenant: str


class Runtime(NamedTuple):
    """What is under the report data. label: which protocol hashed it."""

    label: str
    nonce: str
    key: str
    aud: str
    tenant: str


class Evidence(NamedTuple):
    """A report of genuine hardware. guest: which session made it, over its own runtime data. Without one its
    report data is over bytes that the attacker chose: of the attacker's own TEE, or of an approved guest that
    hashes whatever it is asked, under another protocol's label."""

    image: str
    guest: int | None


class Secret(NamedTuple):
    """What lies sealed at a place of one gateway's store."""

    gateway: str
    tenant: str
    path: str
    version: int


class Jwe(NamedTuple):
    """content: a Secret, or FORGED. tenant: what `cty` says."""

    key: str
    content: Secret | str
    tenant: str


class Release(NamedTuple):
    """A signed release. Not in the message, but what it came from, as positions of attempts: token, whose
    result was presented; row, whose appraisal was found; opened, whose submission lay there."""

    signer: str
    iss: str
    aud: str
    nonce: str
    path: str
    version: int
    lease: str
    jwe: Jwe
    token: int
    row: int
    opened: int


class Run(NamedTuple):
    """A guest session that attested. at: how much of the script had happened."""

    nonce: str
    key: str
    at: int


class Attempt(NamedTuple):
    """Evidence that a gateway accepted, with what it read out of the runtime data: the audience is its own
    name, the tenant the one under whose address it was asked. kind: "attest" or "verify". at: how much of the
    script had happened."""

    gateway: str
    tenant: str
    nonce: str
    key: str
    evidence: Evidence
    kind: str
    at: int


class State(NamedTuple):
    """runs: by guest session, None before it attests. attempts: in one order, whichever came first. spent:
    (tenant, challenge) on record as used. now: how much of the script has happened."""

    runs: tuple[Run | None, ...]
    attempts: tuple[Attempt, ...]
    spent: frozenset[tuple[str, str]]
    now: int


@cache
def admits(tenant: str, path: str) -> frozenset[str]:
    """Images that the policy of a path lets have the secret. The attacker's TEE is approved for something
    too: for the honest tenant's less valuable path, and for everything of the attacker's own tenant."""
    return frozenset({GOOD} if (tenant, path) == (HONEST, DISK) else {GOOD, EVIL})


@cache
def admitted(tenant: str) -> frozenset[str]:
    """Images that some path of the tenant is for."""
    return admits(tenant, DISK) | admits(tenant, LOG)


def lease_of(path: str) -> str:
    return {DISK: "12 hours", LOG: "1 hour"}[path]


def protected(secret: Secret) -> bool:
    """Whether the attacker must not learn it."""
    return EVIL not in admits(secret.tenant, secret.path)


CHALLENGES = {
    "n1": Challenge(ONE, HONEST),
    "n2": Challenge(ONE, HONEST),
    "n3": Challenge(ONE, MALLORY),
    "n4": Challenge(TWO, HONEST),
}
"""Challenges that the gateways give out: asking is free, so all are there from the start."""
MADE_UP = "n0"
"""A challenge that no gateway made."""

ROTATE, EXPIRE, RESTORE = "rotate", "expire", "restore"
SCRIPTS: tuple[tuple[str, ...], ...] = ((), (ROTATE,), (EXPIRE,), (RESTORE,), (EXPIRE, ROTATE))
"""What happens meanwhile, at any moment: every secret gets version 2; challenges, tokens and stored
appraisals run out, and used challenges are forgotten; a database of before is restored."""

GUESTS = (
    Config(ONE, HONEST, DISK),
    Config(TWO, HONEST, DISK),
    Config(ONE, MALLORY, DISK),
    Config(ONE, HONEST, LOG),
)
