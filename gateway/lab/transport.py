"""How an answer goes out: rules of the transport stage turned into pauses, lengths, headers and pieces."""

from __future__ import annotations

import email.utils
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gateway.lab.answer import Reply
from gateway.lab.faults import Rule, Stage

PIECE = 64 * 1024
STEPS = 20
"""A slow body comes in so many pieces."""
_PORTAL = b"<!DOCTYPE html><title>Welcome</title><p>Please accept the terms of use to go on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A reply on its way. length: value of Content-Length; None: none is sent, the connection's end is the
    body's. pieces: the body. within: seconds that the pieces take. hang_up: nothing is sent at all."""

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int | None
    pieces: Callable[[], Iterator[bytes]]
    before: float = 0.0
    within: float = 0.0
    hang_up: bool = False


@dataclass(slots=True)
class Throttle:
    """When each rule with every_s last let a request through."""

    answered: dict[int, datetime] = field(default_factory=dict)

    def lets_through(self, rule: Rule, now: datetime) -> bool:
        pause = timedelta(seconds=_number(rule, "every_s"))
        last = self.answered.get(rule.id)
        if not pause or (last is not None and now - last < pause):
            return False
        self.answered[rule.id] = now
        return True


def plain(reply: Reply) -> Sending:
    """The reply as it is."""
    body = reply.body
    return Sending(
        status=reply.status, headers=reply.headers, length=len(body), pieces=lambda: _cut(body, PIECE)
    )


def spoil(
    sending: Sending, rules: Iterable[Rule], throttle: Throttle, now: datetime, elsewhere: str
) -> Sending:
    """Apply every rule of the transport stage, in their order. elsewhere: where a redirect leads."""
    for rule in rules:
        if rule.kind.stage is Stage.TRANSPORT:
            sending = _spoil(sending, rule, throttle, now, elsewhere)
    return sending


def _spoil(sending: Sending, rule: Rule, throttle: Throttle, now: datetime, elsewhere: str) -> Sending:
    match rule.fault:
        case "slow":
            before, within = _number(rule, "before_s"), _number(rule, "within_s")
            body = b"".join(sending.pieces()) if within else b""
            pieces = (lambda: _cut(body, -(-len(body) // STEPS))) if within else sending.pieces
            return replace(sending, before=before, within=within, pieces=pieces)
        case "hang-up":
            return replace(sending, hang_up=True)
        case "throttled":
            if throttle.lets_through(rule, now):
                return sending
            return plain(Reply(status=429, headers=_retry_after(rule, now)))
        case "error":
            return plain(Reply(status=int(_number(rule, "status"))))
        case "redirect":
            target = str(rule.parameters.get("to", elsewhere))
            return plain(Reply(status=302, headers=(("Location", target),)))
        case "captive-portal":
            return plain(Reply(status=200, body=_PORTAL, headers=(("Content-Type", "text/html"),)))
        case "content-type":
            return replace(
                sending, headers=_set(sending.headers, "Content-Type", str(rule.parameters["type"]))
            )
        case "warning":
            warning = f'299 - "{rule.parameters["text"]}"'
            return replace(sending, headers=_set(sending.headers, "Warning", warning))
        case "no-chain":
            kept = tuple(h for h in sending.headers if not h[0].endswith("-Issuer-Chain"))
            return replace(sending, headers=kept)
        case "half-sent":
            whole = b"".join(sending.pieces())
            return replace(sending, pieces=lambda: _cut(whole[: len(whole) // 2], PIECE))
        case "oversized":
            return _oversized(sending, rule)
        case "gzip-bomb":
            size = int(_number(rule, "bytes"))
            headers = _set(sending.headers, "Content-Encoding", "gzip")
            return replace(sending, headers=headers, length=None, pieces=lambda: _bomb(size))
    return sending


def _oversized(sending: Sending, rule: Rule) -> Sending:
    size = int(_number(rule, "bytes"))
    first = b"".join(sending.pieces())

    def pieces() -> Iterator[bytes]:
        yield from _cut(first, PIECE)
        left = size - len(first)
        while left > 0:
            yield bytes(min(left, PIECE))
            left -= PIECE

    declared = rule.parameters["length"] == "declared"
    return replace(sending, length=max(size, len(first)) if declared else None, pieces=pieces)


def _bomb(size: int) -> Iterator[bytes]:
    """`size` zero bytes, compressed while they are sent: about a thousandth of it goes over the wire."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    while size > 0:
        if piece := packer.compress(bytes(min(size, PIECE))):
            yield piece
        size -= PIECE
    yield packer.flush()


def _retry_after(rule: Rule, now: datetime) -> tuple[tuple[str, str], ...]:
    """RFC 9110, 10.2.3: delay in seconds, or an HTTP date."""
    seconds = int(_number(rule, "retry_after"))
    match rule.parameters["form"]:
        case "date":
            when = now + timedelta(seconds=seconds)
            return (("Retry-After", email.utils.format_datetime(when, usegmt=True)),)
        case "absent":
            return ()
        case "nonsense":
            return (("Retry-After", "soon"),)
    return (("Retry-After", str(seconds)),)


def _set(headers: tuple[tuple[str, str], ...], name: str, value: str) -> tuple[tuple[str, str], ...]:
    return (*(each for each in headers if each[0] != name), (name, value))


def _cut(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), max(size, 1)):
        yield body[start : start + max(size, 1)]


def _number(rule: Rule, name: str) -> float:
    return float(str(rule.parameters[name]))


def settings(rules: Iterable[Rule]) -> Mapping[str, Mapping[str, object]]:
    """What the press is to spoil: document faults to their parameters; of two of a kind the later counts."""
    return {rule.fault: rule.parameters for rule in rules if rule.kind.stage is Stage.DOCUMENT}
