"""From a token of the identity provider to one of our administrators."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import admins
from gateway.admins import Administrator
from gateway.encoding import fields
from gateway.oidc import tokens
from gateway.oidc.keyset import KeySet
from gateway.oidc.settings import Oidc
from gateway.ports import AdministratorStore, Clock, Keys

_LABEL = b"sealgate/1 oidc subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """keys: ours. A person's id is keyed with them: nobody who reads the ledger can try names against it."""

    settings: Oidc
    keyset: KeySet
    keys: Keys
    administrators: AdministratorStore

    def administrator(self, token: str, clock: Clock) -> Administrator:
        """Raises GatewayError: UNAUTHENTICATED, ROLE, FORBIDDEN, as `tokens.check` and
        `admins.from_provider`; STORE_UNAVAILABLE."""
        key = self.keyset.key(tokens.kid_of(token, self.settings))
        if key is None:
            raise tokens.refused("a key that is held here; if it is new, again in a minute")
        person = tokens.check(token, key, self.settings, clock.now())
        named = fields(_LABEL, self.settings.issuer.encode(), person.subject.encode())
        return admins.from_provider(
            self.keys.nonce_mac(named)[:8].hex(),
            person.tenant,
            person.roles,
            store=self.administrators,
            clock=clock,
        )
