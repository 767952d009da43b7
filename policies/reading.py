"""Reading a mapping field by field: every key is known, every required key is there, nothing is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from policies import scalars
from policies.errors import Place, Problems, did_you_mean, quote
from policies.strictyaml import Map, Node, Seq
from policies.values import items_of
from policies.vocabulary import Vocabulary

T = TypeVar("T")

Reader = Callable[[Node, str, Problems], T | None]


class Fields:
    """One mapping of a document. what: how messages call it ("rule kata-on-genoa").

    Keys that are neither required nor optional, and required ones that are missing, are reported at once.
    A getter returns None for an absent optional key, and after reporting a value of the wrong type.
    """

    def __init__(
        self,
        node: Node,
        what: str,
        problems: Problems,
        *,
        required: Iterable[str],
        optional: Iterable[str] = (),
    ) -> None:
        self.at, self.what, self.problems = node.at, what, problems
        self._nodes: dict[str, Node] = {}
        self._keys: dict[str, Place] = {}
        needed = tuple(required)
        known = (*needed, *optional)
        if not isinstance(node, Map):
            problems.add("type-mismatch", node.at, f"{what} is a mapping, not {scalars.kind_of(node)}")
            return
        for key, value in node.pairs:
            if key.text not in known:
                hint = did_you_mean(key.text, known)
                problems.add("unknown-key", key.at, f"{what} has no key {quote(key.text)}", hint=hint)
            else:
                self._nodes[key.text], self._keys[key.text] = value, key.at
        missing = [key for key in needed if key not in self._nodes]
        if missing:
            problems.add("missing-key", node.at, f"{what} lacks {', '.join(missing)}")

    def node(self, key: str) -> Node | None:
        return self._nodes.get(key)

    def place(self, key: str) -> Place:
        """Where the value stands; the mapping itself when it is absent."""
        node = self._nodes.get(key)
        return self.at if node is None else node.at

    def key_place(self, key: str) -> Place:
        return self._keys.get(key, self.at)

    def read(self, key: str, reader: Reader[T]) -> T | None:
        node = self._nodes.get(key)
        return None if node is None else reader(node, f"{self.what}: {key}", self.problems)

    def text(self, key: str) -> str | None:
        return self.read(key, scalars.text)

    def id(self, key: str) -> str | None:
        return self.read(key, scalars.identifier)

    def time(self, key: str) -> datetime | None:
        return self.read(key, scalars.time)

    def duration(self, key: str) -> timedelta | None:
        return self.read(key, scalars.duration)

    def positive(self, key: str) -> int | None:
        """A whole number from 1."""
        value = self.read(key, scalars.integer)
        if value == 0:
            self.problems.add("type-mismatch", self.place(key), f"{self.what}: {key} starts at 1")
            return None
        return value

    def items(self, key: str) -> tuple[Node, ...]:
        """The items of a list; () when it is absent, empty or no list, the last two reported."""
        node = self._nodes.get(key)
        return () if node is None else items_of(node, f"{self.what}: {key}", self.problems) or ()


class Context:
    """What reading one file needs: where problems go, and which claims there are."""

    def __init__(self, problems: Problems, words: Vocabulary) -> None:
        self.problems, self.words = problems, words


def pairs(node: Node, what: str, problems: Problems) -> tuple[tuple[str, str], ...]:
    """A mapping of short texts, kept for people (provenance); () when it is none."""
    if not isinstance(node, Map):
        problems.add("type-mismatch", node.at, f"{what} is a mapping of texts, not {scalars.kind_of(node)}")
        return ()
    found = ((key.text, scalars.text(value, f"{what}: {key.text}", problems)) for key, value in node.pairs)
    return tuple((key, value) for key, value in found if value is not None)


def distinct(ids: Iterable[tuple[str, Place]], what: str, problems: Problems) -> None:
    """Report ids that occur twice."""
    seen: dict[str, Place] = {}
    for name, place in ids:
        if name in seen:
            problems.add("duplicate-id", place, f"{what} {name} exists already, in line {seen[name].line}")
        seen.setdefault(name, place)


def listed(node: Node | None) -> tuple[Node, ...]:
    """A list's items, or the one thing that stands instead of a list."""
    if node is None:
        return ()
    return node.items if isinstance(node, Seq) else (node,)
