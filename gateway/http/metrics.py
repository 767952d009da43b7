"""Counters of one worker process, in Prometheus' text format.

Every worker counts for itself; a scrape shows the worker that happened to answer it, named by `worker`.
Labels come from closed sets, or are cut off at a number, so that no peer can grow them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_SERIES = 512
OVERFLOW = "other"
_HELP = {
    "sealgate_http_requests_total": "Requests answered, by route and status.",
    "sealgate_decisions_total": "Attestations and releases decided, by outcome and reason.",
    "sealgate_ignored_requests_total": "Requests without a challenge of ours: in no ledger.",
    "sealgate_shadow_answers_total": "Answers of shadows beside those that counted, by result.",
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge with labels. series: (labels, value)."""

    name: str
    help: str
    series: Sequence[tuple[tuple[tuple[str, str], ...], float]]


class Metrics:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[tuple[str, str], ...], int]] = {name: {} for name in _HELP}

    def count(self, name: str, **labels: str) -> None:
        """Add one. An unknown name is a KeyError; the label values of a new series beyond the limit become
        "other"."""
        series = self._counts[name]
        key = tuple(sorted(labels.items()))
        with self._lock:
            if key not in series and len(series) >= MAX_SERIES:
                key = tuple((label, OVERFLOW) for label, _ in key)
            series[key] = series.get(key, 0) + 1

    def text(self, gauges: Mapping[str, float], labelled: Iterable[Gauge] = ()) -> str:
        """The exposition. gauges: name to value, for what is measured at this moment. labelled: those that
        have labels, a bounded number of them."""
        worker = ("worker", str(os.getpid()))
        lines = []
        with self._lock:
            counts = {name: dict(series) for name, series in self._counts.items()}
        for name, series in counts.items():
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} counter"]
            lines += [f"{name}{_labels((*key, worker))} {value}" for key, value in sorted(series.items())]
        for name, number in sorted(gauges.items()):
            lines += [f"# TYPE {name} gauge", f"{name}{_labels((worker,))} {number:g}"]
        for gauge in labelled:
            lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
            lines += [f"{gauge.name}{_labels((*key, worker))} {number:.0f}" for key, number in gauge.series]
        return "\n".join(lines) + "\n"


def _labels(pairs: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
