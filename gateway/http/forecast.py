"""What is ahead of the machines that were seen, for administrators of the whole gateway."""

from __future__ import annotations

from gateway.forecast import fleet
from gateway.http.admin import policy_errors, require_wide
from gateway.http.handlers import Site
from gateway.http.message import Call, Reply, json_reply
from gateway.protocol.names import refuse
from policies.errors import PolicyError

DAYS, MOST_DAYS = 30, 36_500


def forecast(site: Site, call: Call) -> Reply:
    """?days=N: machines seen since then. A body is a file of baselines that are not active yet; ?name= is
    what messages call it."""
    require_wide(call, "the forecast")
    text = call.query.get("days", str(DAYS))
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= days <= MOST_DAYS:
        raise refuse("days", expected=f"1..{MOST_DAYS}", found=repr(text[:40]))
    name = call.query.get("name", "body")[:200]
    try:
        found = fleet.forecast(
            site.forecaster, site.gateway.clock.now(), days=days, baseline=call.body or None, name=name
        )
    except PolicyError as error:
        return policy_errors(error)
    return json_reply(found)
