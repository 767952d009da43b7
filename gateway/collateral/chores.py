"""What is to be fetched and how politely: tasks, vendors' hosts, clients' budgets. Values and pure rules.

Times are instants; nothing here reads a clock. A token bucket is one instant (`spent_until`): everything up
to it is used up, and a burst may run ahead of now by so much (the "generic cell rate algorithm").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from verifiers.model import Need

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=120)
"""Longer than any fetch may take: who holds a lease and is killed keeps the others waiting for so long."""
_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=30), timedelta(hours=1)
_ABSENT_RETRY = timedelta(hours=6)
ABSENT = frozenset({"not-found", "gone"})
"""Outcomes that say that a vendor does not have it."""
GIVEN_UP = "given-up"
"""Outcome of what a vendor twice did not have: remembered, so that it is not asked for again, but no want."""
_GIVEN_UP_FOR = timedelta(days=1)
_CIRCUIT_FAILURES = 3
_CIRCUIT_FIRST, _CIRCUIT_LAST = timedelta(seconds=30), timedelta(minutes=15)


class TaskName(NamedTuple):
    kind: str
    key: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to fetch: wanted by a request, or due because what is held gets old.

    wanted: when a request first missed it; None for refreshes. client: whose budget it drew on. failures: one
    after the other. retry_at: not before. outcome: of the last try, "" before the first. lease: who is at it.
    asked: how many of the places where it may be said that they do not have it, when the rest had to wait.
    """

    name: TaskName
    need: Need
    wanted: datetime | None = None
    client: str = ""
    failures: int = 0
    retry_at: datetime = NEVER
    outcome: str = ""
    outcome_at: datetime | None = None
    lease: str = ""
    lease_until: datetime = NEVER
    asked: int = 0

    def leased(self, now: datetime) -> bool:
        return bool(self.lease) and now < self.lease_until

    def take(self, owner: str, now: datetime) -> Task:
        """With the lease in `owner`'s hands, unless somebody else has it."""
        if self.leased(now) and self.lease != owner:
            return self
        return replace(self, lease=owner, lease_until=now + LEASE)

    def failed(self, outcome: str, now: datetime, wait: timedelta, jitter: float) -> Task:
        """After a try that did not succeed: later each time, and at least `wait` later. What a vendor does
        not have is asked for again after hours."""
        absent = outcome in ABSENT
        first, last = (_ABSENT_RETRY, _ABSENT_RETRY * 4) if absent else (_FIRST_RETRY, _LAST_RETRY)
        later = min(first * 2 ** min(self.failures, 16), last) * (1 + 0.2 * jitter)
        return replace(
            self,
            failures=self.failures + 1,
            retry_at=now + max(later, wait),
            outcome=outcome,
            outcome_at=now,
            lease="",
            lease_until=NEVER,
        )

    def given_up(self, now: datetime) -> Task:
        """No longer wanted, and not to be wanted again for a day."""
        return replace(self, wanted=None, outcome=GIVEN_UP, retry_at=now + _GIVEN_UP_FOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A vendor's host: its circuit and its token bucket. open_until: nobody asks before that."""

    name: str
    failures: int = 0
    open_until: datetime = NEVER
    spent_until: datetime = NEVER
    outcome: str = ""
    outcome_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """ "closed" lets requests through; "open" none; "trying" the one that finds out."""
        if now < self.open_until:
            return "open"
        return "closed" if self.failures < _CIRCUIT_FAILURES else "trying"

    def wait(self, now: datetime, interval: timedelta, burst: int) -> timedelta:
        """How long until the next request may go; zero when it may go now."""
        return max(self.open_until - now, bucket_wait(self.spent_until, now, interval, burst), timedelta(0))

    def spend(self, now: datetime, interval: timedelta) -> Host:
        """After a request was let through. While a circuit is being tried, it is open for everybody else."""
        spent = replace(self, spent_until=max(self.spent_until, now) + interval)
        return replace(spent, open_until=now + LEASE) if self.state(now) == "trying" else spent

    def answered(self, outcome: str, now: datetime) -> Host:
        """It works, whatever it said."""
        return replace(self, failures=0, open_until=NEVER, outcome=outcome, outcome_at=now)

    def broke(self, outcome: str, now: datetime, jitter: float) -> Host:
        """It did not answer. From the third time on the circuit opens, longer each time."""
        failures = self.failures + 1
        beyond = failures - _CIRCUIT_FAILURES
        pause = min(_CIRCUIT_FIRST * 2 ** min(max(beyond, 0), 16), _CIRCUIT_LAST) * (1 + 0.2 * jitter)
        until = now + pause if beyond >= 0 else NEVER
        return replace(self, failures=failures, open_until=until, outcome=outcome, outcome_at=now)

    def throttled(self, outcome: str, now: datetime, pause: timedelta) -> Host:
        """It asked for a pause, and gets it from everybody."""
        return replace(self, open_until=now + pause, outcome=outcome, outcome_at=now)


def bucket_wait(spent_until: datetime, now: datetime, interval: timedelta, burst: int) -> timedelta:
    """How long until a bucket of `burst` that refills by one each `interval` has a token."""
    return max(spent_until - now - interval * (burst - 1), timedelta(0))


class Want(NamedTuple):
    """What became of a want. wait: of a budget that is used up, or zero."""

    state: str
    """"new", "known", "full" (too many are waiting, of all or of the client) or "spent" (the client's
    budget is used up)."""
    wait: timedelta = timedelta(0)


class Chores(Protocol):
    """Tasks, hosts and budgets in the store, shared by all processes. Every change is one durable
    transaction, in which the function that decides sees what is there."""

    def tasks(self) -> Sequence[Task]: ...

    def task(self, name: TaskName) -> Task | None: ...

    def change_task(self, name: TaskName, change: Callable[[Task | None], Task | None]) -> Task | None:
        """Replace, make or drop (None) a task; what is there now."""
        ...

    def want(
        self, task: Task, now: datetime, *, most: int, interval: timedelta | None, burst: int, each: int
    ) -> Want:
        """Note a task, unless there is one of that name or `most` are waiting. interval: what it costs its
        client, of whom at most `each` may wait; None is free and not counted. One read when nothing is
        written."""
        ...

    def hosts(self) -> Sequence[Host]: ...

    def change_host(self, name: str, change: Callable[[Host], Host]) -> tuple[Host, Host]:
        """(before, after)."""
        ...

    def count(self, name: str, label: str) -> None:
        """Add one to a tally."""
        ...

    def tallies(self) -> Sequence[tuple[str, str, int]]:
        """(name, label, count), in order."""
        ...

    def tidy(self, now: datetime) -> int:
        """Forget budgets that are full again, wants that nothing came of in two days, and what was given up
        long enough ago; how many."""
        ...
