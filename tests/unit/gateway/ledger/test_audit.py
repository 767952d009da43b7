"""An audit sees every change, gap, swap and fork, and which intents have no outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.audit import Doubtful, Item, audit
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, encode
from gateway.ledger.merkle import EMPTY_ROOT, leaf_hash, root_of
from gateway.ledger.receipt import leaf
from tests.unit.gateway.ledger.keys import AT

Change = Callable[[list[Item]], Sequence[Item]]


def item(index: int, path: str = "", kind: str = "test.entry", attempt: str = "A") -> Item:
    body = {"path": path or f"p{index}", "attempt": attempt, "jkt": "key"}
    raw = encode(Entry(index=index, at=AT, tenant="acme", kind=kind, body=body))
    salt = bytes([index]) * 32
    return Item(leaf_hash(leaf(salt, raw)), (salt, raw))


def closed(each: Item) -> Item:
    """As somebody sees it who may not read the entry."""
    return Item(each.leaf)


def at(items: Sequence[Item]) -> Checkpoint:
    return Checkpoint("log", len(items), root_of([each.leaf for each in items]))


ITEMS = [item(index) for index in range(9)]
SIGNED = [at(ITEMS[:size]) for size in (3, 9)]


def broken(items: Sequence[Item], checkpoints: Sequence[Checkpoint] = ()) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        audit(items, checkpoints)
    assert caught.value.reason is GatewayReason.LEDGER_BROKEN
    return caught.value


def test_a_sound_ledger_is_held_against_every_checkpoint() -> None:
    found = audit(ITEMS, SIGNED)
    assert (found.frontier.size, found.frontier.root(), found.read) == (9, SIGNED[1].root, 9)
    assert audit([*map(closed, ITEMS[:4]), *ITEMS[4:]], SIGNED).read == 5
    assert audit(ITEMS, [at(ITEMS[:size]) for size in range(10)]).frontier == found.frontier
    assert audit([], [Checkpoint("log", 0, EMPTY_ROOT)]).frontier.size == 0


CHANGES: dict[str, Change] = {
    "an entry changed": lambda x: [*x[:4], Item(x[4].leaf, item(4, "other").opening), *x[5:]],
    "a salt changed": lambda x: [*x[:4], Item(x[4].leaf, (bytes(32), x[4].opening[1])), *x[5:]],  # type: ignore[index]
    "a leaf changed": lambda x: [*x[:4], Item(bytes(32), x[4].opening), *x[5:]],
    "an entry dropped": lambda x: [*x[:4], *x[5:]],
    "the first dropped": lambda x: x[1:],
    "two swapped": lambda x: [*x[:4], x[5], x[4], *x[6:]],
    "one doubled": lambda x: [*x[:4], x[3], *x[4:]],
    "no entry": lambda x: [*x[:4], Item(x[4].leaf, (x[4].opening[0], b"{}")), *x[5:]],  # type: ignore[index]
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_shows_at_its_place_without_any_checkpoint(name: str) -> None:
    assert broken(CHANGES[name](list(ITEMS))).where == ("ledger[0]" if "first" in name else "ledger[4]")


FORKS: dict[str, Change] = {
    "an entry rewritten with its leaf": lambda x: [*x[:4], item(4, "other"), *x[5:]],
    "everything rewritten": lambda x: [item(index, "other") for index in range(9)],
    "a foreign leaf changed": lambda x: [*x[:4], Item(bytes(32)), *x[5:]],
    "a foreign leaf dropped": lambda x: [*map(closed, x[:4]), *map(closed, x[5:]), closed(item(9))],
    "foreign leaves swapped": lambda x: [*x[:4], closed(x[5]), closed(x[4]), *x[6:]],
}


@pytest.mark.parametrize("name", FORKS)
def test_a_forked_ledger_does_not_fit_to_what_was_signed(name: str) -> None:
    """Whoever rewrites an entry can rewrite its leaf too, but not what was signed."""
    forked = FORKS[name](list(ITEMS))
    assert broken(forked, SIGNED).where in ("checkpoint 9", "checkpoint 3")
    assert len(forked) == 9


def test_a_fork_shows_at_the_first_checkpoint_behind_it() -> None:
    forked = [*ITEMS[:2], item(2, "other"), *ITEMS[3:]]
    error = broken(forked, SIGNED)
    assert (error.where, error.expected) == ("checkpoint 3", SIGNED[0].root.hex())


def test_a_lost_tail_shows_against_a_checkpoint_only() -> None:
    assert audit(ITEMS[:7]).frontier.size == 7
    error = broken(ITEMS[:7], SIGNED)
    assert (error.where, error.expected, error.found) == ("ledger[7]", "entries up to 8", "7 entries")


def test_two_checkpoints_of_one_size_must_be_one() -> None:
    assert broken(ITEMS, [SIGNED[0], Checkpoint("log", 3, bytes(32))]).where == "checkpoint 3"
    assert broken([], [Checkpoint("log", 0, bytes(32))]).where == "checkpoint 0"


def test_an_intent_without_outcome_reads_possibly_released() -> None:
    items = [
        item(0, "a", "release.intent"),
        item(1, "b", "release.intent"),
        item(2, "a", "release.outcome"),
        item(3, "b", "release.outcome", attempt="B"),
    ]
    assert audit(items).doubtful == (Doubtful(1, "A", "b", "key"),)
    nothing: Any = audit(items[:1])
    assert [each.path for each in nothing.doubtful] == ["a"]
