"""Findings, made from judgements: the one place that knows what is left out when nobody reads texts."""

from __future__ import annotations

import functools

from policies.logic import Facts, Judgement
from verifiers.model import Check, Outcome


def finding(
    facts: Facts,
    name: str,
    outcome: Outcome,
    judged: Judgement,
    source: str,
    reason: str | None = None,
    fix: str | None = None,
) -> Check:
    """What `judged` comes to under `name`. Quiet facts: id and outcome, which is all that decides."""
    if facts.quiet:
        return _bare(name, outcome)
    return Check(name, outcome, judged.expected, judged.found, source, reason, fix)


@functools.lru_cache(maxsize=65_536)
def _bare(name: str, outcome: Outcome) -> Check:
    """Made of documents' ids only, never of what evidence says."""
    return Check(name, outcome, "", "", "")
