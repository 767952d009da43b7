"""Exhaustive search, breadth first: the first broken property comes with a shortest way to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple

from tests.model.properties import Broken, broken
from tests.model.protocol import Protocol
from tests.model.world import GUESTS, ROTATE, SCRIPTS, State


class Attack(NamedTuple):
    """How `broken` comes about. moves: what was done, in order."""

    protocol: Protocol
    moves: tuple[tuple[object, ...], ...]
    state: State
    broken: Broken


class Result(NamedTuple):
    """states: how many were looked at, in how many worlds. attack: None when every property held in all."""

    states: int
    worlds: int
    attack: Attack | None


def worlds(removed: Iterable[str] = (), *, short: bool = False) -> Iterator[Protocol]:
    """Two guest sessions of every pair of kinds, and everything that may happen meanwhile; the small worlds
    first. In those with `rows` the attacker writes to the databases too. short: pairs with the first kind;
    and where the time of a rotation matters, two of that kind."""
    gone = frozenset(removed)
    pairs = list(combinations_with_replacement(GUESTS, 2))
    plain = [(script, False) for script in sorted(SCRIPTS, key=_size)]
    moved = [((), True), ((ROTATE,), True)]
    for script, rows in sorted((*plain, *moved), key=lambda world: (_size(world[0]), world[1])):
        for pair in pairs:
            if not short or pair == (GUESTS[0],) * 2 or (GUESTS[0] in pair and ROTATE not in script):
                yield Protocol(guests=pair, script=script, rows=rows, removed=gone)


def _size(script: tuple[str, ...]) -> tuple[bool, int]:
    """Where a rotation may happen, there are several times as many states."""
    return ROTATE in script, len(script)


def explore(protocol: Protocol) -> tuple[int, Attack | None]:
    """Every reachable state of one world."""
    start = protocol.start()
    came: dict[State, tuple[State, tuple[object, ...]] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if found := broken(protocol, state):
            return len(came), Attack(protocol, _way(came, state), state, found)
        for following, move in protocol.moves(state):
            if following not in came:
                came[following] = (state, move)
                queue.append(following)
    return len(came), None


def search(removed: Iterable[str] = (), *, short: bool = False) -> Result:
    """All worlds, until one has an attack."""
    states = looked = 0
    for protocol in worlds(removed, short=short):
        count, attack = explore(protocol)
        states, looked = states + count, looked + 1
        if attack is not None:
            return Result(states, looked, attack)
    return Result(states, looked, None)


def _way(
    came: dict[State, tuple[State, tuple[object, ...]] | None], state: State
) -> tuple[tuple[object, ...], ...]:
    out: list[tuple[object, ...]] = []
    while (step := came[state]) is not None:
        state, move = step
        out.append(move)
    return tuple(reversed(out))
