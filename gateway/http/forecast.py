"""What is ahead of the machines that were seen, for administrators of the whole gateway."""

from __future__ import annotations

from gateway.forecast import fleet
from gateway.http.handlers import Site, limit_of
from gateway.http.message import Call, Reply, json_reply
from gateway.protocol.names import refuse

DAYS, MOST_DAYS = 30, 36_500
MACHINES = 500
"""In one reply, unless more are asked for: each costs a few signatures and documents to check."""


def forecast(site: Site, call: Call) -> Reply:
    """?days=N: machines seen since then; ?limit=N: at most so many. A body is a file of baselines that are
    not active yet; ?name= is what messages call it."""
    text = call.query.get("days", str(DAYS))
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= days <= MOST_DAYS:
        raise refuse("days", expected=f"1..{MOST_DAYS}", found=repr(text[:40]))
    name = call.query.get("name", "body")[:200]
    found = fleet.forecast(
        site.forecaster,
        site.gateway.clock.now(),
        days=days,
        most=limit_of(call, MACHINES, fleet.MOST_MACHINES),
        baseline=call.body or None,
        name=name,
    )
    return json_reply(found)
