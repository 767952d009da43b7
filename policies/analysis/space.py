"""The claims that some policies look at, as variables with finitely many cells.

Each cell of a plain variable has one concrete value, and what a condition says of a cell is asked of the real
evaluator (`logic.truth`) with that value: nothing here says a second time what an operator means. Values that
are compared part by part (TCBs, lists, sets, masks) have a variable for each part, so that their cells add up
instead of multiplying.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from policies.analysis.formula import FALSE, TRUE, Formula, Leaf, conjunction, disjunction
from policies.logic import Facts, truth
from policies.model import Profile, Test
from policies.operators import OPERATORS, Truth
from policies.values import TCB_COMPONENTS, Components, Literal, TcbFloor
from policies.vocabulary import INIT_DATA, INIT_DATA_REGISTER
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import ClaimValue, TcbVersion, TeeKind

MISSING = object()
"""The cell of a claim that evidence does not have."""


class Whole(enum.Enum):
    """The part of a composite value that says whether there is one, and of which shape."""

    SHAPE = "shape"


Part = str | int | Whole | None
"""What one variable stands for: a component, a member, the shape; None for a value that is in one piece."""

_EPOCH = datetime.min.replace(tzinfo=UTC)
_SECOND = timedelta(seconds=1)
NOW, PROFILE = "now", "profile"
"""Variables that are no claims."""


@dataclass(frozen=True, slots=True)
class Variable:
    """claim: whose value it is part of. part: None for the whole. cells: concrete values, in the order in
    which a witness prefers them."""

    claim: str
    part: Part
    cells: tuple[object, ...]


class Space:
    """Variables of one kind of evidence, and leaves over them. Nothing is added once it is built."""

    def __init__(self, kind: TeeKind, specs: Mapping[str, ClaimSpec]) -> None:
        self.kind = kind
        self.variables: list[Variable] = []
        self._specs = specs
        self._numbers: dict[tuple[str, Part], int] = {}
        self._facts: dict[str, dict[object, Facts]] = {}
        self._said: dict[tuple[str, str, Literal, Truth], Formula] = {}

    # --- variables ---

    def add(self, claim: str, part: Part, cells: Iterable[object]) -> None:
        distinct = tuple(dict.fromkeys(cells))
        self._numbers[claim, part] = len(self.variables)
        self.variables.append(Variable(claim, part, distinct))

    @property
    def full(self) -> tuple[int, ...]:
        return tuple((1 << len(variable.cells)) - 1 for variable in self.variables)

    def number(self, claim: str, part: Part = None) -> int:
        return self._numbers[claim, part]

    def has(self, claim: str, part: Part = None) -> bool:
        return (claim, part) in self._numbers

    def leaf(self, claim: str, part: Part, wanted: Callable[[object], bool]) -> Formula:
        """The variable has a cell that `wanted` holds for."""
        number = self.number(claim, part)
        cells = self.variables[number].cells
        mask = sum(1 << bit for bit, cell in enumerate(cells) if wanted(cell))
        if not mask:
            return FALSE
        return TRUE if mask == (1 << len(cells)) - 1 else Leaf(number, mask)

    def parts(self, claim: str) -> list[Part]:
        return [part for name, part in self._numbers if name == claim]

    # --- leaves ---

    def present(self, claim: str) -> Formula:
        part = Whole.SHAPE if self.has(claim, Whole.SHAPE) else None
        return self.leaf(claim, part, lambda cell: cell is not MISSING)

    def test(self, test: Test, wanted: Truth) -> Formula:
        """`test` (not in_set) is `wanted`, TRUE or FALSE."""
        asked = (test.claim, test.operator, test.literal, wanted)
        if asked not in self._said:
            self._said[asked] = self._test(test, wanted)
        return self._said[asked]

    def _test(self, test: Test, wanted: Truth) -> Formula:
        claim = register(test.claim, self.kind)
        spec = self._specs[test.claim]
        if spec.type in (ClaimType.TCB, ClaimType.LIST):
            return _Vector(self, claim, spec.type).test(test, wanted)
        if spec.type in (ClaimType.SET, ClaimType.MASK):
            return _Members(self, claim).test(test, wanted)
        return self.leaf(claim, None, lambda cell: self._says(test, claim, cell) is wanted)

    def equals(self, claim: str, value: Literal) -> Formula:
        """The claim has exactly this value, of an entry of a reference set."""
        if self._specs[claim].type is ClaimType.MASK:
            return _Members(self, claim).exactly(_bits(cast(int, value)))
        return self.leaf(claim, None, lambda cell: cell == value)

    def _says(self, test: Test, claim: str, cell: object) -> Truth:
        known = self._facts.setdefault(claim, {})
        if cell not in known:
            known[cell] = _facts(claim, cell, self.kind)
        return truth(test, known[cell])

    # --- back to values ---

    def claims(self, cells: Sequence[int]) -> dict[str, ClaimValue]:
        """The claims of one assignment; cells: number of the cell of each variable."""
        chosen = {
            (variable.claim, variable.part): variable.cells[cell]
            for variable, cell in zip(self.variables, cells, strict=True)
        }
        out: dict[str, ClaimValue] = {}
        for claim in dict.fromkeys(variable.claim for variable in self.variables):
            if claim in (NOW, PROFILE):
                continue
            value = self._value(claim, chosen)
            if value is not MISSING:
                out[claim] = cast(ClaimValue, value)
        return out

    def _value(self, claim: str, chosen: Mapping[tuple[str, Part], object]) -> object:
        if (claim, None) in chosen:
            return chosen[claim, None]
        shape = chosen[claim, Whole.SHAPE]
        if shape is MISSING:
            return MISSING
        if self._specs[claim].type is ClaimType.TCB:
            names = [name for name in TCB_COMPONENTS if name != "fmc" or shape == "fmc"]
            return TcbVersion(**{name: cast(int, chosen[claim, name]) for name in names})
        if self._specs[claim].type is ClaimType.LIST:
            return tuple(cast(int, chosen[claim, index]) for index in range(cast(int, shape)))
        held = [part for (name, part), cell in chosen.items() if name == claim and cell is True]
        if self._specs[claim].type is ClaimType.MASK:
            return sum(1 << part for part in held if isinstance(part, int))
        return frozenset(part for part in held if isinstance(part, str))

    def cells_of(self, claims: Mapping[str, ClaimValue]) -> dict[int, int] | None:
        """For each variable, the number of the cell that evidence with `claims` falls into.

        None when a value falls into no cell: it was not given to `build` as one to keep.
        """
        out: dict[int, int] = {}
        for number, variable in enumerate(self.variables):
            if variable.claim in (NOW, PROFILE):
                continue
            cell = _cell_of(variable, claims.get(variable.claim, MISSING))
            if cell not in variable.cells:
                return None
            out[number] = variable.cells.index(cell)
        return out


def says(test: Test, claim: str, cell: object, kind: TeeKind) -> Truth:
    """What the evaluator says of one value of a claim. No set takes part, so the instant does not matter."""
    return truth(test, _facts(claim, cell, kind))


def _facts(claim: str, cell: object, kind: TeeKind) -> Facts:
    claims = {} if cell is MISSING else {claim: cast(ClaimValue, cell)}
    return Facts(kind=kind, claims=claims, sets={}, now=_EPOCH)


def register(claim: str, kind: TeeKind) -> str:
    """Where evidence of `kind` carries a claim: init-data's digest stands in a register."""
    return INIT_DATA_REGISTER[kind][0] if claim == INIT_DATA and kind in INIT_DATA_REGISTER else claim


def build(
    kind: TeeKind,
    specs: Mapping[str, ClaimSpec],
    tests: Iterable[Test],
    values: Mapping[str, Sequence[Literal]],
    instants: Sequence[datetime],
    profiles: Sequence[Profile],
) -> Space:
    """The space in which `tests` and rows of sets are decided.

    values: by claim, what rows of sets state and what evidence has: each is a cell of its own. instants: one
    in every stretch of time in which sets and accepted risks stay as they are.
    """
    space = Space(kind, specs)
    space.add(NOW, None, instants)
    space.add(PROFILE, None, profiles)
    by_claim: dict[str, list[Test]] = {name: [] for name in values}
    for test in tests:
        by_claim.setdefault(register(test.claim, kind), []).append(test)
    for claim, asked in sorted(by_claim.items()):
        kept = list(values.get(claim, ()))
        match specs[claim].type:
            case ClaimType.TCB:
                _Vector(space, claim, ClaimType.TCB).declare(asked, kept)
            case ClaimType.LIST:
                _Vector(space, claim, ClaimType.LIST).declare(asked, kept)
            case ClaimType.SET | ClaimType.MASK:
                _Members(space, claim).declare(asked, kept)
            case _:
                space.add(claim, None, _cells(specs[claim], kind, asked, kept))
    return space


# --- plain values ----------------------------------------------------------------------------------


def _cells(spec: ClaimSpec, kind: TeeKind, tests: Sequence[Test], kept: Sequence[Literal]) -> list[object]:
    constants = [*kept, *(value for test in tests for value in _constants(test, spec, kind))]
    out: list[object] = list(constants)
    match spec.type:
        case ClaimType.FLAG:
            out = [False, True]
        case ClaimType.TEXT:
            out += spec.values or [_other_text(constants)]
        case ClaimType.INTEGER:
            out += [n for c in constants for n in (cast(int, c) + 1, cast(int, c) - 1) if n >= 0] or [0]
        case ClaimType.TIME:
            out += [t for c in constants for t in (cast(datetime, c) + _SECOND, cast(datetime, c) - _SECOND)]
        case ClaimType.DURATION:
            spans = [
                t for c in constants for t in (cast(timedelta, c) - _SECOND, cast(timedelta, c) + _SECOND)
            ]
            out += [*spans, timedelta(0), -_SECOND]
        case ClaimType.VERSION:
            for constant in constants:
                out += _around(cast(tuple[int, ...], constant))
        case _:
            out.append(_other_bytes(spec, kind, constants))
    return [*out, MISSING]


def _constants(test: Test, spec: ClaimSpec, kind: TeeKind) -> list[object]:
    literal = test.literal
    found: list[object] = list(literal) if isinstance(literal, frozenset) else [literal]
    found = [item.parts if isinstance(item, Components) else item for item in found]
    if test.claim == INIT_DATA:
        size = INIT_DATA_REGISTER[kind][1]
        found = [item.ljust(size, b"\0") for item in found if isinstance(item, bytes) and len(item) <= size]
    return sorted(found, key=repr)


def _around(version: tuple[int, ...]) -> list[object]:
    """The next version, and one before it."""
    out: list[object] = [(*version[:-1], version[-1] + 1)]
    for at in range(len(version) - 1, -1, -1):
        if version[at]:
            out.append((*version[:at], version[at] - 1, *(255 for _ in version[at + 1 :])))
            break
    return out


def _other_text(named: Iterable[object]) -> str:
    taken = set(named)
    return next(word for n in range(len(taken) + 1) if (word := f"other{n or ''}") not in taken)


def _other_bytes(spec: ClaimSpec, kind: TeeKind, named: Iterable[object]) -> bytes:
    taken = set(named)
    size = spec.length or 48
    return next(
        value
        for n in range(len(taken) + 1)
        if (value := (b"\xee" * size)[:-2] + n.to_bytes(2, "big")) not in taken
    )


def _cell_of(variable: Variable, value: object) -> object:
    if variable.part is None:
        return value
    if variable.part == Whole.SHAPE:
        return MISSING if value is MISSING else _shape(value)
    if value is MISSING:
        return variable.cells[0]
    if isinstance(value, TcbVersion):
        found = getattr(value, str(variable.part))
        return variable.cells[0] if found is None else found
    if isinstance(value, tuple):
        at = cast(int, variable.part)
        return value[at] if at < len(value) else variable.cells[0]
    held = _bits(value) if isinstance(value, int) else cast(frozenset[object], value)
    return variable.part in held


def _shape(value: object) -> object:
    if isinstance(value, TcbVersion):
        return "plain" if value.fmc is None else "fmc"
    return len(value) if isinstance(value, tuple) else True


# --- values that are compared component by component -----------------------------------------------


class _Vector:
    """TCBs and lists: which components there are, and a number for each."""

    def __init__(self, space: Space, claim: str, kind: ClaimType) -> None:
        self._space, self._claim, self._tcb = space, claim, kind is ClaimType.TCB

    def declare(self, tests: Sequence[Test], kept: Sequence[Literal]) -> None:
        constants = [dict(self._pairs(test.literal)) for test in tests]
        constants += [dict(self._pairs(value)) for value in kept]
        if self._tcb:
            shapes: list[object] = ["plain", "fmc"]
            parts: list[str | int] = list(TCB_COMPONENTS)
        else:
            lengths = {len(_parts(test.literal)) for test in tests} | {len(_parts(v)) for v in kept}
            shapes, parts = [*sorted(lengths)], [*range(max(lengths, default=0))]
        self._space.add(self._claim, Whole.SHAPE, [*shapes, MISSING])
        for part in parts:
            named = sorted({bound for c in constants if (bound := c.get(part)) is not None})
            near = [n for c in named for n in (c + 1, c - 1) if n >= 0]
            self._space.add(self._claim, part, [*named, *near] or [0])

    def test(self, test: Test, wanted: Truth) -> Formula:
        shapes = self._space.leaf(
            self._claim, Whole.SHAPE, lambda cell: cell is not MISSING and self._comparable(test, cell)
        )
        compare = _COMPARE[test.operator]
        bounds = [
            self._space.leaf(
                self._claim,
                part,
                lambda cell, limit=limit: compare(cast(int, cell), limit) is (wanted is Truth.TRUE),  # type: ignore[misc]
            )
            for part, limit in self._pairs(test.literal)
            if limit is not None
        ]
        joined = conjunction(bounds) if wanted is Truth.TRUE else disjunction(bounds)
        return conjunction([shapes, joined])

    def _comparable(self, test: Test, shape: object) -> bool:
        """Whether two values of these shapes can be compared does not depend on their numbers."""
        if self._tcb:
            sample: ClaimValue = TcbVersion(
                bootloader=0, tee=0, snp=0, microcode=0, fmc=0 if shape == "fmc" else None
            )
        else:
            sample = (0,) * cast(int, shape)
        return OPERATORS[test.operator].holds(sample, test.literal) is not Truth.MISSING

    def _pairs(self, literal: Literal) -> list[tuple[str | int, int | None]]:
        if self._tcb:
            return [(name, getattr(literal, name)) for name in TCB_COMPONENTS]
        return list(enumerate(_parts(literal)))


_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "equals": lambda has, limit: has == limit,
    "at_least": lambda has, limit: has >= limit,
    "at_most": lambda has, limit: has <= limit,
}


def _parts(literal: Literal) -> tuple[int | None, ...]:
    if isinstance(literal, Components):
        return literal.parts
    return cast(tuple[int | None, ...], literal)


# --- values that are sets of tokens or bits --------------------------------------------------------


class _Members:
    """Sets and masks: whether there is one, which of the named members it has, and whether it has others."""

    def __init__(self, space: Space, claim: str) -> None:
        self._space, self._claim = space, claim

    def declare(self, tests: Sequence[Test], kept: Sequence[Literal]) -> None:
        named = {member for test in tests for group in _groups(test) for member in group}
        for value in kept:
            named |= _bits(value) if isinstance(value, int) else cast(frozenset[str], value)
        self._space.add(self._claim, Whole.SHAPE, [True, MISSING])
        for member in sorted(named, key=str):
            self._space.add(self._claim, cast(Part, member), [False, True])
        other: str | int = _other_text(named)
        if any(isinstance(member, int) for member in named):
            other = next(bit for bit in range(len(named) + 1) if bit not in named)
        self._space.add(self._claim, other, [False, True])

    def test(self, test: Test, wanted: Truth) -> Formula:
        groups = _groups(test)
        match test.operator:
            case "includes":
                inner = conjunction(self._member(member, True) for member in groups[0])
                outer = disjunction(self._member(member, False) for member in groups[0])
            case "subset_of":
                rest = [part for part in self._members() if part not in groups[0]]
                inner = conjunction(self._member(part, False) for part in rest)
                outer = disjunction(self._member(part, True) for part in rest)
            case _:
                inner = disjunction(self._exactly(group) for group in groups)
                outer = conjunction(self._otherwise(group) for group in groups)
        return conjunction([self._space.present(self._claim), inner if wanted is Truth.TRUE else outer])

    def exactly(self, members: frozenset[object]) -> Formula:
        return conjunction([self._space.present(self._claim), self._exactly(members)])

    def _exactly(self, group: frozenset[object]) -> Formula:
        return conjunction(self._member(part, part in group) for part in self._members())

    def _otherwise(self, group: frozenset[object]) -> Formula:
        return disjunction(self._member(part, part not in group) for part in self._members())

    def _members(self) -> list[Part]:
        return [
            part for part in self._space.parts(self._claim) if part is not Whole.SHAPE and part is not None
        ]

    def _member(self, part: object, has: bool) -> Formula:
        return self._space.leaf(self._claim, cast(Part, part), lambda cell: cell is has)


def _groups(test: Test) -> list[frozenset[object]]:
    """The sets of members that a test names; several for `in`."""
    literal = test.literal
    if test.operator == "in" and isinstance(literal, frozenset):
        return [_bits(cast(int, one)) for one in sorted(literal, key=repr)]
    return [_bits(literal) if isinstance(literal, int) else cast(frozenset[object], literal)]


def _bits(value: int) -> frozenset[object]:
    return frozenset(bit for bit in range(value.bit_length()) if value >> bit & 1)


__all__ = ["MISSING", "NOW", "PROFILE", "Space", "TcbFloor", "Variable", "build", "register", "says"]
