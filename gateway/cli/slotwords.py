"""What a piece of collateral is for, in as few characters as a table has room for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WIDTH = 44
_TCB = ("fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL")


def what_for(slot: Mapping[str, Any]) -> str:
    """slot: in JSON's types, as the gateway tells it: kind and key, and what else there is."""
    key, kind = slot["key"], slot["kind"]
    pairs = dict(part.split("=", 1) for part in key.split() if "=" in part)
    words = list(pairs.values()) if pairs else key.split()
    if kind in ("amd.vcek", "amd.vlek"):
        tcb = ".".join(pairs[name] for name in _TCB if name in pairs)
        chip = pairs.get("chip_id", "")
        words = [f"{chip[:16]}…" if chip else "", tcb, slot.get("variant", "") or pairs.get("product", "")]
    text = " ".join(word if len(word) <= 24 else f"{word[:16]}…" for word in words if word) or "–"
    text = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
    early = " early" if slot.get("channel") == "early" else ""
    return text + early + (" SIM" if slot.get("simulated") else "")
