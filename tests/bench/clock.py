"""Timing helpers."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds per call."""

    p50: float
    p99: float
    calls: int


def each(function: Callable[[T], object], inputs: Sequence[T]) -> Timing:
    """Time `function` once on every input."""
    samples = []
    gc.collect()
    gc.disable()
    try:
        for item in inputs:
            start = time.perf_counter_ns()
            function(item)
            samples.append((time.perf_counter_ns() - start) / 1000)
    finally:
        gc.enable()
    return summary(samples)


def interleaved(functions: dict[str, Callable[[int], object]], rounds: int) -> dict[str, Timing]:
    """Time several functions in turn, round by round, so that a noisy neighbour disturbs all alike."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        for index in range(rounds):
            for name, function in functions.items():
                start = time.perf_counter_ns()
                function(index)
                samples[name].append((time.perf_counter_ns() - start) / 1000)
    finally:
        gc.enable()
    return {name: summary(values) for name, values in samples.items()}


def summary(samples: Sequence[float]) -> Timing:
    ordered = sorted(samples)
    return Timing(
        p50=statistics.median(ordered),
        p99=ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        calls=len(ordered),
    )
