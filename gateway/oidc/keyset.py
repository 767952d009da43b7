"""The keys of an identity provider, as one worker holds them. No request waits for the provider.

What must stay true: only addresses of the configuration are asked, or the one that the provider's own
discovery document names on the provider's own host. A token that names an unknown key makes the thread that
fetches look again, at most once a minute, whoever sent it; the token itself is refused at once. Keys that
could not be fetched anew for a day count no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from gateway.collateral.dial import Dialler, Get, Outcome, Request
from gateway.config import is_loopback
from gateway.oidc import tokens
from gateway.oidc.settings import Oidc
from gateway.oidc.tokens import Key
from verifiers.codec import strictjson
from verifiers.errors import AttestationError

EVERY, GAP, MOST = 600.0, 60.0, 24 * 3600.0
"""Seconds: between two looks, at least between two when tokens name unknown keys, most that keys count
unseen."""
_MAX_DISCOVERY = 64 * 1024
_SECONDS = 10.0
log = logging.getLogger("sealgate.oidc")


class KeySet:
    """get: one bounded request. now: seconds from anywhere, never running backwards."""

    def __init__(
        self, settings: Oidc, *, get: Get | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._now = settings, now
        self._get = get or Dialler(ca_file=settings.ca_file, total_seconds=_SECONDS).get
        self._keys: Mapping[str, Key] = {}
        self._seen: float | None = None
        self._asked: float | None = None
        self._wanted = threading.Event()
        self.fetches = settings.jwks_file is None
        if settings.jwks_file is not None:
            self._keys = tokens.keys_of(settings.jwks_file.read_bytes())

    def key(self, kid: str) -> Key | None:
        """Never waits. None for what is not held, or was not seen at the provider for too long."""
        if self.fetches and (self._seen is None or self._now() - self._seen > MOST):
            self._wanted.set()
            return None
        found = self._keys.get(kid)
        if found is None and self.fetches:
            self._wanted.set()
        return found

    def due(self) -> float:
        """Seconds until the provider may be asked again, if that is wanted; else until it is anyway."""
        if self._asked is None:
            return 0.0
        return max(0.0, self._asked + (GAP if self._wanted.is_set() else EVERY) - self._now())

    def look(self) -> bool:
        """Ask the provider once. False, and what was held stays, when that came to nothing."""
        self._asked = self._now()
        self._wanted.clear()
        try:
            raw = self._fetch(self._settings.jwks_uri or self._discovered(), tokens.MAX_JWKS)
            self._keys = tokens.keys_of(raw)
        except ValueError as error:
            log.warning("keys of %s: %s", self._settings.issuer, error)
            return False
        self._seen = self._now()
        return True

    def keep_fresh(self, stop: threading.Event) -> None:
        """What the thread of a worker does for as long as that lives."""
        while not stop.is_set():
            wait = self.due()
            if wait <= 0:
                self.look()
            elif self._wanted.is_set():
                stop.wait(min(wait, 1.0))
            else:
                self._wanted.wait(min(wait, 1.0))

    def _discovered(self) -> str:
        """Where the provider says that its keys are; on its own host only. Raises ValueError."""
        issuer = self._settings.issuer
        raw = self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration", _MAX_DISCOVERY)
        try:
            value = strictjson.loads(raw, "discovery", limit=_MAX_DISCOVERY, max_depth=6)
        except AttestationError as error:
            raise ValueError(f"{error.where}: expected {error.expected}, found {error.found}") from None
        if not isinstance(value, dict) or value.get("issuer") != issuer:
            raise ValueError("its discovery document names another issuer")
        found = value.get("jwks_uri")
        if not isinstance(found, str) or urlsplit(found)[:2] != urlsplit(issuer)[:2]:
            raise ValueError("its jwks_uri is not on its own host: set [oidc] jwks_uri if that is meant")
        return found

    def _fetch(self, url: str, cap: int) -> bytes:
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("expected https")
        reply = self._get(Request(url=url, cap=cap))
        if reply.outcome is not Outcome.OK:
            raise ValueError(f"{url}: {reply.outcome} ({reply.detail})")
        return reply.body
