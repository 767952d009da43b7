"""YAML read strictly: bytes in, a tree of nodes with line and column out.

What must stay true:

* No value is ever interpreted here. A scalar keeps its text and whether it was quoted; what it means is
  decided by the one who asks (`scalars.py`, `values.py`): `no`, `1e3` and `0123` mean nothing by themselves.
* One document has one meaning: no anchors, aliases, merge keys, tags, directives, duplicate keys, tabs,
  control or invisible characters.
* Size, depth and number of nodes are bounded; PyYAML supplies events only and never builds an object.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from policies.errors import Place, PolicyError, PolicyErrors, Source, quote

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_NODES = 200_000
MAX_DOCUMENTS = 32
MAX_KEY = 128
MAX_SCALAR = 16_384

# libyaml when the wheel carries it (about ten times faster); both emit the same events, and tests run both.
PARSER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    quoted: bool
    """Written in quotes or as a block: text for certain."""
    at: Place


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Node, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Map:
    pairs: tuple[tuple[Scalar, Node], ...]
    """In the order of the file; keys differ."""
    at: Place

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.pairs if name.text == key), None)


Node = Scalar | Seq | Map


def parse(
    raw: bytes, name: str, *, max_bytes: int = MAX_BYTES, parser: type[Any] = PARSER
) -> tuple[Node, ...]:
    """Every document of the stream `raw`, in order; at least one.

    name: what messages call the file. Raises PolicyErrors with codes policy.too-large, policy.encoding,
    policy.character, policy.yaml-syntax, policy.anchor, policy.alias, policy.tag, policy.merge-key,
    policy.directive, policy.duplicate-key, policy.key, policy.too-deep, policy.too-many, policy.empty.
    """
    source, text = _decode(raw, name, max_bytes)
    try:
        documents = tuple(_documents(text, source, parser))
    except PolicyError as error:
        raise PolicyErrors([error]) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an escape beyond Unicode, pure parser
        raise PolicyErrors([_syntax(error, source)]) from None
    if not documents:
        raise PolicyErrors([PolicyError("policy.empty", Place(source, 1, 1), "the file holds no document")])
    return documents


def _decode(raw: bytes, name: str, max_bytes: int) -> tuple[Source, str]:
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if len(raw) > max_bytes:
        place = Place(Source(name, (), digest), 1, 1)
        message = f"{len(raw)} bytes; a document has at most {max_bytes}"
        raise PolicyErrors([PolicyError("policy.too-large", place, message)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        place = Place(Source(name, (), digest), line, 1)
        message = f"byte {error.start} is not UTF-8"
        raise PolicyErrors([PolicyError("policy.encoding", place, message)]) from None
    text = text.replace("\r\n", "\n")
    source = Source(name, tuple(text.split("\n")), digest)
    bad = _bad_character(text)
    if bad is not None:
        line = text.count("\n", 0, bad) + 1
        column = bad - (text.rfind("\n", 0, bad) + 1) + 1
        message = f"the character {_name(text[bad])} may not occur in a document"
        hint = "indent with spaces" if text[bad] == "\t" else None
        raise PolicyErrors([PolicyError("policy.character", Place(source, line, column), message, hint=hint)])
    return source, text


def _bad_character(text: str) -> int | None:
    """Index of the first control, invisible, unassigned or line-separating character."""
    for index, char in enumerate(text):
        if char == "\n" or " " <= char <= "~":
            continue
        # Cc also holds TAB, CR, NUL and NEL; Cf holds the BOM, zero-width and bidirectional marks.
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            return index
    return None


def _name(char: str) -> str:
    names = {"\t": "TAB", "\0": "NUL", "\r": "CR", "\ufeff": "BOM"}
    return f"U+{ord(char):04X} ({names.get(char) or unicodedata.name(char, 'control character')})"


def _syntax(error: Exception, source: Source) -> PolicyError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(source, mark.line + 1, mark.column + 1) if mark is not None else Place(source, 1, 1)
    message = str(getattr(error, "problem", None) or "not readable as YAML")
    return PolicyError("policy.yaml-syntax", place, message)


class _Builder:
    """Turns events into nodes, refusing what this language does not have."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes = 0

    def place(self, event: yaml.Event) -> Place:
        start, end = event.start_mark, event.end_mark
        assert start is not None and end is not None
        same_line = start.line == end.line
        width = max(1, end.column - start.column) if same_line else 1
        return Place(self.source, start.line + 1, start.column + 1, width)

    def refuse(self, code: str, event: yaml.Event, message: str) -> PolicyError:
        return PolicyError(f"policy.{code}", self.place(event), message)

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.refuse("too-many", event, f"more than {MAX_NODES} values in one file")
        if isinstance(event, yaml.AliasEvent):
            raise self.refuse("alias", event, "aliases (*name) are not part of this language")
        if getattr(event, "anchor", None) is not None:
            raise self.refuse("anchor", event, "anchors (&name) are not part of this language")
        if getattr(event, "tag", None) is not None:
            raise self.refuse("tag", event, "tags (!name) are not part of this language")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth >= MAX_DEPTH:
            raise self.refuse("too-deep", event, f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._seq(event, events, depth)
        return self._map(event, events, depth)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        if len(event.value) > MAX_SCALAR:
            raise self.refuse("too-large", event, f"a value has at most {MAX_SCALAR} characters")
        bad = _bad_character(event.value)  # an escape ("\0") can make what the file itself may not hold
        if bad is not None:
            raise self.refuse("character", event, f"the value holds {_name(event.value[bad])}")
        # libyaml says "" for a plain scalar, the pure parser None.
        return Scalar(event.value, bool(event.style), self.place(event))

    def _seq(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Seq:
        items: list[Node] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(self.node(inner, events, depth + 1))
        return Seq(tuple(items), self.place(event))

    def _map(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Map:
        pairs: list[tuple[Scalar, Node]] = []
        first: dict[str, int] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key = self.node(inner, events, depth + 1)
            if not isinstance(key, Scalar) or not key.text:
                raise self.refuse("key", inner, "a key is a word, never empty, a list or a mapping")
            if key.text == "<<" and not key.quoted:
                raise self.refuse("merge-key", inner, "merge keys (<<) are not part of this language")
            if len(key.text) > MAX_KEY or "\n" in key.text:
                raise self.refuse("key", inner, f"a key is one line of at most {MAX_KEY} characters")
            if key.text in first:
                message = f"{quote(key.text)} is here already, in line {first[key.text]}"
                raise self.refuse("duplicate-key", inner, message)
            first[key.text] = key.at.line
            pairs.append((key, self.node(next(events), events, depth + 1)))
        return Map(tuple(pairs), self.place(event))


def _documents(text: str, source: Source, parser: type[Any]) -> Iterator[Node]:
    events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=parser))
    builder = _Builder(source)
    count = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if event.version is not None or event.tags:
                raise builder.refuse(
                    "directive", event, "directives (%YAML, %TAG) are not part of this language"
                )
            count += 1
            if count > MAX_DOCUMENTS:
                raise builder.refuse("too-many", event, f"more than {MAX_DOCUMENTS} documents in one file")
            yield builder.node(next(events), events, 0)
