"""The operators of the policy language: one row each, with the types it applies to and what it means.

    claim: {operator: constant}

Every operator answers true, false, or *missing* when the two sides cannot be compared; `logic.py` says what
follows from that. Claims are compared with constants only, never with other claims, so every question about a
policy is decidable.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from policies.values import Components, Literal, TcbFloor, components
from verifiers.claimtypes import ClaimType
from verifiers.model import ClaimValue, TcbVersion


class Truth(enum.Enum):
    """Kleene's three values. Missing is never "fine" and never simply "no"."""

    FALSE = 0
    TRUE = 1
    MISSING = 2

    @staticmethod
    def of(value: bool) -> Truth:
        return _TRUE if value else _FALSE


_TRUE, _FALSE, _MISSING = (
    Truth.TRUE,
    Truth.FALSE,
    Truth.MISSING,
)  # looking members up through the class costs more than comparing


class Form(enum.Enum):
    """What stands on the right-hand side."""

    ONE = "one value"
    LIST = "a list of values"
    SET_NAME = "the name of a reference set"


Holds = Callable[[ClaimValue, Literal], Truth]
"""Compares a claim's value, already known to be of the claim's type, with the constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    name: str
    form: Form
    types: frozenset[ClaimType]
    """Empty for `in_set`, which applies to guest, workload and platform."""
    meaning: str
    holds: Holds
    phrase: str
    """How `expected` reads: "{}" is the constant."""


def _equals(value: ClaimValue, literal: Literal) -> Truth:
    if value == literal:
        return _TRUE
    return _FALSE if _comparable(value, literal) else _MISSING


def _in(value: ClaimValue, literal: Literal) -> Truth:
    if not isinstance(literal, frozenset) or value in literal:
        return Truth.of(isinstance(literal, frozenset))
    comparable = not isinstance(value, tuple) or all(_comparable(value, one) for one in literal)
    return _FALSE if comparable else _MISSING


def _comparable(value: ClaimValue, literal: object) -> bool:
    """Versions and lists of one length, TCBs with the same components: else neither equal nor different."""
    if isinstance(value, tuple):
        return isinstance(literal, tuple) and len(value) == len(literal)
    if isinstance(value, TcbVersion):
        return isinstance(literal, TcbVersion) and (value.fmc is None) == (literal.fmc is None)
    return True


def _at_least(value: ClaimValue, literal: Literal) -> Truth:
    if isinstance(value, TcbVersion):
        return _tcb(value, literal, operator.ge)
    if isinstance(value, timedelta) and isinstance(literal, timedelta):
        return _TRUE if value >= literal else _FALSE
    return _ordered(value, literal, operator.ge)


def _at_most(value: ClaimValue, literal: Literal) -> Truth:
    if isinstance(value, TcbVersion):
        return _tcb(value, literal, operator.le)
    if isinstance(value, timedelta) and isinstance(literal, timedelta):
        # A negative age means issued in the future: that is not fresh either.
        return _TRUE if _NO_TIME <= value <= literal else _FALSE
    return _ordered(value, literal, operator.le)


_NO_TIME = timedelta(0)


def _ordered(value: ClaimValue, literal: Literal, compare: Callable[[int, int], bool]) -> Truth:
    """Integers by size; versions from the left; equally long lists component by component."""
    if type(value) is int and type(literal) is int:
        return _TRUE if compare(value, literal) else _FALSE
    if (
        not isinstance(value, tuple)
        or not isinstance(literal, Components)
        or len(value) != len(literal.parts)
    ):
        return _MISSING
    pairs = [(has, limit) for has, limit in zip(value, literal.parts, strict=True) if limit is not None]
    if literal.lexicographic:
        first = next(((has, limit) for has, limit in pairs if has != limit), (0, 0))
        return Truth.of(compare(*first))
    return Truth.of(all(compare(has, limit) for has, limit in pairs))


def _tcb(value: TcbVersion, literal: Literal, compare: Callable[[int, int], bool]) -> Truth:
    """Component by component. A component that only one side has cannot be compared."""
    if not isinstance(literal, TcbFloor):
        return _MISSING
    if value.fmc is None and literal.fmc is not None:
        return _MISSING
    if value.fmc is not None and not literal.names_fmc:
        return _MISSING
    for has, limit in zip(components(value), components(literal), strict=True):
        if has is not None and limit is not None and not compare(has, limit):
            return _FALSE
    return _TRUE


def _before(value: ClaimValue, literal: Literal) -> Truth:
    if not isinstance(value, datetime) or not isinstance(literal, datetime):
        return Truth.MISSING
    return Truth.of(value < literal)


def _after(value: ClaimValue, literal: Literal) -> Truth:
    if not isinstance(value, datetime) or not isinstance(literal, datetime):
        return Truth.MISSING
    return Truth.of(value > literal)


def _subset_of(value: ClaimValue, literal: Literal) -> Truth:
    if isinstance(value, frozenset) and isinstance(literal, frozenset):
        return Truth.of(value <= literal)
    if type(value) is int and type(literal) is int:
        return Truth.of(value & ~literal == 0)
    return Truth.MISSING


def _includes(value: ClaimValue, literal: Literal) -> Truth:
    if isinstance(value, frozenset) and isinstance(literal, frozenset):
        return Truth.of(value >= literal)
    if type(value) is int and type(literal) is int:
        return Truth.of(literal & ~value == 0)
    return Truth.MISSING


def _never(value: ClaimValue, literal: Literal) -> Truth:
    """`in_set` compares several claims at once: `references.py` does it."""
    return Truth.MISSING


_BYTES = frozenset({ClaimType.DIGEST, ClaimType.BYTES})
_PLAIN = _BYTES | {ClaimType.INTEGER, ClaimType.MASK, ClaimType.TEXT, ClaimType.VERSION}
_ORDERED = frozenset(
    {ClaimType.INTEGER, ClaimType.VERSION, ClaimType.LIST, ClaimType.TCB, ClaimType.DURATION}
)
_SETS = frozenset({ClaimType.SET, ClaimType.MASK})
_TIME = frozenset({ClaimType.TIME})

_ROWS = (
    Operator(
        name="equals",
        form=Form.ONE,
        types=_PLAIN | {ClaimType.FLAG, ClaimType.LIST, ClaimType.TCB, ClaimType.SET},
        meaning="is exactly this; a TCB in every component, a set in every member",
        holds=_equals,
        phrase="{}",
    ),
    Operator(
        name="in",
        form=Form.LIST,
        types=_PLAIN,
        meaning="is one of these",
        holds=_in,
        phrase="one of {}",
    ),
    Operator(
        name="at_least",
        form=Form.ONE,
        types=_ORDERED,
        meaning="is this or more; TCBs and lists in every component, versions from the left",
        holds=_at_least,
        phrase="at least {}",
    ),
    Operator(
        name="at_most",
        form=Form.ONE,
        types=_ORDERED,
        meaning="is this or less, as at_least; an age below zero lies in the future and does not hold",
        holds=_at_most,
        phrase="at most {}",
    ),
    Operator(
        name="before",
        form=Form.ONE,
        types=_TIME,
        meaning="is earlier than this instant",
        holds=_before,
        phrase="before {}",
    ),
    Operator(
        name="after",
        form=Form.ONE,
        types=_TIME,
        meaning="is later than this instant",
        holds=_after,
        phrase="after {}",
    ),
    Operator(
        name="subset_of",
        form=Form.LIST,
        types=_SETS,
        meaning="has no token, or no bit, besides these",
        holds=_subset_of,
        phrase="nothing besides {}",
    ),
    Operator(
        name="includes",
        form=Form.LIST,
        types=_SETS,
        meaning="has all of these tokens, or bits",
        holds=_includes,
        phrase="all of {}",
    ),
    Operator(
        name="in_set",
        form=Form.SET_NAME,
        types=frozenset(),
        meaning="one entry of the reference set matches in every claim that it states for this evidence",
        holds=_never,
        phrase="listed in {}",
    ),
)

OPERATORS: Mapping[str, Operator] = MappingProxyType({row.name: row for row in _ROWS})


def for_type(kind: ClaimType) -> tuple[str, ...]:
    """Names of the operators that a claim of type `kind` can have."""
    return tuple(row.name for row in _ROWS if kind in row.types)
