"""What an alert wants to know about collateral, in Prometheus' text format: the same from every worker,
because all of it lies in the store."""

from __future__ import annotations

from datetime import datetime

from gateway.collateral.status import View, earliest_end

_STATES = ("closed", "trying", "open")


def text(view: View, now: datetime) -> str:
    """Counters of fetches and refusals, and gauges: wants, circuits, seconds until the first shared object
    ends (negative when it has), ages of what is oldest since its source was last asked."""
    held = view.store.shared()
    lines: list[str] = []
    tallies = view.chores.tallies()
    for name, labels in (
        ("sealgate_collateral_fetches", ("vendor", "outcome")),
        ("sealgate_collateral_refusals", ("what",)),
    ):
        lines.append(f"# TYPE {name}_total counter")
        for found, label, count in tallies:
            if found == name:
                pairs = zip(labels, label.split(" ", len(labels) - 1), strict=True)
                named = ",".join(f'{key}="{value}"' for key, value in pairs)
                lines.append(f"{name}_total{{{named}}} {count}")
    lines.append("# TYPE sealgate_collateral_circuit gauge")
    for host in view.chores.hosts():
        for state in _STATES:
            value = int(host.state(now) == state)
            lines.append(f'sealgate_collateral_circuit{{host="{host.name}",state="{state}"}} {value}')
    waiting = sum(task.wanted is not None for task in view.chores.tasks())
    lines += ["# TYPE sealgate_collateral_wants gauge", f"sealgate_collateral_wants {waiting}"]
    first = earliest_end(held, view, now)
    if first is not None:
        left = (first[0] - now).total_seconds()
        lines += [
            "# TYPE sealgate_collateral_seconds_to_first_end gauge",
            f"sealgate_collateral_seconds_to_first_end {left:.0f}",
        ]
    return "".join(line + "\n" for line in lines)
