"""What a reader does: take a frame, open evidence or explain it, answer, again. Nothing else.

This module and what it imports is all that is in its memory: no gateway code that knows of keys, secrets or
the store (a test holds the imports).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

from gateway.containment import findings, frames, packing
from verifiers import registry, verdict
from verifiers.carriers import Opened, open_message
from verifiers.codec import strictjson
from verifiers.errors import EvidenceFormatError

OPEN, NEEDS = b"open", b"needs"
MAX_MESSAGE = 2 * 1024 * 1024
"""Bytes of evidence as JSON. A request has at most 1 MiB; written anew it may be a little longer."""

Answer = Callable[[Sequence[bytes]], Sequence[bytes]]


def serve(fd: int, answer: Answer | None = None) -> None:
    """Answer until the other end closes. answer: another one, for tests.

    Returns when the gateway is gone or the reader should be: memory is exhausted, or a frame cannot be read.
    """
    answer = answer or answer_to
    receive = functools.partial(os.read, fd)
    while True:
        parts = frames.read(receive)
        if parts is None:
            return
        try:
            reply = frames.write(answer(parts))
        except MemoryError:
            _send(fd, frames.write((packing.EXHAUSTED,)))
            return
        _send(fd, reply)


def answer_to(parts: Sequence[bytes]) -> Sequence[bytes]:
    """The reply to one frame. Raises nothing for what the peer sent; a bug ends the reader."""
    try:
        if parts[0] == OPEN:
            return packing.pack(_open(parts[1]))
        if parts[0] == NEEDS:
            return packing.pack_needs(registry.needs(_open(parts[1]).evidence))
        question = findings.asked(parts)
        opened = _open(question.message)
        found = registry.verify(
            opened.evidence, question.endorsements, question.binding, question.now, event_log=opened.event_log
        )
        return findings.answer(verdict.with_notes(found, opened.notes))
    except EvidenceFormatError as error:
        return packing.pack_refusal(error)


def _open(message: bytes) -> Opened:
    return open_message(strictjson.loads(message, "evidence", limit=MAX_MESSAGE))


def _send(fd: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(fd, left) :]
