"""The guest's side: a fresh key, evidence over it, and a release that is checked before it is believed.

What a guest must not take from the network: the audience (it comes from measured configuration), and the
keys that sign releases (pinned, or over TLS to a pinned certificate).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.client import Client, ClientError
from gateway.protocol.native import report_data
from gateway.release.native import Expected, Opened, open_release
from verifiers import carriers
from verifiers.codec import b64
from verifiers.errors import EvidenceFormatError
from verifiers.eventlog import reading
from verifiers.sevsnp.abi import SnpReport

TSM = Path("/sys/kernel/config/tsm/report")
_TRIES = 5
_WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.01
_MAX_BLOB = carriers.MAX_EVIDENCE

EvidenceSource = Callable[[bytes], Mapping[str, Any]]
"""64 bytes of report data to an evidence envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """audience, issuer, tenant: from the guest's own configuration. jwks: keys that sign releases."""

    client: Client
    audience: str
    issuer: str
    tenant: str
    jwks: Mapping[str, Any]
    evidence: EvidenceSource

    def get(self, paths: Sequence[str]) -> dict[str, Opened]:
        """The secrets at `paths`, opened and checked; all or an error.

        Raises Refused (the gateway said no), ClientError, GatewayError (a release that is not for us).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        nonce = self.challenge()
        reply = self.attest(self.runtime_data(nonce, key.public_key()), paths)
        found: dict[str, Opened] = {}
        for entry in reply.get("releases", []):
            path = entry["path"]
            wanted = Expected(iss=self.issuer, aud=self.audience, nonce=nonce, path=path, tenant=self.tenant)
            found[path] = open_release(entry["release"], self.jwks, key, wanted)
        missing = [path for path in paths if path not in found]
        if missing:
            reasons = {entry["path"]: entry["reason"] for entry in reply.get("refusals", [])}
            raise ClientError(f"{missing[0]}: not released [{reasons.get(missing[0], 'release.missing')}]")
        return {path: found[path] for path in paths}

    def challenge(self) -> str:
        return str(self.client.post("/v1/challenge", {})["nonce"])

    def runtime_data(self, nonce: str, key: ec.EllipticCurvePublicKey) -> bytes:
        """The bytes that report data is the digest of. Sent as they are."""
        value = {"nonce": nonce, "key": public_jwk(key), "aud": self.audience, "tenant": self.tenant}
        return json.dumps(value, separators=(",", ":")).encode()

    def attest(self, runtime_data: bytes, paths: Sequence[str]) -> Mapping[str, Any]:
        body: dict[str, Any] = {
            "evidence": dict(self.evidence(report_data(runtime_data))),
            "runtime_data": b64.encode_url(runtime_data),
        }
        if paths:
            body["release"] = list(paths)
        reply = self.client.post("/v1/attest", body)
        if not isinstance(reply, dict):
            raise ClientError("expected an object as the reply")
        return reply


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    return {
        "kty": "EC",
        "crv": f"P-{key.key_size}",
        "x": b64.encode_url(numbers.x.to_bytes(size, "big")),
        "y": b64.encode_url(numbers.y.to_bytes(size, "big")),
    }


def from_tsm(root: Path, event_log: Path | None = None) -> EvidenceSource:
    """Evidence through Linux's configfs-tsm (Documentation/ABI/testing/configfs-tsm-report).

    event_log: a TDX guest's log, read anew for each piece of evidence. Only when asked for: the kernel's copy
    lacks what software has extended since, and a log that does not replay is refused.
    """

    def obtain(data: bytes) -> Mapping[str, Any]:
        for _ in range(_TRIES):
            found = _request(root, data)
            if found is not None:
                opened = carriers.open_folder(found)
                if event_log is not None:
                    opened = carriers.with_event_log(opened, read_log(event_log))
                return envelope(opened)
        raise ClientError(f"{root}: expected a report of our own, found that others keep writing")

    return obtain


def envelope(opened: carriers.Opened) -> dict[str, Any]:
    """The native envelope of evidence that some other carrier brought."""
    raw = b64.encode_url(opened.evidence.raw)
    if isinstance(opened.evidence, SnpReport):
        certificates = [b64.encode_url(der) for der in opened.certificates]
        return {"type": "sev-snp", "report": raw} | ({"certificates": certificates} if certificates else {})
    out: dict[str, Any] = {"type": str(carriers.kind_of(opened.evidence)), "quote": raw}
    if isinstance(opened.event_log, bytes):
        out["event_log"] = b64.encode_url(opened.event_log)
    return out


def read_log(path: Path) -> bytes:
    """An event log without the padding behind it. Raises ClientError."""
    try:
        raw = _read(path)
        return raw[: reading.parse(raw).used]
    except (OSError, EvidenceFormatError) as error:
        raise ClientError(f"{path}: {error}") from None


def _request(root: Path, data: bytes) -> dict[str, bytes] | None:
    """One entry: write inblob, read the rest. None when somebody else wrote to it meanwhile, which the
    generation shows."""
    entry = root / f"sealgate-{secrets.token_hex(8)}"
    try:
        entry.mkdir()
    except OSError as error:
        raise ClientError(f"{root}: expected configfs-tsm, found {error.strerror}: is this a TEE?") from None
    try:
        (entry / "inblob").write_bytes(data)
        files = {"outblob": _await(entry / "outblob")}
        for name in ("auxblob", "provider", "generation"):
            with contextlib.suppress(FileNotFoundError):
                files[name] = _read(entry / name)
        if int(files.get("generation", b"1").strip() or b"1") != 1:
            return None
        return {"inblob": data, **files}
    except (OSError, ValueError) as error:
        raise ClientError(f"{entry}: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            entry.rmdir()


def _await(path: Path) -> bytes:
    """The kernel makes a reader wait; where the file may still be absent or busy, we do."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return _read(path)
        except (FileNotFoundError, InterruptedError, BlockingIOError):
            if time.monotonic() >= until:
                raise
            time.sleep(_POLL_SECONDS)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(_MAX_BLOB + 1)
    if len(raw) > _MAX_BLOB:
        raise OSError(f"more than {_MAX_BLOB} bytes")
    return raw
