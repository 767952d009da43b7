"""The rules: what guests and gateways answer, and everything that an attacker on the network can make of it.

`removed` names bound fields ("runtime data.aud") that are left out of what is authenticated. A field that is
left out travels beside it: whoever needs its value takes what the attacker says; whoever has an own idea of
it compares nothing. With nothing removed these are the rules of the code; the file beside each says which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from tests.model.world import (
    CHALLENGES,
    EVIL,
    EXPIRE,
    FORGED,
    GOOD,
    HONEST,
    MADE_UP,
    MALLORY,
    ONE,
    OWN_KEY,
    RESTORE,
    ROTATE,
    TWO,
    Attempt,
    Config,
    Evidence,
    Jwe,
    Release,
    Run,
    Runtime,
    Secret,
    State,
    admits,
    admitted,
    lease_of,
)

LABEL = "sealgate/1 runtime-data"
PATHS = ("disk", "log")
MOST_ATTEMPTS = 2
"""Accepted attestations in one run of the model."""


@dataclass(frozen=True)
class Protocol:
    """One bounded world. rows: the attacker can also move sealed rows about in the gateways' databases."""

    guests: tuple[Config, ...]
    script: tuple[str, ...]
    rows: bool = False
    removed: frozenset[str] = frozenset()

    def gone(self, place: str, field: str) -> bool:
        return bool(self.removed) and f"{place}.{field}" in self.removed

    def start(self) -> State:
        return State((None,) * len(self.guests), (), frozenset(), 0)

    def happened(self, event: str, since: int, until: int) -> bool:
        return event in self.script[since:until]

    # --- challenges (gateway/nonces.py) ----------------------------------------------------------------

    @cached_property
    def challenges(self) -> tuple[str, ...]:
        """Challenges as their authenticated bytes tell them apart."""
        if not self.gone("challenge", "random"):
            return tuple(CHALLENGES)
        first: dict[object, str] = {}
        for name, challenge in CHALLENGES.items():
            first.setdefault(challenge.gateway if self.gone("challenge", "tenant") else challenge, name)
        return tuple(first.values())

    def counts(self, nonce: str, gateway: str, tenant: str, state: State) -> bool:
        """Whether `take` takes it: MAC, tenant, age, epoch, and used once."""
        challenge = CHALLENGES.get(nonce)
        return (
            challenge is not None
            and challenge.gateway == gateway
            and (challenge.tenant == tenant or self.gone("challenge", "tenant"))
            and (not self.happened(EXPIRE, 0, state.now) or self.gone("challenge", "issued"))
            and (not self.happened(RESTORE, 0, state.now) or self.gone("challenge", "epoch"))
            and ((tenant, nonce) not in state.spent or self.gone("challenge", "random"))
        )

    # --- moves -----------------------------------------------------------------------------------------

    def moves(self, state: State) -> Iterator[tuple[State, tuple[object, ...]]]:
        """Every next state, and what was done."""
        if state.now < len(self.script):
            event = self.script[state.now]
            spent = state.spent if event == ROTATE else frozenset[tuple[str, str]]()
            yield state._replace(now=state.now + 1, spent=spent), (event,)
        for index, run in enumerate(state.runs):
            if run is None:
                for nonce in (*self.challenges, MADE_UP):
                    made = Run(nonce, self.key_of(index), state.now)
                    runs = (*state.runs[:index], made, *state.runs[index + 1 :])
                    yield state._replace(runs=runs), ("attest", index, made)
        if len(state.attempts) < MOST_ATTEMPTS:
            for attempt in dict.fromkeys(self.acceptable(state)):
                attempts = tuple(sorted((*state.attempts, attempt), key=_order))
                spent = state.spent | {(attempt.tenant, attempt.nonce)}
                yield state._replace(attempts=attempts, spent=spent), ("accept", attempt)

    def key_of(self, index: int) -> str:
        """A fresh key for each session (gateway/guest.py), or one for each machine."""
        if self.gone("guest", "fresh key"):
            return f"the key of machine {self.guests.index(self.guests[index]) + 1}"
        return f"the key of guest {index + 1}"

    def known_keys(self, state: State) -> tuple[str, ...]:
        return (OWN_KEY, *(run.key for run in state.runs if run is not None))

    def acceptable(self, state: State) -> Iterator[Attempt]:
        """What a gateway accepts now (gateway/pipeline.py, gateway/admission.py). What is refused only uses a
        challenge up, which helps nobody."""
        for index, run in enumerate(state.runs):
            if run is not None:
                config = self.guests[index]
                meant = Runtime(LABEL, run.nonce, run.key, config.gateway, config.tenant)
                yield from self.accepted(state, Evidence(GOOD, index), meant)
        yield from self.accepted(state, Evidence(EVIL, None), None)
        if self.gone("runtime data", "label"):  # else the other protocol's label is in that digest
            yield from self.accepted(state, Evidence(GOOD, None), None)

    def accepted(self, state: State, evidence: Evidence, meant: Runtime | None) -> Iterator[Attempt]:
        """meant: the runtime data that the report data is the digest of; None when the attacker chooses it.
        What is bound is what was meant, everything else is what the attacker writes."""

        def written(field: str, value: str, others: Sequence[str]) -> Sequence[str]:
            return others if meant is None or self.gone("runtime data", field) else (value,)

        value = meant or Runtime(LABEL, "", "", "", "")
        nonces = written("nonce", value.nonce, self.challenges)
        keys = written("key", value.key, self.known_keys(state))
        auds = written("aud", value.aud, (ONE, TWO))
        tenants = written("tenant", value.tenant, (HONEST, MALLORY))
        kinds = ("attest",) if evidence.guest is None else ("attest", "verify")
        for nonce, aud, tenant in product(nonces, auds, tenants):
            # The gateway wants its own name there, and the tenant under whose address it was asked.
            if self.counts(nonce, aud, tenant, state) and evidence.image in admitted(tenant):
                for key, kind in product(keys, kinds):
                    yield Attempt(aud, tenant, nonce, key, evidence, kind, state.now)

    # --- releases (gateway/releasing.py): whatever may be released is released at once ------------------

    def releases(self, state: State) -> list[Release]:
        """Everything that the gateways can be made to sign by now, at attestation or for a token: every token
        travels, so the attacker has them all."""
        out = []
        for tenant, token, row, since, until in self.grounds(state):
            for opened in self.submissions(state, row):
                found = state.attempts[opened]
                for path in PATHS:
                    if found.evidence.image in admits(tenant, path):
                        for version in self.versions(max(since, found.at), until):
                            out += self.signed(found, tenant, path, version, (token, row, opened))
        return out

    def grounds(self, state: State) -> Iterator[tuple[str, int, int, int, int]]:
        """(tenant, token, row, since, until): for which tenant, with whose token, on which stored appraisal
        something may be released, from when to when (`own_token` and `releasable`, gateway/admission.py)."""
        for token, asked in enumerate(state.attempts):
            for row, stored in enumerate(state.attempts):
                if stored.gateway != asked.gateway or (row != token and not self.gone("result token", "jti")):
                    continue
                for tenant in (HONEST, MALLORY):
                    if self.refused(asked, stored, tenant):
                        continue
                    until = min(
                        self.end(asked, state, "result token.exp"),
                        self.end(stored, state, "stored appraisal.expires"),
                    )
                    since = max(asked.at, stored.at)
                    if since <= until:
                        yield tenant, token, row, since, until

    def refused(self, asked: Attempt, stored: Attempt, tenant: str) -> bool:
        return (
            (asked.tenant != tenant and not self.gone("result token", "sealgate.tenant"))
            or (asked.kind != "attest" and not self.gone("result token", "sealgate.purpose"))
            or (stored.tenant != tenant and not self.gone("stored appraisal", "tenant"))
            or (stored.kind != "attest" and not self.gone("stored appraisal", "releasable"))
        )

    def end(self, attempt: Attempt, state: State, field: str) -> int:
        """Position in the script until which this attempt's result counts, as far as it has come."""
        for position in range(attempt.at, state.now):
            if self.script[position] == EXPIRE and field not in self.removed:
                return position
        return state.now

    def counted(self, attempt: Attempt, state: State) -> int:
        """As `end`, whatever is removed."""
        return self.end(attempt, state, "nothing")

    def versions(self, since: int, until: int) -> tuple[int, ...]:
        """Versions that were the newest at some time in between."""
        first = 1 + self.script[:since].count(ROTATE)
        last = 1 + self.script[:until].count(ROTATE)
        return tuple(range(first, last + 1))

    def submissions(self, state: State, row: int) -> Iterator[int]:
        """What is opened for a release: the row's own submission, or what the attacker put in its place."""
        yield row
        stored = state.attempts[row]
        for index, other in enumerate(state.attempts if self.rows else ()):
            same = other.tenant == stored.tenant or self.gone("sealed evidence", "tenant")
            if index != row and other.gateway == stored.gateway and same and other.kind == "attest":
                yield index

    def contents(self, secret: Secret) -> Iterator[Secret]:
        """What opens in the place of `secret` (gateway/secrets.py): itself, or a row that looks the same."""
        yield secret
        for tenant, path, version in product(
            (HONEST, MALLORY), PATHS, range(1, secret.version + 1) if self.rows else ()
        ):
            other = Secret(secret.gateway, tenant, path, version)
            if other != secret and not (
                (tenant != secret.tenant and not self.gone("sealed secret", "tenant"))
                or (path != secret.path and not self.gone("sealed secret", "path"))
                or (version != secret.version and not self.gone("sealed secret", "version"))
            ):
                yield other

    def signed(
        self, opened: Attempt, tenant: str, path: str, version: int, ground: tuple[int, int, int]
    ) -> Iterator[Release]:
        """The statement over what was opened, wrapped to the key that is in it."""
        gateway = opened.gateway
        for secret in self.contents(Secret(gateway, tenant, path, version)):
            yield Release(
                signer=gateway,
                iss=gateway,
                aud=gateway,
                nonce=opened.nonce,
                path=path,
                version=version,
                lease=lease_of(path),
                jwe=Jwe(opened.key, secret, tenant),
                token=ground[0],
                row=ground[1],
                opened=ground[2],
            )

    # --- what a guest believes (gateway/release/native.py) ----------------------------------------------

    def believed(self, index: int, run: Run, releases: list[Release]) -> Iterator[tuple[Release, Release]]:
        """Releases that guest `index` accepts: each as it was signed, and as the guest reads it."""
        config, gone = self.guests[index], self.gone
        jwes = [release.jwe for release in releases]
        forged = [Jwe(run.key, FORGED, config.tenant)]
        if gone("guest", "pinned keys"):
            said = (config.gateway, config.gateway, run.nonce, config.path, 1, lease_of(config.path))
            releases = [*releases, Release("nobody", *said, forged[0], -1, -1, -1)]
        for release in releases:
            if release.signer != config.gateway and not gone("guest", "pinned keys"):
                continue
            if not (
                (release.iss == config.gateway or gone("release", "iss"))
                and (release.aud == config.gateway or gone("release", "aud"))
                and (release.nonce == run.nonce or gone("release", "nonce"))
                and (release.path == config.path or gone("release", "path"))
            ):
                continue
            versions = (release.version, 7) if gone("release", "version") else (release.version,)
            leases = (release.lease, "for ever") if gone("release", "lease") else (release.lease,)
            for jwe in [*jwes, *forged] if gone("release", "jwe") else [release.jwe]:
                if jwe.key != run.key or (jwe.tenant != config.tenant and not gone("wrap", "cty")):
                    continue
                for version, lease in product(versions, leases):
                    yield release, release._replace(version=version, lease=lease, jwe=jwe)


def _order(attempt: Attempt) -> tuple[object, ...]:
    return (*attempt[:4], attempt.evidence.image, str(attempt.evidence.guest), attempt.kind, attempt.at)
