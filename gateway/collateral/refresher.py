"""The background thread that keeps collateral fresh: a thin loop around `Engine`."""

from __future__ import annotations

import logging
import threading

from gateway.collateral.engine import PUT_OFF, Engine
from gateway.errors import GatewayError
from gateway.ports import LedgerUnavailable

TICK_SECONDS = 2.0
_MOST = 8
"""Actions between two looks at the schedule, so that what became urgent meanwhile is not behind a long
list."""

log = logging.getLogger("sealgate.collateral")


def tick(engine: Engine, vendor: str | None = None, stop: threading.Event | None = None) -> int:
    """Do what is due, up to a few; how many fetches were made."""
    actions = engine.actions(vendor)
    closed = engine.hosts_in_the_way(actions)
    done = 0
    for action in [a for a in actions if engine.host(a) not in closed][:_MOST]:
        if stop is not None and stop.is_set():
            break
        done += engine.run(action) != PUT_OFF
    return done


def keep_fresh(engine: Engine, vendor: str, stop: threading.Event) -> None:
    """Until `stop`: one of these for each vendor, so that one that is slow holds up no other."""
    while not stop.wait(TICK_SECONDS):
        try:
            tick(engine, vendor, stop)
        except (GatewayError, LedgerUnavailable) as error:
            log.warning("collateral: %s", error)
        except Exception:  # our own bug must not end the refreshing of what everybody needs
            log.exception("collateral: our own fault")
