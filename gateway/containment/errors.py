"""What can be wrong with a reader's reply. `reader.py` turns it into a reason that peers are told."""

from __future__ import annotations


class EndedError(Exception):
    """A reader that ended in the middle of its work."""


class ReplyError(Exception):
    """A reply that a reader of ours would not send: it is broken, or not ours any more."""

    def __init__(self, where: str, expected: str, found: str) -> None:
        self.where, self.expected, self.found = where, expected, found
        super().__init__(f"{where}: expected {expected}, found {found}")
