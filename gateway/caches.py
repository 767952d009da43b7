"""What a worker may remember: chains and collateral that were verified. Never a verdict."""

from __future__ import annotations

import threading
from collections import OrderedDict


class LruChains:
    """`ChainCache` of bounded size, least recently used first out. Safe to use from several threads."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a cache remembers at least one thing")
        self._size, self._lock = size, threading.Lock()
        self._entries: OrderedDict[tuple[object, ...], object] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> object | None:
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def put(self, key: tuple[object, ...], value: object) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
