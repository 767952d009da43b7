"""A set's end is said from thirty days before it, to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies.expiry import warning

FROM = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "left, said",
    [
        (timedelta(days=30) + SECOND, None),
        (timedelta(days=30), "ends in 30 days"),
        (timedelta(days=2), "ends in 2 days"),
        (timedelta(days=1), "ends in 24 hours"),
        (SECOND, "ends in less than two hours"),
        (timedelta(0), "ended at 2026-12-01T00:00:00Z"),
    ],
)
def test_what_is_said_before_the_end(left: timedelta, said: str | None) -> None:
    found = warning(FROM, UNTIL, UNTIL - left)
    assert found is None if said is None else found is not None and found.startswith(said)


def test_a_set_that_has_not_begun() -> None:
    assert "begins at 2026-06-01" in str(warning(FROM, UNTIL, FROM - SECOND))
    assert warning(FROM, UNTIL, FROM) is None
