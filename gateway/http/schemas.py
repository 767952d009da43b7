"""JSON Schemas of requests and replies, for /openapi.json. The parsers are stricter and decide."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_B64URL: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}
_EAR: dict[str, Any] = {"type": "string", "description": "EAR: a compact JWS (ES256) of type eat+jwt"}
_PATH: dict[str, Any] = {"type": "string", "examples": ["payments/db/password"]}
_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["sev-snp", "tdx", "sgx"]},
        "report": _B64URL,
        "certificates": {"type": "array", "items": _B64URL},
        "quote": _B64URL,
        "event_log": _B64URL,
    },
    "additionalProperties": False,
}
_CMW_RECORD: dict[str, Any] = {
    "description": "CMW record: media type, value, indicator",
    "type": "array",
    "prefixItems": [_TEXT, _B64URL, {"type": "integer", "minimum": 1, "maximum": 31}],
    "minItems": 2,
    "maxItems": 3,
}
_CMW_COLLECTION: dict[str, Any] = {
    "description": "CMW collection, with one piece of evidence in it",
    "type": "object",
    "not": {"properties": {"type": _TEXT}, "required": ["type"]},
}
_EVIDENCE: dict[str, Any] = {"oneOf": [_ENVELOPE, _CMW_RECORD, _CMW_COLLECTION]}


def _object(required: list[str], properties: dict[str, Any], *, closed: bool = True) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "required": required, "properties": properties}
    return out | {"additionalProperties": False} if closed else out


_AGAIN = {"type": "integer", "description": "seconds after which what was missing may be there"}
_REFUSALS: dict[str, Any] = {
    "type": "array",
    "items": _object(["path", "reason", "where"], {"path": _PATH, "reason": _TEXT, "where": _TEXT}),
}
_AGAIN = {"type": "integer", "description": "seconds after which what was missing may be there"}
_RELEASES: dict[str, Any] = {
    "type": "array",
    "items": _object(
        ["path", "version", "release"],
        {
            "path": _PATH,
            "version": {"type": "integer", "minimum": 1},
            "release": _TEXT | {"description": "JWS over iss, aud, nonce, path, version, lease, jwe"},
        },
    ),
}

SCHEMAS: dict[str, Any] = {
    "Challenge": _object([], {}),
    "ChallengeReply": _object(["nonce", "expires_in"], {"nonce": _B64URL, "expires_in": {"type": "integer"}}),
    "Attest": _object(
        ["evidence", "runtime_data"],
        {
            "evidence": _EVIDENCE,
            "runtime_data": _B64URL
            | {"description": "JSON bytes {nonce, key, aud, tenant}; REPORT_DATA is their labelled SHA-512"},
            "release": {"type": "array", "items": _PATH, "maxItems": 16, "uniqueItems": True},
            "policy": _TEXT | {"description": "whose verdict the EAR carries; not together with release"},
        },
    ),
    "AttestReply": _object(
        ["attempt", "ear", "releases", "refusals"],
        {"attempt": _TEXT, "ear": _EAR, "releases": _RELEASES, "refusals": _REFUSALS},
    ),
    "Release": _object(
        ["ear", "paths"],
        {"ear": _EAR, "paths": {"type": "array", "items": _PATH, "minItems": 1, "maxItems": 16}},
    ),
    "ReleaseReply": _object(
        ["attempt", "releases", "refusals"],
        {"attempt": _TEXT, "releases": _RELEASES, "refusals": _REFUSALS},
    ),
    "Verify": _object(
        ["evidence"],
        {"evidence": _EVIDENCE, "runtime_data": _B64URL, "report_data": _B64URL, "policy": _TEXT},
    ),
    "VerifyReply": _object(
        ["attempt", "ear", "verdict", "reason", "authentic", "evidence", "claims", "checks", "unchecked"],
        {
            "attempt": _TEXT,
            "ear": _EAR,
            "verdict": {"enum": ["accepted", "refused", "undecided"]},
            "reason": {"type": ["string", "null"]},
            "authentic": {"type": "boolean"},
            "retry_after": _AGAIN,
        },
        closed=False,
    ),
    "Problem": _object(
        ["type", "title", "status", "reason"],
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "reason": _TEXT | {"description": "stable code"},
            "detail": _TEXT,
            "where": _TEXT,
            "attempt": _TEXT | {"description": "what to tell the operator"},
            "verdict": _TEXT,
            "refusals": _REFUSALS,
            "retry_after": _AGAIN,
        },
        closed=False,
    ),
}
