"""A change of policies against what has happened: who would be refused now, who would be let in.

Claims that were verified at the time are judged again, under the policies of before and of after, as of that
time; signatures are not checked again, for no policy can change what they came to. A backtest says what would
have become of *these* attempts: what the corpus does not contain it says nothing about (`analysis/` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from policies.analysis.encode import Side
from policies.appraise import Settled, appraise, settle
from policies.model import ALL_REQUIREMENTS, Profile
from verifiers.model import Verdict, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One attempt that is kept. policy: name of the release policy that judged it, None when none did.
    refused: paths that it asked for and did not get."""

    attempt: str
    at: datetime
    profile: Profile
    policy: str | None
    refused: tuple[str, ...]
    verification: Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """An attempt that comes out otherwise. reason: of the verdict that is not accepted. machine: whose it
    was, as far as evidence tells."""

    attempt: str
    at: datetime
    machine: str
    was: Verdict
    now: Verdict
    reason: str | None
    rule: str | None


@dataclass(slots=True)
class Tally:
    """matrix: (verdict before, verdict after) to how many. rules: of the policy of after, how often each let
    something pass."""

    matrix: Counter[tuple[Verdict, Verdict]] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    turned: list[Turned] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.matrix.total()

    @property
    def newly_refused(self) -> tuple[Turned, ...]:
        return tuple(each for each in self.turned if each.was is Verdict.ACCEPTED)

    @property
    def newly_allowed(self) -> tuple[Turned, ...]:
        return tuple(each for each in self.turned if each.now is Verdict.ACCEPTED)


def run(pasts: Iterable[Past], before: Side, after: Side, tally: Tally) -> Iterator[Past]:
    """Judge each attempt under both, count it in `tally`, and give it back (for whoever shows progress)."""
    for past in pasts:
        was, now = _judged(past, before), _judged(past, after)
        tally.matrix[was.verdict, now.verdict] += 1
        if now.rule is not None:
            tally.rules[now.rule] += 1
        if was.verdict is not now.verdict:
            stricter = after if was.verdict is Verdict.ACCEPTED else before
            tally.turned.append(
                Turned(
                    attempt=past.attempt,
                    at=past.at,
                    machine=_machine(past.verification),
                    was=was.verdict,
                    now=now.verdict,
                    reason=_reason(past, stricter),
                    rule=now.rule or was.rule,
                )
            )
        yield past


def _judged(past: Past, side: Side) -> Settled:
    return settle(
        past.verification,
        side.sets.values(),
        side.policy,
        past.at,
        required=ALL_REQUIREMENTS,
        profile=past.profile,
    )


def _reason(past: Past, side: Side) -> str | None:
    """Only what turned needs one, so only that is appraised in full."""
    return appraise(
        past.verification,
        side.sets.values(),
        side.policy,
        past.at,
        required=ALL_REQUIREMENTS,
        profile=past.profile,
    ).reason


_IDENTITIES = ("snp.chip_id", "tdx.pck.ppid", "sgx.pck.ppid")


def _machine(verification: Verification) -> str:
    """Chip id or PPID; what hides it has none."""
    for name in _IDENTITIES:
        value = verification.claims.get(name)
        if isinstance(value, bytes) and any(value):
            return value.hex()
    return "hidden"
