"""A document with everything that formatting must keep: comments, blank lines, style and order.

`strictyaml` gives the meaning and drops the rest; this reads the same text again, for `formatting.py`.
Each comment belongs to one unit (a pair of a mapping, or an item of a list):

* lead: lines of its own above the unit; tail: behind its value; head: behind its key, above a nested block;
* foot: below the last unit of a collection, as far in as that collection.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from policies.strictyaml import PARSER

Position = tuple[int, int]
"""Line and column, both from 0."""

_BLOCKS = frozenset("|>")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*[ ]+(#.*)$")


@dataclass(slots=True, eq=False)
class Leaf:
    """style: "" for plain, or one of ' " | >."""

    text: str
    style: str
    start: Position
    end: Position


@dataclass(slots=True, eq=False)
class Collection:
    """indent: column of its units, in block style."""

    is_map: bool
    flow: bool
    start: Position
    end: Position
    units: list[Unit] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)
    indent: int = 0


@dataclass(slots=True, eq=False)
class Unit:
    """A pair, or an item when `key` is None. start: of the key, or of the dash. depth: how many
    collections it is in."""

    key: Leaf | None
    value: Leaf | Collection
    start: Position
    depth: int
    lead: list[str] = field(default_factory=list)
    head: str | None = None
    tail: str | None = None


@dataclass(slots=True, eq=False)
class Page:
    """A whole file: the root of each document, and the line of each separator."""

    roots: list[Leaf | Collection]
    separators: list[int]
    loose: list[str] = field(default_factory=list)
    """Comments of a document that is one scalar, which no document of ours is."""


def read(text: str) -> Page:
    """The layout of `text`, which `strictyaml.parse` has taken before."""
    text = text.replace("\r\n", "\n")
    page = _build(text)
    lines = text.split("\n")
    _attach(page, lines)
    return page


def _position(mark: Any) -> Position:
    return (mark.line, mark.column)


def _build(text: str) -> Page:
    events: Iterator[Any] = iter(yaml.parse(text, Loader=PARSER))
    page = Page([], [])
    lines = text.split("\n")
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if event.explicit:
                page.separators.append(_position(event.start_mark)[0])
            page.roots.append(_node(next(events), events, 0, lines))
    return page


def _node(event: Any, events: Iterator[Any], depth: int, lines: list[str]) -> Leaf | Collection:
    start, end = _position(event.start_mark), _position(event.end_mark)
    if isinstance(event, yaml.ScalarEvent):
        return Leaf(event.value, event.style or "", start, end)
    is_map = isinstance(event, yaml.MappingStartEvent)
    out = Collection(is_map, bool(event.flow_style), start, end)
    closing = yaml.MappingEndEvent if is_map else yaml.SequenceEndEvent
    while not isinstance(inner := next(events), closing):
        key = None
        if is_map:
            found = _node(inner, events, depth + 1, lines)
            assert isinstance(found, Leaf)  # strictyaml refuses other keys
            key, inner = found, next(events)
        value = _node(inner, events, depth + 1, lines)
        begin = key.start if key is not None else value.start
        out.units.append(Unit(key, value, begin if is_map or out.flow else _dash(begin, lines), depth))
    out.end = _position(inner.end_mark)
    if out.units and not out.flow:
        out.indent = out.units[0].start[1]
    return out


def _dash(content: Position, lines: list[str]) -> Position:
    """Where the dash of an item stands, on the line of its content or above."""
    line, column = content
    found = lines[line].rfind("-", 0, column)
    while found < 0 and line > 0:
        line -= 1
        found = re.sub(r"(^|[ ])#.*", "", lines[line]).rfind("-")
    return (line, max(0, found))


# --- comments --------------------------------------------------------------------------------------


class _Index:
    """Every unit of a file by place, so that a file of many comments is read in one go."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.units: list[list[Unit]] = [list(_units(root)) for root in page.roots]
        self.starts = [[unit.start for unit in units] for units in self.units]
        self.ended: dict[int, list[Unit]] = {}
        """By the line on which a whole value ends."""
        self.opened: dict[int, list[Unit]] = {}
        self.flows: list[Collection] = []
        """Collections in braces over several lines, inner ones last."""
        self.holder: dict[int, Collection] = {}
        for root in page.roots:
            for collection in _collections(root):
                self.holder |= {id(unit): collection for unit in collection.units}
                if collection.flow and collection.start[0] != collection.end[0]:
                    self.flows.append(collection)
        for unit in (unit for units in self.units for unit in units):
            value = unit.value
            if isinstance(value, Leaf) and value.style in _BLOCKS:
                self.ended.setdefault(value.start[0], []).append(unit)
            elif isinstance(value, Leaf) or value.flow:
                self.ended.setdefault(value.end[0], []).append(unit)
            self.opened.setdefault(unit.start[0], []).append(unit)

    def document_of(self, number: int) -> int:
        """Which document a line belongs to; what stands above the first belongs to it."""
        before = sum(line <= number for line in self.page.separators)
        implicit = len(self.page.roots) - len(self.page.separators)
        return min(max(0, before - 1 + implicit), len(self.page.roots) - 1)

    def following(self, document: int, at: Position) -> Unit | None:
        """The first unit behind `at`; of several that begin together, the outermost."""
        place = bisect_left(self.starts[document], at)
        return self.units[document][place] if place < len(self.units[document]) else None


def _collections(node: Leaf | Collection) -> Iterator[Collection]:
    if isinstance(node, Collection):
        yield node
        for unit in node.units:
            yield from _collections(unit.value)


def _units(node: Leaf | Collection) -> Iterator[Unit]:
    if isinstance(node, Collection):
        for unit in node.units:
            yield unit
            yield from _units(unit.value)


def _leaves(page: Page) -> Iterator[Leaf]:
    for root in page.roots:
        if isinstance(root, Leaf):
            yield root
        for unit in _units(root):
            if unit.key is not None:
                yield unit.key
            if isinstance(unit.value, Leaf):
                yield unit.value


def _attach(page: Page, lines: list[str]) -> None:
    """Give every comment and every blank line to a unit or a collection."""
    comments, index = _comments(page, lines), _Index(page)
    inside = {number for leaf in _leaves(page) for number in range(leaf.start[0] + 1, max(leaf.end[0], 0))}
    blank: list[int] = []
    for number, line in enumerate(lines):
        column = comments.get(number)
        if column is None:
            if not line.strip() and number not in inside:
                blank.append(number)
            elif line.strip():
                _blank_above(index, blank)
                blank.clear()
            continue
        text = line[column:].rstrip()
        alone = line[:column].strip() in {"", "---"}
        if not alone:
            _blank_above(index, blank)
            blank.clear()
            if _beside(index, (number, column), text):
                continue
        _place(index, (number, column)).extend([""] * bool(blank) + [text])
        blank.clear()


def _comments(page: Page, lines: list[str]) -> dict[int, int]:
    """Line to the column of its comment."""
    covered: dict[int, list[tuple[int, int]]] = {}
    out: dict[int, int] = {}
    for leaf in _leaves(page):
        (first, start), (last, end) = leaf.start, leaf.end
        if leaf.style in _BLOCKS:
            header = _BLOCK_HEADER.match(lines[first][start:])
            if header is not None:
                out[first] = start + header.start(1)
        for number in range(first, last + 1):
            span = (start if number == first else 0, end if number == last else 1 << 30)
            covered.setdefault(number, []).append(span)
    for number, line in enumerate(lines):
        if number in out or "#" not in line:
            continue
        spans = covered.get(number, [])
        for match in re.finditer(r"(?:^|(?<=[ ]))#", line):
            at = match.start()
            if not any(low <= at < high for low, high in spans):
                out[number] = at
                break
    return out


def _beside(index: _Index, at: Position, text: str) -> bool:
    """A comment behind something on its line."""
    ended = [
        unit
        for unit in index.ended.get(at[0], ())
        if (
            unit.value.start
            if isinstance(unit.value, Leaf) and unit.value.style in _BLOCKS
            else unit.value.end
        )
        <= at
    ]
    if ended:
        least = min(unit.depth for unit in ended)
        found = [unit for unit in ended if unit.depth == least][-1]
        if found.tail is None:
            found.tail = text
            return True
    opened = [unit for unit in index.opened.get(at[0], ()) if unit.start < at]
    if opened and opened[-1].head is None and opened[-1] not in ended:
        opened[-1].head = text
        return True
    return False


def _blank_above(index: _Index, blank: list[int]) -> None:
    if blank:
        unit = index.following(index.document_of(blank[-1]), (blank[-1], 0))
        if unit is not None:
            unit.lead.append("")


def _place(index: _Index, at: Position) -> list[str]:
    """The list that a comment on a line of its own goes into."""
    document = index.document_of(at[0])
    root = index.page.roots[document]
    if isinstance(root, Leaf):
        return index.page.loose
    around = [flow for flow in index.flows if flow.start < at < flow.end]
    if around:
        unit = next((u for u in around[-1].units if u.start > at), None)
        return around[-1].foot if unit is None else unit.lead
    following = index.following(document, at)
    open_ones = [c for c in _open_at(root, at) if c.indent <= at[1]]
    deepest = open_ones[-1] if open_ones else root
    if following is None or deepest.indent > index.holder[id(following)].indent:
        return deepest.foot
    return following.lead


def _open_at(root: Collection, at: Position) -> list[Collection]:
    """Block collections on the way to the last unit before `at`, outermost first."""
    out, node = [], root
    while True:
        out.append(node)
        place = bisect_left(node.units, at, key=lambda unit: unit.start)
        value = node.units[place - 1].value if place else None
        if not isinstance(value, Collection) or value.flow or value.start > at:
            return out
        node = value
