"""What must hold in every state: each property names what is wrong, or finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from tests.model.protocol import Protocol
from tests.model.world import GOOD, OWN_KEY, Release, Secret, State, protected

SECRECY = "secrecy"
AGREEMENT = "the gateway releases what a guest asked for"
ONCE = "a challenge is ours, for one tenant, once"
GROUND = "a release rests on an attestation that counts"
GENUINE = "a guest believes genuine secrets only"
FRESH = "a guest believes current answers to its own question, once"
PROPERTIES = (SECRECY, AGREEMENT, ONCE, GROUND, GENUINE, FRESH)


class Broken(NamedTuple):
    """property: which one. said: what is wrong. release: the release that it took, as it was signed; None
    when it took none. guest: the session that believes it, by position, and read: what it reads; None when it
    is not about a guest's belief."""

    property: str
    said: str
    release: Release | None = None
    guest: int | None = None
    read: Release | None = None


def broken(protocol: Protocol, state: State) -> Broken | None:
    """The first property that does not hold in `state`."""
    releases = protocol.releases(state)
    found = chain(
        _challenges(state), _released(protocol, state, releases), _believed(protocol, state, releases)
    )
    return next(found, None)


def _challenges(state: State) -> Iterator[Broken]:
    seen = set()
    for attempt in state.attempts:
        mark = (attempt.gateway, attempt.nonce)
        if mark in seen:
            yield Broken(ONCE, f"gateway {attempt.gateway} accepts one challenge twice")
        seen.add(mark)


def _released(protocol: Protocol, state: State, releases: list[Release]) -> Iterator[Broken]:
    for release in releases:
        secret, row = release.jwe.content, state.attempts[release.row]
        assert isinstance(secret, Secret)
        if (release.jwe.key == OWN_KEY or protocol.gone("wrap", "key")) and protected(secret):
            yield Broken(SECRECY, f"the attacker opens {_place(secret)} of gateway {secret.gateway}", release)
        if row.kind != "attest":
            yield Broken(GROUND, "a secret is released on a background check", release)
        token = state.attempts[release.token]
        counted = min(protocol.counted(row, state), protocol.counted(token, state))
        if release.version not in protocol.versions(max(row.at, token.at), counted):
            yield Broken(GROUND, "a secret is released after its appraisal ran out", release)
        if state.attempts[release.opened].evidence.image == GOOD and not _meant(protocol, state, release):
            yield Broken(
                AGREEMENT,
                f"gateway {release.signer} releases {release.jwe.tenant}/{release.path} on evidence of the "
                "approved image, and no guest attested just that challenge, key, gateway and tenant",
                release,
            )


def _meant(protocol: Protocol, state: State, release: Release) -> bool:
    """Whether a guest session attested just this. No path is in it: what a request asks for is not bound."""
    return any(
        run is not None
        and run.nonce == release.nonce
        and run.key == release.jwe.key
        and config.gateway == release.signer
        and config.tenant == release.jwe.tenant
        for config, run in zip(protocol.guests, state.runs, strict=True)
    )


def _believed(protocol: Protocol, state: State, releases: list[Release]) -> Iterator[Broken]:
    taken: dict[tuple[object, ...], int] = {}
    for index, run in enumerate(state.runs):
        if run is None:
            continue
        config = protocol.guests[index]
        name = f"guest {index + 1}"
        for release, read in protocol.believed(index, run, releases):
            content = read.jwe.content
            if content != Secret(config.gateway, config.tenant, config.path, read.version):
                what = content if isinstance(content, str) else f"{_place(content)} version {content.version}"
                said = f"{name} takes {what} for {config.tenant}/{config.path} version {read.version}"
                yield Broken(GENUINE, said, release, index, read)
            if not _given(read, run.nonce, config.gateway, releases):
                said = f"{name} believes what its gateway did not say for that challenge"
                yield Broken(GENUINE, said, release, index, read)
            if read.version not in protocol.versions(run.at, state.now):
                said = f"{name} takes version {read.version}, which was replaced before it asked"
                yield Broken(FRESH, said, release, index, read)
            mark = (run.nonce, run.key, config, read.version)
            if taken.setdefault(mark, index) != index:
                said = (
                    f"guest {taken[mark] + 1} and {name} take one and the same release for the answer to each"
                )
                yield Broken(FRESH, said, release, index, read)


def _given(read: Release, nonce: str, gateway: str, releases: list[Release]) -> bool:
    """Whether the gateway signed just that for the guest's challenge."""
    meant = read._replace(signer=gateway, iss=gateway, aud=gateway, nonce=nonce)
    return any(release[:-3] == meant[:-3] for release in releases)


def _place(secret: Secret) -> str:
    return f"{secret.tenant}/{secret.path}"
