"""The chain cache: bounded, least recently used first out."""

from __future__ import annotations

import pytest

from gateway.caches import LruChains


def test_the_least_recently_used_goes_first() -> None:
    cache = LruChains(2)
    cache.put(("a",), 1)
    cache.put(("b",), 2)
    assert cache.get(("a",)) == 1
    cache.put(("c",), 3)
    assert [cache.get((name,)) for name in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_an_entry_is_replaced_not_doubled() -> None:
    cache = LruChains(2)
    cache.put(("a",), 1)
    cache.put(("a",), 2)
    assert (cache.get(("a",)), len(cache)) == (2, 1)


@pytest.mark.parametrize("size", [0, -1])
def test_a_cache_of_nothing_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        LruChains(size)
