"""The one mapping from what went wrong to what a peer is told (RFC 9457).

A refusal tells its reason, and where; the findings behind it stay in the record, for operators, under the
attempt's id. Whatever is not one of our exceptions is our own fault: a 500 that says nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import ABOUT, GatewayError, GatewayReason
from gateway.http.message import Reply
from gateway.ports import LedgerUnavailable
from gateway.refusal import Denied
from policies.errors import PolicyError
from verifiers.errors import AttestationError

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("sealgate.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    status: int
    title: str
    reason: str
    detail: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def reply(self) -> Reply:
        value: dict[str, Any] = {
            "type": f"urn:sealgate:problem:{self.reason}",
            "title": self.title,
            "status": self.status,
            "reason": self.reason,
        }
        if self.detail is not None:
            value["detail"] = self.detail
        value |= self.members
        return Reply(
            status=self.status,
            body=json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
            media_type=MEDIA_TYPE,
            headers=self.headers,
        )


def of(error: BaseException) -> Problem:
    """What to tell the peer about any exception. Logs those that are our own bugs."""
    if isinstance(error, Denied):
        return _denied(error)
    if isinstance(error, GatewayError):
        return _gateway(error)
    if isinstance(error, PolicyError):
        log.error("a document of ours cannot be used: %s", error)
        return plain(GatewayReason.INTERNAL)
    if isinstance(error, AttestationError):
        detail = f"{error.where}: expected {error.expected}, found {error.found}"
        status = 413 if error.reason == "evidence.too-large" else 400
        return Problem(
            status=status,
            title="What was sent cannot be read",
            reason=error.reason,
            detail=_printable(detail),
            members={"where": _printable(error.where)},
        )
    if isinstance(error, LedgerUnavailable):
        log.error("the ledger cannot be written: %s", error)
        return plain(GatewayReason.LEDGER_UNAVAILABLE, headers={"Retry-After": "5"})
    log.error("our own fault", exc_info=error)
    return plain(GatewayReason.INTERNAL)


def of_documents(error: PolicyError) -> Problem:
    """For administrators, whose documents they are: every problem, and where. Nothing was activated."""
    errors = [
        {
            "reason": each.reason,
            "file": each.file,
            "line": each.line,
            "column": each.column,
            "message": each.message,
            "hint": each.hint,
        }
        for each in error.errors
    ]
    return Problem(
        status=422,
        title="The document cannot be activated",
        reason=error.reason,
        detail=str(error),
        members={"errors": errors},
    )


def closing(found: Problem) -> Problem:
    """The same, and the connection ends with it."""
    return replace(found, headers={**found.headers, "Connection": "close"})


def plain(
    reason: GatewayReason, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Problem:
    about = ABOUT[reason]
    return Problem(
        status=about.status, title=about.title, reason=str(reason), detail=detail, headers=headers or {}
    )


def _denied(error: Denied) -> Problem:
    why = error.why
    members: dict[str, Any] = {
        "verdict": str(why.verdict),
        "where": _printable(why.where),
        "attempt": error.attempt,
    }
    if error.refusals:
        members["refusals"] = [refusal.public() for refusal in error.refusals]
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        members["retry_after"] = error.retry_after
        headers["Retry-After"] = str(error.retry_after)
    detail = None if why.detail is None else _printable(why.detail)
    return Problem(
        status=why.status,
        title=why.title,
        reason=why.reason,
        detail=detail,
        members=members,
        headers=headers,
    )


def _gateway(error: GatewayError) -> Problem:
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="sealgate"'
    elif error.status == 503:
        headers["Retry-After"] = "5"
    if error.status >= 500:
        log.error("%s", error)
        return plain(error.reason, headers=headers)
    return plain(error.reason, _printable(error.detail), headers)


def _printable(text: str) -> str:
    """What a peer sent may stand in a message, but as characters that no terminal or page obeys."""
    return "".join(char if char.isprintable() else "�" for char in text[:500])
