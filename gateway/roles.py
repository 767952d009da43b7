"""Who may do what: roles by stable names, and what a route asks of whoever calls it.

An administrator has one role or several, within one tenant or for the whole gateway. `owner` stands for all
of them. A role says which routes answer; whose approval counts is decided beside it, for each change
(`approving.py`): where two or more must approve, nobody approves what they wrote, an owner neither.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.errors import GatewayError, GatewayReason


class Role(enum.StrEnum):
    """Names that stand in the store, in the ledger and in configurations. Add; never rename or reuse."""

    OWNER = "owner"
    POLICY_AUTHOR = "policy-author"
    APPROVER = "approver"
    SECRET_OWNER = "secret-owner"  # noqa: S105
    OPERATOR = "operator"
    AUDITOR = "auditor"
    RELYING_PARTY = "relying-party"


ABOUT: Mapping[Role, str] = MappingProxyType(
    {
        Role.OWNER: "every role; adds and revokes administrators, says how many must approve, whose keys do",
        Role.POLICY_AUTHOR: "writes, proposes, activates, rolls back and retires policies, reference values",
        Role.APPROVER: "approves what others wrote: a key counts only while its administrator has this role",
        Role.SECRET_OWNER: "puts, rotates and removes secrets",
        Role.OPERATOR: "keeps it running: collateral, forecast, attempts, rollbacks and retirements",
        Role.AUDITOR: "reads everything that is no secret, and changes nothing",
        Role.RELYING_PARTY: "asks for background checks, where a tenant demands credentials for that",
    }
)
"""For documentation: one line each."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks of whoever calls it. There is no default: every route names one.

    roles: one of them is enough. wide: only administrators of the whole gateway. open: no credential is
    needed; with roles, a tenant may demand one of them. Raises ValueError for what nobody could mean.
    """

    roles: frozenset[Role]
    wide: bool = False
    open: bool = False

    def __post_init__(self) -> None:
        if (self.roles or not self.open) and Role.OWNER not in self.roles:
            raise ValueError("owners have every role")
        if self.open and self.wide:
            raise ValueError("what is open to anybody is not for the whole gateway's administrators alone")


ANYONE = Access(frozenset(), open=True)


def only(*roles: Role, wide: bool = False) -> Access:
    """For these roles and owners; without any, for owners."""
    return Access(frozenset({Role.OWNER, *roles}), wide=wide)


APPROVE = only(Role.APPROVER)
"""Whose keys approve changes."""


def open_to(*roles: Role) -> Access:
    """For anybody, until a tenant demands one of these roles."""
    return Access(frozenset({Role.OWNER, *roles}), open=True)


def parse(names: Iterable[object]) -> frozenset[Role]:
    """Raises GatewayError(REQUEST_MALFORMED) for no name, an unknown one, or one twice."""
    given = list(names)
    known = {str(role) for role in Role}
    wrong = [name for name in given if not isinstance(name, str) or name not in known]
    if wrong or not given or len(set(map(str, given))) != len(given):
        expected = "one or more of " + ", ".join(known_names())
        found = repr(wrong[0])[:40] if wrong else ("one of them twice" if given else "none")
        raise GatewayError(
            GatewayReason.REQUEST_MALFORMED,
            f"roles: expected {expected}, found {found}",
            where="roles",
            expected=expected,
            found=found,
        )
    roles = frozenset(map(Role, given))  # type: ignore[arg-type]
    return frozenset({Role.OWNER}) if Role.OWNER in roles else roles


def written(roles: Iterable[Role]) -> str:
    """As they lie in the store: in order, a blank between them."""
    return " ".join(sorted(map(str, roles)))


def read(text: str) -> frozenset[Role]:
    """What `written` wrote. A name that this version does not know gives nothing."""
    known = {str(role): role for role in Role}
    return frozenset(known[name] for name in text.split(" ") if name in known)


def known_names() -> tuple[str, ...]:
    return tuple(map(str, Role))
