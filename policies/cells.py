"""Can these tests hold together? Answered exactly, because claims are compared with constants only.

The constants that tests mention cut a claim's values into cells; within a cell every test gives the same
answer. So a few representatives decide for all values, and the operators themselves (`operators.py`) say what
they think of each: there is no second account of what an operator means. Claims are independent of each other
here: what hardware makes of two related fields is not known, so "yes" may be too generous; "no" is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations, product
from types import MappingProxyType

from policies.model import All, Condition, Not, Test
from policies.operators import OPERATORS, Truth
from policies.values import TCB_COMPONENTS, Components, TcbFloor
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import ClaimValue, TcbVersion

Atom = tuple[Test, bool]
"""A test, and what it shall answer."""
Term = tuple[Atom, ...]
"""Atoms that shall all hold. A condition is a list of terms, of which one shall hold."""

MAX_TERMS = 2_000
MAX_CELLS = 5_000
TICK = timedelta(microseconds=1)

Specs = Mapping[str, ClaimSpec]


class TooMany(Exception):
    """More terms or cells than are worth looking at: the answer is unknown."""


def terms(condition: Condition, wanted: bool = True) -> list[Term]:
    """The ways in which `condition` can be true, or false when not `wanted`. Raises TooMany."""
    if isinstance(condition, Test):
        return [((condition, wanted),)]
    if isinstance(condition, Not):
        return terms(condition.of, not wanted)
    parts = [terms(part, wanted) for part in condition.of]
    if isinstance(condition, All) is wanted:
        joined: list[Term] = [()]
        for part in parts:
            if len(joined) * len(part) > MAX_TERMS:
                raise TooMany
            joined = [(*left, *right) for left in joined for right in part]
        return joined
    return [term for part in parts for term in part]


def narrowed(known: Sequence[Term], condition: Condition, specs: Specs, wanted: bool = True) -> list[Term]:
    """`known` with `condition` added: the terms that can still hold. Raises TooMany."""
    more = terms(condition, wanted)
    if len(known) * len(more) > MAX_TERMS:
        raise TooMany
    joined = ((*left, *right) for left in known for right in more)
    return [term for term in joined if possible(term, specs)]


def possible(term: Term, specs: Specs) -> bool:
    """Whether some evidence makes every atom true. Raises TooMany."""
    by_claim: dict[str, list[Atom]] = {}
    for test, wanted in term:
        key = f"{test.claim} {test.literal}" if test.operator == "in_set" else test.claim
        by_claim.setdefault(key, []).append((test, wanted))
    return all(_together(atoms, specs) for atoms in by_claim.values())


def _together(atoms: list[Atom], specs: Specs) -> bool:
    if atoms[0][0].operator == "in_set":
        return len({wanted for _, wanted in atoms}) == 1
    if len(atoms) == 1 and atoms[0][1]:
        return True  # each test holds for some value
    spec = specs.get(atoms[0][0].claim)
    values = representatives(atoms[0][0].claim, [test for test, _ in atoms], spec)
    return any(all(_answers(test, value) is Truth.of(wanted) for test, wanted in atoms) for value in values)


def _answers(test: Test, value: ClaimValue) -> Truth:
    return OPERATORS[test.operator].holds(value, test.literal)


# --- one value of each cell ------------------------------------------------------------------------


def representatives(claim: str, tests: Iterable[Test], spec: ClaimSpec | None) -> Iterator[ClaimValue]:
    """At least one value of every cell into which `tests` cut the values of `claim`. Raises TooMany."""
    given = tuple(tests)
    kind = given[0].type
    if spec is not None and spec.values:
        yield from spec.values
        return
    assert kind is not None
    yield from _CELLS[kind]([constant for test in given for constant in _constants(test)])


def _constants(test: Test) -> tuple[object, ...]:
    """The constants of one test; a list of alternatives counts as each of them, a set of tokens as one."""
    if isinstance(test.literal, frozenset) and test.type is not ClaimType.SET:
        return tuple(test.literal)
    return (test.literal,)


def _flags(constants: list[object]) -> Iterator[ClaimValue]:
    return iter((True, False))


def _octets(constants: list[object]) -> Iterator[ClaimValue]:
    known = {value for value in constants if isinstance(value, bytes)}
    yield from known
    for size in {len(value) for value in known}:
        # Of one more text than there are known ones, one is another; a single byte may have none left.
        tries = range(min(256**size, len(known) + 1))
        others = (n.to_bytes(min(size, 8), "big").ljust(size, b"\0") for n in tries)
        yield from (other for other in others if other not in known)


def _texts(constants: list[object]) -> Iterator[ClaimValue]:
    known = {value for value in constants if isinstance(value, str)}
    yield from known
    yield next(word for n in range(len(known) + 1) if (word := f"other-{n}") not in known)


def _integers(constants: list[object]) -> Iterator[ClaimValue]:
    known = [value for value in constants if type(value) is int]
    near = {value + step for value in known for step in (-1, 0, 1)} | {0, (1 << 64) - 1}
    yield from (value for value in sorted(near) if 0 <= value < 1 << 64)


def _masks(constants: list[object]) -> Iterator[ClaimValue]:
    known = [value for value in constants if type(value) is int]
    bits = [1 << n for n in range(64) if any(value >> n & 1 for value in known)]
    spare = next((1 << n for n in range(64) if 1 << n not in bits), None)
    bits += [spare] if spare is not None else []
    if 1 << len(bits) > MAX_CELLS:
        raise TooMany
    yield from (sum(chosen) for size in range(len(bits) + 1) for chosen in combinations(bits, size))


def _numbers(constants: list[object]) -> Iterator[ClaimValue]:
    """Versions and lists: each component below, at and above every bound."""
    sizes: dict[int, list[tuple[int | None, ...]]] = {}
    for value in constants:
        parts = value.parts if isinstance(value, Components) else value
        assert isinstance(parts, tuple)
        sizes.setdefault(len(parts), []).append(parts)
    for size, found in sizes.items():
        axes = [_axis([parts[n] for parts in found]) for n in range(size)]
        yield from _grid(axes)


def _tcbs(constants: list[object]) -> Iterator[ClaimValue]:
    found = [value for value in constants if isinstance(value, TcbFloor | TcbVersion)]
    axes = [_axis([getattr(value, name) for value in found]) for name in TCB_COMPONENTS[1:]]
    fmc: list[int | None] = [None, *_axis([value.fmc for value in found])]
    for parts in _grid(axes):
        for first in fmc:
            yield TcbVersion(**dict(zip(TCB_COMPONENTS[1:], parts, strict=True)), fmc=first)


def _axis(bounds: Iterable[int | None]) -> list[int]:
    near = {bound + step for bound in bounds if bound is not None for step in (-1, 0, 1)} | {0}
    return sorted(value for value in near if value >= 0)


def _grid(axes: list[list[int]]) -> Iterator[tuple[int, ...]]:
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MAX_CELLS:
        raise TooMany
    return product(*axes)


def _moments(constants: list[object]) -> Iterator[ClaimValue]:
    for value in constants:
        assert isinstance(value, datetime | timedelta)
        yield from (value - TICK, value, value + TICK)


def _durations(constants: list[object]) -> Iterator[ClaimValue]:
    yield from _moments([*constants, timedelta(0)])


def _sets(constants: list[object]) -> Iterator[ClaimValue]:
    tokens = sorted({token for value in constants if isinstance(value, frozenset) for token in value})
    tokens.append("\0another")
    if 1 << len(tokens) > MAX_CELLS:
        raise TooMany
    yield from (frozenset(c) for size in range(len(tokens) + 1) for c in combinations(tokens, size))


_CELLS: Mapping[ClaimType, Callable[[list[object]], Iterator[ClaimValue]]] = MappingProxyType(
    {
        ClaimType.DIGEST: _octets,
        ClaimType.BYTES: _octets,
        ClaimType.FLAG: _flags,
        ClaimType.INTEGER: _integers,
        ClaimType.MASK: _masks,
        ClaimType.TEXT: _texts,
        ClaimType.VERSION: _numbers,
        ClaimType.LIST: _numbers,
        ClaimType.TCB: _tcbs,
        ClaimType.TIME: _moments,
        ClaimType.DURATION: _durations,
        ClaimType.SET: _sets,
    }
)

__all__ = ["Atom", "Term", "TooMany", "narrowed", "possible", "representatives", "terms"]
