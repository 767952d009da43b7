"""An attack in words: what was done, step by step, and what is wrong then."""

from __future__ import annotations

from tests.model.protocol import Protocol
from tests.model.search import Attack
from tests.model.world import CHALLENGES, EVIL, EXPIRE, OWN_KEY, RESTORE, ROTATE, Attempt, Release, Run

_EVENTS = {
    ROTATE: "every secret is rotated: version 2 is the newest",
    EXPIRE: "time passes: challenges, tokens and appraisals run out, and used challenges are forgotten",
    RESTORE: "a database of before is restored: it does not know which challenges were used",
}


def told(attack: Attack) -> list[str]:
    """Numbered lines, the last one without a number."""
    protocol = attack.protocol
    lines = [_who(protocol, index) for index in range(len(protocol.guests)) if _plays(attack, index)]
    if protocol.rows:
        lines.append("the attacker can move sealed rows about in the database")
    steps = [_step(protocol, move) for move in attack.moves]
    if (release := attack.broken.release) is not None:
        steps += _release(attack, release)
    if attack.broken.guest is not None:
        steps.append(f"guest {attack.broken.guest + 1} is handed that{_changed(attack)}, and believes it")
    lines += [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    return [*lines, f"=> {attack.broken.property}: {attack.broken.said}"]


def _changed(attack: Attack) -> str:
    """What the attacker wrote into the release before the guest had it."""
    signed, read = attack.broken.release, attack.broken.read
    assert signed is not None and read is not None
    changes = [
        f"{name} {getattr(read, name)!r}"
        for name in ("version", "lease")
        if getattr(read, name) != getattr(signed, name)
    ]
    if read.jwe != signed.jwe:
        changes.append(f"a JWE of {_content(read)}")
    return f" with {' and '.join(changes)} in it instead" if changes else ""


def _content(release: Release) -> str:
    content = release.jwe.content
    return (
        content if isinstance(content, str) else f"{content.tenant}/{content.path} version {content.version}"
    )


def _who(protocol: Protocol, index: int) -> str:
    config = protocol.guests[index]
    return f"guest {index + 1} wants {config.tenant}/{config.path} of gateway {config.gateway}"


def _plays(attack: Attack, index: int) -> bool:
    return attack.state.runs[index] is not None


def _challenge(nonce: str) -> str:
    challenge = CHALLENGES.get(nonce)
    if challenge is None:
        return f"{nonce}, which no gateway made"
    return f"{nonce} (made by gateway {challenge.gateway} for {challenge.tenant})"


def _step(protocol: Protocol, move: tuple[object, ...]) -> str:
    if move[0] == "attest":
        _, index, run = move
        assert isinstance(run, Run) and isinstance(index, int)
        return f"guest {index + 1} is handed challenge {_challenge(run.nonce)} and attests it with {run.key}"
    if move[0] == "accept":
        attempt = move[1]
        assert isinstance(attempt, Attempt)
        return _accepted(protocol, attempt)
    return _EVENTS[str(move[0])]


def _accepted(protocol: Protocol, attempt: Attempt) -> str:
    where = f"gateway {attempt.gateway}, tenant {attempt.tenant}"
    said = f"challenge {attempt.nonce}, {attempt.key}"
    asked = "" if attempt.kind == "attest" else ", for a background check that never releases"
    if attempt.evidence.guest is not None:
        config = protocol.guests[attempt.evidence.guest]
        meant = f"which meant gateway {config.gateway}, tenant {config.tenant}"
        return f"{where}, accepts evidence of guest {attempt.evidence.guest + 1} ({meant}) with {said}{asked}"
    if attempt.evidence.image == EVIL:
        return f"{where}, accepts evidence of the attacker's own genuine TEE, made for {said}{asked}"
    return f"{where}, accepts what an approved guest attested under another protocol's label, with {said}"


def _release(attack: Attack, release: Release) -> list[str]:
    """The release as it was signed, and what the attacker had to do for it."""
    if release.token < 0:
        return ["the attacker signs a release with a key of their own"]
    lines = []
    token, opened = attack.state.attempts[release.token], attack.state.attempts[release.opened]
    if release.opened != release.row:
        lines.append("the attacker puts the submission of another attempt into the row of this one")
    if release.row != release.token:
        lines.append("the attacker presents a token with another attempt's jti in it")
    content = release.jwe.content
    what = (
        content if isinstance(content, str) else f"{content.tenant}/{content.path} version {content.version}"
    )
    key = "the attacker" if opened.key == OWN_KEY else opened.key
    lines.append(
        f"gateway {token.gateway} answers for {release.jwe.tenant}/{release.path} version {release.version}, "
        f"lease {release.lease}, challenge {release.nonce}: {what}, wrapped to {key}"
    )
    return lines
