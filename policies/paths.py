"""Secret paths, and the patterns by which a release policy claims them.

path    := segment {"/" segment}            1 to 8 segments
segment := 1 to 64 of A-Z a-z 0-9 . _ -     never "." or ".."
pattern := the same, where * stands for any number of characters inside one segment
"""

from __future__ import annotations

import re
from collections import deque

MAX_SEGMENTS = 8
MAX_SEGMENT = 64

_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PATTERN = re.compile(r"[A-Za-z0-9._*-]{1,64}")


def is_path(path: str) -> bool:
    return _well_formed(path, _SEGMENT)


def is_pattern(pattern: str) -> bool:
    """Two stars beside each other are refused: one says the same."""
    return _well_formed(pattern, _PATTERN) and "**" not in pattern


def _well_formed(text: str, segment: re.Pattern[str]) -> bool:
    parts = text.split("/")
    return len(parts) <= MAX_SEGMENTS and all(
        segment.fullmatch(part) is not None and part not in {".", ".."} for part in parts
    )


def matches(pattern: str, path: str) -> bool:
    """Whether `pattern` covers `path`. False when either is malformed."""
    if not is_pattern(pattern) or not is_path(path):
        return False
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(_covers, wanted, given))


def _covers(pattern: str, segment: str) -> bool:
    """Greedy from the left: each literal piece at its first possible place, the last one at the end."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == segment
    *middle, last = rest
    if len(segment) < len(first) + len(last) or not segment.startswith(first) or not segment.endswith(last):
        return False
    at, end = len(first), len(segment) - len(last)
    for piece in middle:
        found = segment.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def overlaps(a: str, b: str) -> bool:
    """Whether some path is covered by both patterns; exact. False when either is malformed."""
    if not is_pattern(a) or not is_pattern(b):
        return False
    left, right = a.split("/"), b.split("/")
    return len(left) == len(right) and all(map(_meet, left, right))


def _meet(a: str, b: str) -> bool:
    """Whether two segment patterns have a segment in common.

    The shortest common text must fit into a segment. That it may be empty, "." or ".." does not matter:
    then both patterns have a star, at most two literal characters each, and longer texts match as well.
    """
    shortest = _shortest(a, b)
    return shortest is not None and shortest <= MAX_SEGMENT


def _shortest(a: str, b: str) -> int | None:
    """Length of the shortest text that both match: a search over pairs of positions, stars free to end."""
    queue, seen = deque([(0, 0, 0)]), set[tuple[int, int]]()
    while queue:
        i, j, length = queue.popleft()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(a) and j == len(b):
            return length
        star_a, star_b = i < len(a) and a[i] == "*", j < len(b) and b[j] == "*"
        if star_a:
            queue.appendleft((i + 1, j, length))
        if star_b:
            queue.appendleft((i, j + 1, length))
        if star_a and j < len(b) and not star_b:
            queue.append((i, j + 1, length + 1))
        if star_b and i < len(a) and not star_a:
            queue.append((i + 1, j, length + 1))
        if i < len(a) and j < len(b) and not star_a and not star_b and a[i] == b[j]:
            queue.append((i + 1, j + 1, length + 1))
    return None
