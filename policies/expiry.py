"""When a reference set ends, said before it bites: from then on nothing matches it."""

from __future__ import annotations

from datetime import datetime, timedelta

WARN_BEFORE = timedelta(days=30)


def warning(valid_from: datetime, valid_until: datetime, now: datetime) -> str | None:
    """What to tell its owner at `now`; None while it holds for longer than WARN_BEFORE."""
    if now >= valid_until:
        return f"ended at {_said(valid_until)}: nothing matches it any more"
    if now < valid_from:
        return f"begins at {_said(valid_from)}: nothing matches it yet"
    left = valid_until - now
    if left > WARN_BEFORE:
        return None
    days = left // timedelta(days=1)
    hours = left // timedelta(hours=1)
    span = f"{days} days" if days > 1 else f"{hours} hours" if hours > 1 else "less than two hours"
    return f"ends in {span}, at {_said(valid_until)}: from then on nothing matches it"


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
