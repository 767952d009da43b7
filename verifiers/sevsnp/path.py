"""Checks of the certificate path: chain, names, dates, revocation; each a question of its own.

Sources: AMD 57230, chapters 2 to 4; RFC 5280, sections 5 and 6. A CRL from the ARK can only name ASK and
ASVK: every leaf has serial 0, so single chips are denied by hwID (a policy's list), never by serial.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from verifiers.crypto.crl import MAX_VERIFIED, Crl
from verifiers.errors import Reason
from verifiers.model import AnchorSet, Check, Outcome
from verifiers.sevsnp import roots
from verifiers.sevsnp.abi import SigningKey, SnpReport
from verifiers.sevsnp.chain import MAX_CERTIFICATES, Judged, Leaf
from verifiers.sevsnp.roots import Role

PASSED, FAILED, UNKNOWN, NOT_CHECKED = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.NOT_CHECKED,
)

KDS = "AMD 57230 (VCEK certificates and KDS)"
RFC5280 = "RFC 5280, sections 5 and 6"
_CHAIN = "signatures from the leaf to a pinned AMD key"
_NAMES = "AMD's names; no CA flag and no critical extension in the leaf"
_DATES = "leaf, intermediate and root valid now"
_REVOCATION = "ASK or ASVK not revoked by a current CRL of its ARK"
_NO_SIMULATION = "no simulated evidence"

_NAMES_OK = Check("snp.chain-names", PASSED, _NAMES, "as expected", KDS)
_SIMULATED_OK = Check(
    "evidence.simulated", PASSED, "simulated evidence allowed", "the simulator's root", "AnchorSet"
)
_SIMULATED_REFUSED = Check(
    "evidence.simulated",
    FAILED,
    _NO_SIMULATION,
    "the simulator's root",
    "AnchorSet",
    Reason.SIMULATED,
    "present evidence of a real machine; simulated evidence counts in development mode only",
)


def simulated(leaf: Leaf | None, anchors: AnchorSet) -> Iterator[Check]:
    """One check when the simulator's keys vouch for the leaf, none otherwise."""
    if leaf is not None and leaf.simulated:
        yield _SIMULATED_OK if leaf.trusted_under(anchors) else _SIMULATED_REFUSED


def absent(report: SnpReport, judged: Judged) -> tuple[Outcome, str, str, str | None]:
    """Why there is no leaf: outcome, what was found, reason, fix."""
    vlek = report.signing_key is SigningKey.VLEK
    reason = Reason.SNP_VLEK_MISSING if vlek else Reason.SNP_VCEK_MISSING
    if judged.too_many is not None:
        limit = f"give at most {MAX_CERTIFICATES} certificates"
        return FAILED, judged.too_many, Reason.COLLATERAL_MALFORMED, limit
    found = f"no {'VLEK' if vlek else 'VCEK'} certificate"
    if judged.malformed:
        # Whether one of them was the leaf nobody can tell.
        more = f" and {len(judged.malformed) - 1} more" if len(judged.malformed) > 1 else ""
        found += f"; cannot be read: {judged.malformed[0]}{more}"
    if vlek:
        return UNKNOWN, found, reason, "give the VLEK certificate that the provider hands out"
    return UNKNOWN, found, reason, "give the VCEK certificate of this chip and TCB, from KDS"


def chain(leaf: Leaf | None, report: SnpReport, judged: Judged, anchors: AnchorSet) -> Check:
    if leaf is None:
        outcome, found, reason, fix = absent(report, judged)
        return Check("snp.chain", outcome, _CHAIN, found, KDS, reason, fix)
    cert, issuer = leaf.certificate, leaf.issuer
    if issuer is None:
        return Check(
            "snp.chain",
            FAILED,
            _CHAIN,
            f"{cert.subject_cn} by {cert.issuer_cn[:64]!r}, and no pinned key of that name signed it",
            KDS,
            Reason.SNP_CHAIN,
            "give the certificate that AMD's KDS serves for this chip and TCB",
        )
    found = f"{cert.subject_cn} by {issuer.cn} by ARK-{issuer.product}"
    if not leaf.trusted_under(anchors):
        return Check("snp.chain", FAILED, _CHAIN, f"{found}, all simulated", KDS, Reason.SIMULATED)
    return Check("snp.chain", PASSED, _CHAIN, found, KDS)


def names(leaf: Leaf | None, report: SnpReport, judged: Judged) -> Check:
    if leaf is None:
        outcome, found, reason, _ = absent(report, judged)
        return Check("snp.chain-names", outcome, _NAMES, found, KDS, reason)
    if leaf.wrong_names:
        found = "; ".join(leaf.wrong_names)
        return Check("snp.chain-names", FAILED, _NAMES, found, KDS, Reason.SNP_CHAIN_NAMES)
    return _NAMES_OK


def dates(leaf: Leaf | None, report: SnpReport, judged: Judged, now: datetime) -> Check:
    if leaf is None:
        outcome, found, reason, _ = absent(report, judged)
        return Check("snp.chain-dates", outcome, _DATES, found, RFC5280, reason)
    wrong = []
    for cn, start, end in leaf.windows:
        if now < start:
            wrong.append(f"{cn} is not valid before {_time(start)}")
        elif now >= end:
            wrong.append(f"{cn} expired at {_time(end)}")
    if wrong:
        return Check(
            "snp.chain-dates",
            FAILED,
            _DATES,
            "; ".join(wrong),
            RFC5280,
            Reason.SNP_CHAIN_DATES,
            "give a certificate that is valid now; for an old report, verify it at its own time",
        )
    return Check("snp.chain-dates", PASSED, _DATES, f"until {_time(min(ends(leaf)))}", RFC5280)


def ends(leaf: Leaf) -> list[datetime]:
    """The end of every window that the path relies on."""
    return [end for _, _, end in leaf.windows]


def revocation(leaf: Leaf | None, judged: Judged, now: datetime) -> tuple[Check, Crl | None]:
    """The check, and the CRL when one was current and named nobody of this path.

    Counts only CRLs of this path's own ARK. A serial on any of them revokes, also on one that is not current
    any more or not yet: AMD has said it. But to pass, one of them must be current.
    """
    name = "snp.revocation"
    issuer, ark = (leaf.issuer, leaf.ark) if leaf else (None, None)
    if issuer is None or ark is None:
        found = "no chain to ask about"
        return Check(name, NOT_CHECKED, _REVOCATION, found, RFC5280, Reason.SNP_CRL_MISSING), None
    lists = [crl for crl, signer in judged.lists if signer is ark]
    revoked = sorted({a.cn for a in (issuer, ark) for crl in lists if a.serial in crl.revoked})
    if revoked:
        found = f"revoked: {', '.join(revoked)}"
        return Check(name, FAILED, _REVOCATION, found, RFC5280, Reason.SNP_REVOKED), None
    current = [crl for crl in lists if crl.current_at(now)]
    if current:
        crl = max(current, key=lambda each: (each.number, each.this_update))
        found = f"CRL {crl.number} of {ark.cn}, until {_time(crl.next_update)}"
        return Check(name, PASSED, _REVOCATION, found, RFC5280), crl
    outcome, found, reason = _no_crl(ark, judged, lists, now)
    path = "vlek" if issuer.role is Role.ASVK else "vcek"
    fix = f"give the current CRL of {ark.cn} (KDS: /{path}/v1/{ark.product}/crl)"
    return Check(name, outcome, _REVOCATION, found, RFC5280, reason, fix), None


def _no_crl(ark: roots.Anchor, judged: Judged, lists: list[Crl], now: datetime) -> tuple[Outcome, str, str]:
    """Why no CRL is current. A forged one is a definite failure; a genuine one of another time leaves the
    question open, and so do more of them than are looked at; without any nobody asked."""
    if ark.subject in judged.unread:
        found = f"over {MAX_VERIFIED} CRLs in the name of {ark.cn}, and no current one among the newest"
        return UNKNOWN, found, Reason.COLLATERAL_TOO_MANY
    if ark.subject in judged.forged:
        return FAILED, _forged(ark), Reason.CRL_SIGNATURE
    ended = [crl.next_update for crl in lists if crl.this_update <= now]
    if ended:
        return UNKNOWN, f"CRL of {ark.cn} expired at {_time(max(ended))}", Reason.CRL_EXPIRED
    if lists:
        start = _time(min(crl.this_update for crl in lists))
        return UNKNOWN, f"CRL of {ark.cn} is not valid before {start}", Reason.CRL_NOT_YET_VALID
    return NOT_CHECKED, f"no CRL of {ark.cn}", Reason.SNP_CRL_MISSING


def _time(moment: datetime) -> str:
    """Of an aware UTC time, to the second."""
    return moment.isoformat()[:19] + "Z"


def _forged(ark: roots.Anchor) -> str:
    return f"a CRL in the name of {ark.cn} that it did not sign"


def ignored(leaf: Leaf | None, judged: Judged, revocation: Check) -> Iterator[Check]:
    """What was given and could not be used although nothing needed it: listed, never silent.

    revocation: what that check said; a forged CRL that made it fail was not ignored.
    """
    things = [*judged.foreign, *judged.malformed_crls]
    if leaf is not None:
        things += judged.malformed
        ark = leaf.ark
        if ark is not None and ark.subject in judged.forged and revocation.reason != Reason.CRL_SIGNATURE:
            things.append(_forged(ark))
    if things:
        more = f" and {len(things) - 4} more" if len(things) > 4 else ""
        yield Check(
            "snp.ignored-collateral",
            NOT_CHECKED,
            "certificates and CRLs that can be used",
            "; ".join(things[:4]) + more,
            KDS,
            Reason.COLLATERAL_UNRECOGNISED,
        )
