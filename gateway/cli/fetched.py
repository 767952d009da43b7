"""How what was fetched is told. Loads nothing that could open a socket: `verify` without --fetch has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.collateral import names
from verifiers.model import Need

if TYPE_CHECKING:
    from gateway.collateral.direct import Fetched

OK = "ok"
"""`dial.Outcome.OK`, without the dialler."""


def title(need: Need) -> str:
    """Its name, with a chip's id in short."""
    name = names.spell(need) or str(need)
    return "/".join(part if len(part) <= 24 else f"{part[:8]}…{part[-5:]}" for part in name.split("/"))


def said(fetched: Fetched) -> str:
    """One line."""
    if fetched.outcome == OK:
        return f"{title(fetched.need)}   from {fetched.host}"
    detail = f": {fetched.detail}" if fetched.detail else ""
    return f"{title(fetched.need)}   {fetched.outcome}{detail}"


def to_json(fetched: Fetched) -> dict[str, object]:
    return {
        "name": names.spell(fetched.need),
        "kind": fetched.need.kind,
        "outcome": fetched.outcome,
        "host": fetched.host,
        "detail": fetched.detail,
        "sha256": [each.sha256 for each in fetched.objects],
    }
