"""What an alert wants to know of the forecast, in Prometheus' text format.

The same from every worker: it is worked out at intervals by the process that keeps house, and lies in the
store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.forecast.outlook import WHENS
from gateway.ports import Gauges

DAYS = 30
INTERVAL = timedelta(hours=1)
_PREFIX = "forecast."
_AT, _SEEN = "forecast.at", "forecast.machines"


def due(gauges: Gauges, now: datetime) -> bool:
    """Is it an hour since the last one? A clock that was set back counts as one."""
    last = gauges.read(_PREFIX).get(_AT)
    return last is None or not 0 <= now.timestamp() - last < INTERVAL.total_seconds()


def keep(gauges: Gauges, found: Mapping[str, Any], now: datetime) -> None:
    """found: what `fleet.forecast` made."""
    counts = {f"{_PREFIX}{when}": found["counts"][when] for when in WHENS}
    gauges.write(counts | {_AT: int(now.timestamp()), _SEEN: found["machines"]})


def text(gauges: Gauges) -> str:
    """Nothing before the first forecast: an alert on absence notices a housekeeper that has stopped."""
    values = gauges.read(_PREFIX)
    if _AT not in values:
        return ""
    lines = ["# TYPE sealgate_forecast_machines gauge"]
    lines += [
        f'sealgate_forecast_machines{{when="{when}"}} {values.get(_PREFIX + when, 0)}'
        for when in WHENS
        if when != "baseline"  # nobody has proposed one
    ]
    lines += [
        "# TYPE sealgate_forecast_machines_seen gauge",
        f"sealgate_forecast_machines_seen {values.get(_SEEN, 0)}",
        "# TYPE sealgate_forecast_timestamp_seconds gauge",
        f"sealgate_forecast_timestamp_seconds {values[_AT]}",
    ]
    return "".join(line + "\n" for line in lines)
