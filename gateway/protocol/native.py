"""The native protocol's requests, read strictly: unknown members are refused, nothing is canonicalised.

Report data is computed over the bytes of `runtime_data` as they were sent, before anybody reads them, so
there is no second way to read what was signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayReason
from gateway.protocol import jwk
from gateway.protocol.names import refuse, secret_path, tenant_name
from verifiers.codec import b64, strictjson

LABEL = b"sealgate/1 runtime-data\x00"
DEVICE_LABEL = b"sealgate/1 device\x00"
MAX_RUNTIME_DATA = 8 * 1024
MAX_BODY = 1024 * 1024
MAX_PATHS, MAX_DEVICES = 16, 16
_MAX_TOKEN = 64 * 1024
Evidence = Mapping[str, Any] | list[Any]
"""What a request has as `evidence`: a native envelope, or a CMW as JSON. Not opened yet."""
_RUNTIME_MEMBERS = ("aud", "key", "nonce", "tenant")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """What the guest put under its report data. `raw`: the bytes as sent. devices: SHA-256 of each device
    evidence as sent; None when the member is absent, which is not the same as an empty list."""

    raw: bytes
    nonce: str
    key: jwk.AttestedKey
    aud: str
    tenant: str
    devices: tuple[bytes, ...] | None

    @property
    def report_data(self) -> bytes:
        return report_data(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestRequest:
    """evidence: an envelope or a CMW, JSON already parsed. release: paths wanted, in order, each once.
    policy: name of the release policy whose verdict the EAR shall carry."""

    evidence: Evidence
    runtime_data: bytes
    release: tuple[str, ...]
    policy: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    ear: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """Exactly one of runtime_data (our nonce) and report_data (the relying party's own 64 bytes), or neither:
    then freshness is undecided."""

    evidence: Evidence
    runtime_data: bytes | None
    report_data: bytes | None
    policy: str | None


def report_data(raw: bytes) -> bytes:
    """SHA-512("sealgate/1 runtime-data" ‖ 00 ‖ bytes as sent): the 64 bytes of REPORT_DATA."""
    return hashlib.sha512(LABEL + raw).digest()


def device_nonce(nonce: bytes, thumbprint: bytes, index: int) -> bytes:
    """SHA-256("sealgate/1 device" ‖ 00 ‖ nonce ‖ key thumbprint ‖ index as u32be), 32 bytes."""
    return hashlib.sha256(DEVICE_LABEL + nonce + thumbprint + index.to_bytes(4, "big")).digest()


def parse_attest(body: bytes) -> AttestRequest:
    """Body of POST /v1/attest. Raises GatewayError or EvidenceFormatError."""
    members = _object(body, {"evidence", "runtime_data"}, {"release", "policy"})
    if members.get("release") and "policy" in members:
        raise refuse("body", expected="release or policy: a path has its own policy", found="both")
    return AttestRequest(
        evidence=_evidence(members["evidence"]),
        runtime_data=_runtime_bytes(members["runtime_data"]),
        release=_paths(members["release"], "release", least=0) if "release" in members else (),
        policy=_policy(members),
    )


def parse_release(body: bytes) -> ReleaseRequest:
    """Body of POST /v1/release: {"ear": token, "paths": [...]}."""
    members = _object(body, {"ear", "paths"}, set())
    token = members["ear"]
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= _MAX_TOKEN:
        raise refuse("ear", expected="a compact JWS", found=_shape(token))
    return ReleaseRequest(ear=token, paths=_paths(members["paths"], "paths", least=1))


def parse_verify(body: bytes) -> VerifyRequest:
    """Body of POST /v1/verify."""
    members = _object(body, {"evidence"}, {"runtime_data", "report_data", "policy"})
    if "runtime_data" in members and "report_data" in members:
        raise refuse("body", expected="runtime_data or report_data", found="both")
    expected = None
    if "report_data" in members:
        expected = b64.decode_url(members["report_data"], "report_data", limit=64)
        if len(expected) != 64:
            raise refuse("report_data", expected="64 bytes", found=f"{len(expected)} bytes")
    return VerifyRequest(
        evidence=_evidence(members["evidence"]),
        runtime_data=_runtime_bytes(members["runtime_data"]) if "runtime_data" in members else None,
        report_data=expected,
        policy=_policy(members),
    )


def parse_challenge(body: bytes) -> None:
    """Body of POST /v1/challenge: nothing, or an empty object."""
    if body.strip():
        _object(body, set(), set())


def parse_runtime_data(raw: bytes) -> RuntimeData:
    """Read runtime data after its digest was taken. Raises GatewayError or EvidenceFormatError."""
    value = strictjson.loads(raw, "runtime_data", limit=MAX_RUNTIME_DATA, max_depth=4)
    members = _members(value, "runtime_data", set(_RUNTIME_MEMBERS), {"devices"})
    for name in ("nonce", "aud"):
        if not isinstance(members[name], str) or not 0 < len(members[name]) <= 512:
            raise refuse(f"runtime_data.{name}", expected="a string", found=_shape(members[name]))
    return RuntimeData(
        raw=raw,
        nonce=members["nonce"],
        key=jwk.parse(members["key"], "runtime_data.key"),
        aud=members["aud"],
        tenant=tenant_name(members["tenant"], "runtime_data.tenant"),
        devices=_devices(members["devices"]) if "devices" in members else None,
    )


def _devices(value: object) -> tuple[bytes, ...]:
    where = "runtime_data.devices"
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DEVICES:
        raise refuse(where, expected=f"1..{MAX_DEVICES} digests", found=_shape(value))
    digests = tuple(b64.decode_url(item, f"{where}[{i}]", limit=32) for i, item in enumerate(value))
    for index, digest in enumerate(digests):
        if len(digest) != 32:
            raise refuse(f"{where}[{index}]", expected="32 bytes", found=f"{len(digest)} bytes")
    return digests


def _object(body: bytes, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    return _members(strictjson.loads(body, "body", limit=MAX_BODY), "body", required, optional)


def _members(value: object, where: str, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refuse(where, expected="an object", found=_shape(value))
    missing = sorted(required - value.keys())
    if missing:
        raise refuse(where, expected=f"member {missing[0]!r}", found="none")
    unknown = sorted(value.keys() - required - optional)
    if unknown:
        raise refuse(
            where,
            expected=", ".join(sorted(required | optional)) or "no members",
            found=repr(unknown[0][:40]),
            reason=GatewayReason.REQUEST_MEMBER,
        )
    return value


def _evidence(value: object) -> Evidence:
    if not isinstance(value, (dict, list)) or not value:
        raise refuse("evidence", expected="an envelope or a CMW", found=_shape(value))
    return value


def _runtime_bytes(value: object) -> bytes:
    return b64.decode_url(value, "runtime_data", limit=MAX_RUNTIME_DATA)


def _paths(value: object, where: str, *, least: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not least <= len(value) <= MAX_PATHS:
        raise refuse(where, expected=f"a list of {least}..{MAX_PATHS} paths", found=_shape(value))
    paths = tuple(secret_path(item, f"{where}[{index}]") for index, item in enumerate(value))
    if len(set(paths)) != len(paths):
        raise refuse(where, expected="each path once", found="a path twice")
    return paths


def _policy(members: Mapping[str, Any]) -> str | None:
    if "policy" not in members:
        return None
    name = members["policy"]
    if not isinstance(name, str) or not 0 < len(name) <= 128:
        raise refuse("policy", expected="a policy's name", found=_shape(name))
    return name


def _shape(value: object) -> str:
    if isinstance(value, (str, list, dict)):
        return f"{type(value).__name__} of length {len(value)}"
    return type(value).__name__
