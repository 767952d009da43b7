"""Native challenges: tokens that only this gateway can have made, and that are good once.

Nothing is stored when a challenge is given out, so asking for challenges costs the gateway nothing. What is
stored is that one was *used*, until it would have expired anyway.

    base64url( version u8 = 1 ‖ issued u64be, seconds since 1970 ‖ random 16 bytes ‖ epoch u32be ‖ MAC )
    MAC = HMAC-SHA-256(nonce key, fields("sealgate/1 native nonce", tenant, the first 29 bytes))

The epoch belongs to the store and changes whenever the gateway starts with nobody else having the store
open. A restored backup has forgotten which challenges were used, and restoring one needs a full stop, so
challenges from before it are of another epoch and void. A backup that is *moved* into the place of a store
in use is noticed too: every process then refuses to work. Limit: a backup that is written *into* the file
of a store in use is not noticed (and destroys it); the runbook says to stop every process first.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta

from gateway.encoding import fields, u64
from gateway.errors import GatewayError, GatewayReason
from gateway.ports import NONCE_LIFETIME, Clock, Keys, NonceStore, Random
from verifiers.codec import b64
from verifiers.errors import EvidenceFormatError

VERSION = 1
SIZE = 61
"""Bytes; 82 characters."""
CLOCK_SKEW = timedelta(seconds=30)
"""By how much another replica's clock may be ahead of ours."""
_LABEL = b"sealgate/1 native nonce"
_UNSIGNED = SIZE - 32
_ID = slice(9, 25)
_LAST_SECOND = 253370764800  # the year 9999 begins: a lifetime more still fits into a datetime


def issue(tenant: str, *, clock: Clock, random: Random, keys: Keys, store: NonceStore) -> str:
    """A fresh challenge for one tenant: 82 characters of base64url."""
    issued = int(clock.now().timestamp())
    unsigned = VERSION.to_bytes(1, "big") + u64(issued) + random.bytes(16) + store.epoch().to_bytes(4, "big")
    return b64.encode_url(unsigned + _mac(keys, tenant, unsigned))


def take(nonce: str, tenant: str, now: datetime, *, keys: Keys, store: NonceStore) -> datetime:
    """Use up `nonce`; the time at which it was issued, when it may be relied on.

    An authentic challenge of this epoch that has not expired is consumed by the first attempt, whatever
    that attempt comes to afterwards. Raises GatewayError: NONCE_MALFORMED, NONCE_FORGED (other keys,
    another tenant, changed), NONCE_EXPIRED (`NONCE_LIFETIME` has passed, or the gateway was restarted),
    NONCE_USED, NONCE_FUTURE (issued more than `CLOCK_SKEW` from now; used up all the same).
    """
    raw = _read(nonce)
    unsigned, mac = raw[:_UNSIGNED], raw[_UNSIGNED:]
    if not hmac.compare_digest(mac, _mac(keys, tenant, unsigned)):
        raise _refuse(GatewayReason.NONCE_FORGED, "one of this gateway, for this tenant", "another")
    issued = datetime.fromtimestamp(min(int.from_bytes(raw[1:9], "big"), _LAST_SECOND), UTC)
    expires = issued + NONCE_LIFETIME
    if now >= expires:
        raise _refuse(GatewayReason.NONCE_EXPIRED, f"before {expires.isoformat()}", now.isoformat())
    epoch = int.from_bytes(raw[25:29], "big")
    if epoch != store.epoch():
        raise _refuse(
            GatewayReason.NONCE_EXPIRED, "one from after the gateway's last start", "one from before"
        )
    if not store.consume(tenant, VERSION.to_bytes(1, "big") + raw[_ID], expires, epoch=epoch):
        raise _refuse(GatewayReason.NONCE_USED, "one that was not used yet", "one that was")
    if issued > now + CLOCK_SKEW:
        raise _refuse(GatewayReason.NONCE_FUTURE, f"issued by {now.isoformat()}", issued.isoformat())
    return issued


def _read(nonce: str) -> bytes:
    try:
        raw = b64.decode_url(nonce, "nonce", limit=SIZE)
    except EvidenceFormatError as error:
        raise _refuse(GatewayReason.NONCE_MALFORMED, error.expected, "another text") from None
    if len(raw) != SIZE or raw[0] != VERSION:
        raise _refuse(GatewayReason.NONCE_MALFORMED, f"{SIZE} bytes of version {VERSION}", "others")
    return raw


def _mac(keys: Keys, tenant: str, unsigned: bytes) -> bytes:
    return keys.nonce_mac(fields(_LABEL, tenant.encode(), unsigned))


def _refuse(reason: GatewayReason, expected: str, found: str) -> GatewayError:
    return GatewayError(
        reason,
        "ask for a new challenge and make the evidence anew",
        where="nonce",
        expected=expected,
        found=found,
    )
