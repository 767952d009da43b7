"""What is held, for people and for `--json`: plain values, made of what the store says."""

from __future__ import annotations

from typing import Any

from gateway.ports import HeldCollateral, Placed, Slot
from gateway.record import rfc3339


def slot_json(slot: Slot) -> dict[str, Any]:
    """kind and key name it; variant, channel and simulated where they say something."""
    return {
        "kind": slot.kind,
        "key": slot.key,
        "variant": slot.variant,
        "channel": slot.channel,
        "simulated": slot.simulated,
    }


def placed_json(placed: Placed) -> dict[str, Any]:
    return slot_json(placed.slot) | {"sha256": placed.sha256, "changed": placed.change}


def held_json(held: HeldCollateral) -> dict[str, Any]:
    return slot_json(held.slot) | {
        "sha256": held.sha256,
        "bytes": held.size,
        "source": held.source,
        "issued": rfc3339(held.issued),
        "ends": rfc3339(held.ends),
        "number": held.number,
        "fetched": rfc3339(held.fetched),
        "checked": rfc3339(held.checked),
    }
