"""Boolean formulas over variables with finite domains, and a complete search for an assignment.

A leaf says that a variable's value is among some cells, so negation is a complement and every formula is in
negation normal form. The search narrows domains as far as the formula forces them, then branches on the
disjunction with the fewest open parts. It is bounded by steps, and says so when it gave up: it never guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leaf:
    """Variable `variable` has one of the cells in `cells`, a bit mask."""

    variable: int
    cells: int


@dataclass(frozen=True, slots=True)
class And:
    of: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    of: tuple[Formula, ...]


Formula = Leaf | And | Or

TRUE: Formula = And(())
FALSE: Formula = Or(())


class Undecided(Exception):
    """The search was given up after the steps it was allowed."""


def conjunction(parts: Iterable[Formula]) -> Formula:
    flat: list[Formula] = []
    for part in parts:
        if part == FALSE:
            return FALSE
        flat += part.of if isinstance(part, And) else (part,)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(parts: Iterable[Formula]) -> Formula:
    flat: list[Formula] = []
    for part in parts:
        if part == TRUE:
            return TRUE
        flat += part.of if isinstance(part, Or) else (part,)
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def negation(formula: Formula, full: Sequence[int]) -> Formula:
    """full: all cells of each variable, as masks."""
    if isinstance(formula, Leaf):
        return Leaf(formula.variable, full[formula.variable] & ~formula.cells)
    parts = [negation(part, full) for part in formula.of]
    return disjunction(parts) if isinstance(formula, And) else conjunction(parts)


def holds(formula: Formula, domains: Sequence[int]) -> bool | None:
    """True or False when `formula` is that for every choice from `domains`; None when it may depend.

    None may also stand for a formula that is certain for reasons that no single part shows.
    """
    if isinstance(formula, Leaf):
        left = domains[formula.variable]
        if not left & formula.cells:
            return False
        return True if not left & ~formula.cells else None
    absorbing = isinstance(formula, Or)
    result: bool | None = not absorbing
    for part in formula.of:
        found = holds(part, domains)
        if found is absorbing:
            return absorbing
        if found is None:
            result = None
    return result


class Effort:
    """Steps that a search may still take; shared by the searches of one question."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self) -> None:
        if self.left <= 0:
            raise Undecided
        self.left -= 1


@dataclass(frozen=True, slots=True)
class Actual:
    """What is so now, and how much may differ from it. cells: one mask of one cell for each variable.
    groups: for each variable, the number of the thing that changes with it; each changed thing costs one."""

    cells: tuple[int, ...]
    groups: tuple[int, ...]
    budget: int

    def cost(self, domains: Sequence[int]) -> int:
        return len(self.changed(domains))

    def changed(self, domains: Sequence[int]) -> frozenset[int]:
        """Things that can no longer be as they are."""
        return frozenset(
            group
            for group, cell, left in zip(self.groups, self.cells, domains, strict=True)
            if not left & cell
        )


def solve(
    formula: Formula, domains: Sequence[int], effort: Effort, actual: Actual | None = None
) -> tuple[int, ...] | None:
    """Domains, none empty, of which every choice makes `formula` true; None when there are none.

    actual: then at most `budget` things differ from it when the actual cell is chosen wherever it is left.
    Raises Undecided.
    """
    return _search([formula], list(domains), effort, actual)


def _search(
    asked: list[Formula], domains: list[int], effort: Effort, actual: Actual | None
) -> tuple[int, ...] | None:
    effort.spend()
    pending = _propagate(asked, domains)
    if pending is None or (actual is not None and actual.cost(domains) > actual.budget):
        return None
    if not pending:
        return tuple(domains)
    chosen = min(pending, key=lambda node: len(node.of))
    rest: list[Formula] = [node for node in pending if node is not chosen]
    parts = chosen.of
    if actual is not None:
        parts = tuple(sorted(parts, key=lambda part: not _near(part, actual)))
    excluded = list(domains)
    for part in parts:
        found = _search([*rest, part], list(excluded), effort, actual)
        if found is not None:
            return found
        # From here on this part is false: said where a single variable can say it.
        if isinstance(part, Leaf):
            excluded[part.variable] &= ~part.cells
            if not excluded[part.variable]:
                return None
    return None


def _near(part: Formula, actual: Actual) -> bool:
    return holds(part, actual.cells) is True


def _propagate(asked: list[Formula], domains: list[int]) -> list[Or] | None:
    """Narrow `domains` to what `asked` forces. The disjunctions left open, cut down to their open parts;
    None for a contradiction."""
    queue, pending = asked, list[Or]()
    while True:
        before = tuple(domains)
        pending = []
        while queue:
            node = queue.pop()
            if isinstance(node, Leaf):
                domains[node.variable] &= node.cells
                if not domains[node.variable]:
                    return None
            elif isinstance(node, And):
                queue.extend(node.of)
            else:
                open_parts = _open(node, domains)
                if open_parts is None:
                    continue
                if not open_parts:
                    return None
                if len(open_parts) == 1:
                    queue.append(open_parts[0])
                else:
                    pending.append(node if len(open_parts) == len(node.of) else Or(tuple(open_parts)))
        if tuple(domains) == before:
            return pending
        queue = list(pending)


def _open(node: Or, domains: Sequence[int]) -> list[Formula] | None:
    """Parts that are not false already; None when one is true already."""
    out: list[Formula] = []
    for part in node.of:
        found = holds(part, domains)
        if found is True:
            return None
        if found is None:
            out.append(part)
    return out


def first(mask: int) -> int:
    """Number of the lowest bit."""
    return (mask & -mask).bit_length() - 1
