"""One step of the schema, and what identifies it once it is released."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.store import postgres_schema
from gateway.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    statements: tuple[str, ...]
    fill: Callable[[Connection, int], None] | None = None
    """What SQL cannot say; run behind the statements, with the time in microseconds. Its name is part of the
    digest: it is released as they are."""
    after: tuple[str, ...] = ()
    """Statements behind that."""
    data: tuple[str, ...] = ()
    """Those of `statements` that carry over what only SQLite ever held: versions from before there was
    another database."""

    def said(self, *, postgres: bool) -> tuple[str, ...]:
        if not postgres:
            return self.statements
        return _spoken([each for each in self.statements if each not in self.data])

    def said_after(self, *, postgres: bool) -> tuple[str, ...]:
        return _spoken(self.after) if postgres else self.after

    def digest(self, *, postgres: bool = False) -> str:
        """Over the words of the statements: how they are indented does not count."""
        steps = [*self.said(postgres=postgres), *([self.fill.__name__] if self.fill else ())]
        steps += self.said_after(postgres=postgres)
        words = "\n".join(" ".join(statement.split()) for statement in steps)
        return hashlib.sha256(f"{self.number} {self.name}\n{words}".encode()).hexdigest()


def _spoken(statements: Sequence[str]) -> tuple[str, ...]:
    return tuple(words for statement in statements for words in postgres_schema.spoken(statement))
