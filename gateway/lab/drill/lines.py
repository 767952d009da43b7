"""What a drill tries, line by line, and what must come of it.

A line plays on fresh ground and says in words what users saw, phase by phase; what it must say stands beside
it. Most lines are outages: one fault, everywhere at once, for longer than any collateral lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from gateway.lab.drill.ground import RELEASED, Ground

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEPT, CLOSED, RECOVERED, REFUSED = "kept releasing", "failed closed", "recovered", "refused"
_LIFE = 30 * DAY
"""What the lab's documents live, like the vendors'; root CRLs a year."""
_FEW = 45
"""VCEKs that one client may have looked up at once (32), and a few more within the hour."""

Play = Callable[[Ground], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """name: for --only. expected: what each phase must say. short: part of the short drill. fault: pattern,
    name and settings of an outage, for drills that cannot move the clock. settings: of the gateway's
    [collateral] table, where a line needs others."""

    name: str
    title: str
    expected: tuple[str, ...]
    play: Play
    short: bool = False
    fault: tuple[str, str, Mapping[str, object]] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


def outage(pattern: str, fault: str, **settings: object) -> Play:
    """A fault that begins when everything is well and lasts until nothing held is valid any more; then it is
    mended. Says what became of what vendors sent, then the three phases."""

    def play(ground: Ground) -> tuple[str, ...]:
        start = _warm(ground)
        if start:
            return (start,)
        rule = ground.lab.set(pattern, fault, **settings)
        seen = []
        for step in (25 * HOUR, 9 * DAY, 10 * DAY, 9 * DAY):
            ground.pass_time(step)
            seen.append(ground.both())
        during = _word(seen, KEPT)
        ground.pass_time(ground.born + _LIFE + DAY - ground.clock.now())
        after = ground.both()
        end = KEPT if after == RELEASED else CLOSED if for_want_of_collateral(after) else after
        ground.lab.unset(rule)
        # Whoever was asked for in vain is tried again after an hour, absent things after a day.
        for _ in range(3):
            ground.pass_time(13 * HOUR)
        mended = _word([ground.both()], RECOVERED)
        refused = ", ".join(sorted(ground.reported()))
        came = f"refused as {refused}" if refused else _REFRESHED if end == KEPT else _NOTHING
        return came, during, end, mended

    return play


def _warm(ground: Ground) -> str:
    """Fetch everything; "" when both guests then get their secret, else what they are told."""
    ground.refresh()
    found = ground.both()
    return "" if found == RELEASED else f"never began: {found}"


def _word(seen: list[str], good: str) -> str:
    """`good` when every guest got its secret every time, else the first thing that somebody was told."""
    return next((each for each in seen if each != RELEASED), good)


def for_want_of_collateral(told: str) -> bool:
    """Was everybody refused, and for nothing but collateral?"""
    words = told.replace(",", "").split()
    return all(word.startswith("collateral.") for word in words if word not in ("snp", "tdx"))


# --- other than outages ----------------------------------------------------------------------------


def _revoked(endpoint: str, **who: object) -> Play:
    """A newer CRL lists somebody. Says who is told what a day later, and two editions after that was undone:
    whoever was on the last list or the one before is refused."""

    def play(ground: Ground) -> tuple[str, ...]:
        start = _warm(ground)
        if start:
            return (start,)
        rule = ground.lab.set(endpoint, "revoked", **who)
        ground.pass_time(25 * HOUR)
        told = ground.both()
        ground.lab.unset(rule)
        for _ in range(3):
            ground.pass_time(25 * HOUR)
        return told, _word([ground.both()], RECOVERED)

    return play


def _promotion(ground: Ground) -> tuple[str, ...]:
    """Intel's standard channel moves to the next TCB recovery: some machines become out of date."""
    start = _warm(ground)
    if start:
        return (start,)
    ground.lab.promote()
    ground.pass_time(25 * HOUR)
    return f"old {ground.ask(ground.tdx())}", f"patched {ground.ask(ground.tdx(level='Next'))}"


def _rollback_after_promotion(ground: Ground) -> tuple[str, ...]:
    """Somebody serves what was genuine before the promotion, to let old machines in again."""
    start = _warm(ground)
    if start:
        return (start,)
    ground.lab.promote()
    ground.pass_time(25 * HOUR)
    promoted = ground.ask(ground.tdx())
    ground.lab.set("intel.tcb-info", "older")
    ground.lab.set("intel.qe-identity", "older")
    ground.pass_time(25 * HOUR)
    same = "no change" if ground.ask(ground.tdx()) == promoted else "changed its mind"
    return same, f"refused as {', '.join(sorted(ground.reported())) or 'nothing'}"


def _cold(ground: Ground) -> tuple[str, ...]:
    """A gateway is started for the first time while the vendors are down."""
    rule = ground.lab.set("*", "refused")
    ground.refresh()
    first = ground.both()
    ground.lab.unset(rule)
    ground.pass_time(2 * HOUR)
    return CLOSED if for_want_of_collateral(first) else first, _word([ground.both()], RECOVERED)


def _new_chip(fault: str, **settings: object) -> Play:
    """A machine never seen before comes without its VCEK while AMD has trouble; others do not notice."""

    def play(ground: Ground) -> tuple[str, ...]:
        start = _warm(ground)
        if start:
            return (start,)
        rule = ground.lab.set("amd.vcek", fault, **settings)
        machine = ground.snp(seed="a machine that is new here")
        ground.ask(machine, bare=True)
        ground.pass_time(HOUR)
        told, others = ground.ask(machine, bare=True), ground.both()
        ground.lab.unset(rule)
        ground.pass_time(25 * HOUR)
        return (
            f"new {CLOSED if for_want_of_collateral(told) else told}",
            f"others {_word([others], KEPT)}",
            f"new {_word([ground.ask(machine, bare=True)], RECOVERED)}",
        )

    return play


def _strangers(ground: Ground) -> tuple[str, ...]:
    """One client makes up chip after chip. AMD's quota is not its to spend: no pace but the client's own
    budget holds it back here."""
    start = _warm(ground)
    if start:
        return (start,)
    for number in range(100):
        ground.ask(ground.snp(seed=f"made up {number}"), bare=True)
    ground.pass_time(HOUR)
    asked = ground.lab.journal.count("amd.vcek")
    few = "few calls" if 0 < asked <= _FEW else f"{asked} calls"
    return few, _word([ground.both()], KEPT)


_NOTHING, _REFRESHED = "nothing came", "refreshed"


def _refused_as(what: str) -> tuple[str, ...]:
    return f"refused as {what}", KEPT, CLOSED, RECOVERED


_TDX_ONLY = (
    "refused as not-genuine",
    KEPT,
    "snp released, tdx collateral.tcb-missing",
    RECOVERED,
)
_OUTAGE = (_NOTHING, KEPT, CLOSED, RECOVERED)
_HARMLESS = (_REFRESHED, KEPT, KEPT, RECOVERED)


def _everywhere(
    name: str,
    title: str,
    expected: tuple[str, ...],
    fault: str,
    /,
    *,
    short: bool = False,
    pattern: str = "*",
    **settings: object,
) -> Line:
    return Line(
        name=name,
        title=title,
        expected=expected,
        play=outage(pattern, fault, **settings),
        short=short,
        fault=(pattern, fault, settings),
    )


LINES: tuple[Line, ...] = (
    _everywhere("down", "nobody listens at any vendor", _OUTAGE, "refused", short=True),
    _everywhere("hang-up", "connections are closed without an answer", _OUTAGE, "hang-up"),
    _everywhere("slow", "answers take longer than we wait", _OUTAGE, "slow", before_s=5),
    _everywhere("dribble", "answers come byte by byte for ever", _OUTAGE, "slow", before_s=0, within_s=60),
    _everywhere("throttled", "429, come back in 60 s", _OUTAGE, "throttled", short=True, retry_after=60),
    _everywhere("throttled-date", "429, come back at a date", _OUTAGE, "throttled", form="date"),
    _everywhere("throttled-nonsense", "429, come back soon", _OUTAGE, "throttled", form="nonsense"),
    _everywhere("error-500", "500 to everything", _OUTAGE, "error", status=500),
    _everywhere("error-404", "404 to everything", _OUTAGE, "error", status=404),
    _everywhere("half-sent", "half of every body", _OUTAGE, "half-sent"),
    _everywhere("oversized", "8 MiB where 2 KiB are right", _OUTAGE, "oversized"),
    _everywhere("oversized-open", "the same, and no length is told", _OUTAGE, "oversized", length="open"),
    _everywhere("gzip-bomb", "64 MiB of zeros in a small body", _OUTAGE, "gzip-bomb"),
    _everywhere("redirect", "302 to another host", _OUTAGE, "redirect"),
    _everywhere("portal", "200 and a page in HTML", _refused_as("not-genuine"), "captive-portal"),
    _everywhere("stale", "genuine, but past nextUpdate", _refused_as("too-old"), "stale", short=True),
    _everywhere("not-yet", "genuine, but of the future", _refused_as("too-old"), "not-yet", by_s=86_400),
    _everywhere("rollback", "genuine and valid, but older than held", _refused_as("rolled-back"), "older",
                short=True),
    _everywhere("forged", "signatures are wrong", _refused_as("not-genuine"), "forged", short=True),
    _everywhere("other-root", "right names, another root", _refused_as("not-genuine"), "other-root"),
    _everywhere("wrong-subject", "about another chip, FMSPC or issuer", _refused_as("not-genuine"),
                "wrong-subject"),
    _everywhere("duplicate-keys", "signed JSON that can be read two ways", _TDX_ONLY, "duplicate-keys",
                pattern="intel.*"),
    _everywhere("content-type", "right bodies, wrong media type", _HARMLESS, "content-type"),
    _everywhere("warning", "a Warning header on every answer", _HARMLESS, "warning"),
    Line(name="revoked-ask", title="AMD revokes the key above Genoa's VCEKs", short=True,
         expected=("snp snp.revoked, tdx released", RECOVERED), play=_revoked("amd.crl", who="ask")),
    Line(name="revoked-asvk", title="AMD revokes the key above VLEKs", expected=(RELEASED, RECOVERED),
         play=_revoked("amd.crl", who="asvk")),
    Line(name="revoked-pck", title="Intel revokes this platform's PCK",
         expected=("snp released, tdx dcap.revoked", RECOVERED), play=_revoked("intel.pck-crl")),
    Line(name="revoked-ca", title="Intel revokes the Platform CA",
         expected=("snp released, tdx dcap.revoked", RECOVERED), play=_revoked("intel.root-crl")),
    Line(name="revoked-signer", title="Intel revokes its TCB signing key",
         expected=("snp released, tdx dcap.revoked", RECOVERED),
         play=_revoked("intel.root-crl", who="tcb-signer")),
    Line(name="promotion", title="a TCB recovery's grace period ends", short=True,
         expected=("old tdx.tcb-status", "patched released"), play=_promotion),
    Line(name="promotion-undone", title="what was served before it comes back",
         expected=("no change", "refused as rolled-back"), play=_rollback_after_promotion),
    Line(name="cold", title="first start while vendors are down", expected=(CLOSED, RECOVERED), play=_cold,
         short=True),
    Line(name="new-throttled", title="a new machine while AMD throttles", short=True,
         expected=(f"new {CLOSED}", f"others {KEPT}", f"new {RECOVERED}"),
         play=_new_chip("throttled", retry_after=3600)),
    Line(name="new-unknown", title="a new machine that AMD does not know yet",
         expected=(f"new {CLOSED}", f"others {KEPT}", f"new {RECOVERED}"),
         play=_new_chip("error", status=404)),
    Line(name="strangers", title="one client makes up a hundred chips", expected=("few calls", KEPT),
         play=_strangers, settings={"amd_seconds": 0}),
)  # fmt: skip
"""In the order in which they are played."""
