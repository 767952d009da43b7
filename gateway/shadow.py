"""A shadow: documents that do not count, asked what those that count were asked, beside them.

What must stay true:

* A shadow is asked after the answer is durable, by another thread. What becomes of it (an error, a crash, a
  full queue, a disk that fails) is counted as far as it can be, and reaches nobody who waits for a reply.
* It judges the same findings at the same time. Documents that changed in between make the two answers
  incomparable: that is counted as not evaluated, never as a difference.
* What is kept of a difference is the attempt, the path, two verdicts and two codes: no claim, no key.
* Without a shadow an attempt costs one look into a dictionary. Starting and stopping one raises the epoch of
  the documents, by which every worker of every replica learns of it.
"""

from __future__ import annotations

import enum
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from gateway import policybook, proposals
from gateway.attempts import Attempt
from gateway.changeports import ProposalStore, ShadowDifference, ShadowStore, StoredShadow
from gateway.errors import GatewayError, GatewayReason
from gateway.policybook import Compiled, Sources
from gateway.ports import DocumentStore
from gateway.question import Answer, Question
from gateway.refusal import Denied, of_appraisal
from gateway.releasing import Decision, decide_paths
from policies.appraise import Appraisal
from policies.errors import PolicyErrors
from verifiers.model import Verdict, Verification

log = logging.getLogger("sealgate.shadow")

MOST_WAITING = 256
"""Questions that wait for one worker's thread; further ones are counted as not evaluated."""
_BATCH = 64

Judge = Callable[[Verification, Compiled, str | None, datetime], Appraisal]


class Result(enum.StrEnum):
    """What the shadow's answer is beside the one that was given."""

    SAME = "same"
    NEWLY_ALLOWED = "newly-allowed"
    NEWLY_REFUSED = "newly-refused"
    OTHER_REASON = "other-reason"
    NOT_EVALUATED = "not-evaluated"


class Missed(enum.StrEnum):
    """Why there is no answer of the shadow. Documents that do not compile have their own codes."""

    BUSY = "shadow.busy"
    OUTDATED = "shadow.outdated"
    FAILED = "shadow.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    shadow: StoredShadow
    attempt: str
    at: datetime
    question: Question


def compare(given: Answer, other: Answer) -> Result:
    """given: what counted. other: the shadow's, about the same path."""
    if given.allowed != other.allowed:
        return Result.NEWLY_ALLOWED if other.allowed else Result.NEWLY_REFUSED
    same = (given.verdict, given.reason) == (other.verdict, other.reason)
    return Result.SAME if given.allowed or same else Result.OTHER_REASON


def answer_of(decision: Decision) -> Answer:
    if decision.why is None:
        return Answer(decision.path, True, str(Verdict.ACCEPTED))
    return Answer(decision.path, False, str(decision.why.verdict), decision.why.reason)


def verdict_of(appraisal: Appraisal) -> Answer:
    if appraisal.verdict is Verdict.ACCEPTED:
        return Answer("", True, str(Verdict.ACCEPTED))
    return Answer("", False, str(appraisal.verdict), of_appraisal(appraisal).reason)


def answers(
    compiled: Compiled, tenant: str, question: Question, judge: Callable[[str | None], Appraisal]
) -> tuple[Answer, ...]:
    """What `compiled` says to `question`, in the order of its paths."""
    if question.paths:
        return tuple(map(answer_of, decide_paths(compiled, tenant, question.paths, judge)))
    name = compiled.only if question.policy is None else question.policy
    if name is not None and name not in compiled.releases:
        return (Answer("", False, str(Verdict.REFUSED), str(GatewayReason.NO_POLICY)),)
    return (verdict_of(judge(name)),)


class Shadows:
    """The shadows of one worker process. Safe to use from several threads.

    judge: as `Appraiser.judge`. count: called with the result of every answer, for metrics.
    """

    def __init__(
        self,
        *,
        store: ShadowStore,
        proposed: ProposalStore,
        documents: DocumentStore,
        sources: Sources,
        judge: Judge,
        count: Callable[[str], None],
    ) -> None:
        self._store, self._proposed, self._documents = store, proposed, documents
        self._sources, self._judge, self._count = sources, judge, count
        self._running: tuple[int, Mapping[str, StoredShadow]] = (-1, {})
        self._waiting: queue.Queue[_Waiting] = queue.Queue(MOST_WAITING)
        self._lock, self._thread = threading.Lock(), None  # type: tuple[threading.Lock, threading.Thread | None]
        self._lost: dict[tuple[str, int], Counter[str]] = {}
        """Counts that are not in the store yet: of what found the queue full, or the store away."""
        self._compiled: dict[str, tuple[int, int, Compiled | str]] = {}
        """By tenant: number of the shadow, epoch, what counts together or why it does not."""

    @contextmanager
    def beside(self, attempt: Attempt) -> Iterator[None]:
        """Around everything that answers an attempt: when the answer is durable, the shadow is asked too."""
        try:
            yield
        except Denied as denied:
            if denied.why.status < 500:  # else it is our own trouble, and no answer
                self._offer(attempt, Answer("", False, str(denied.why.verdict), denied.why.reason))
            raise
        self._offer(attempt, Answer("", True, str(Verdict.ACCEPTED)))

    def drain(self) -> None:
        """Returns when everything that waits has been asked and counted."""
        self._waiting.join()

    def _offer(self, attempt: Attempt, whole: Answer) -> None:
        """whole: the answer when there is none for each path."""
        try:
            question = attempt.question
            if question is None:
                return
            if self._running[0] != question.epoch:
                self._running = self._store.running()
            shadow = self._running[1].get(attempt.tenant)
            if shadow is not None:
                self._enqueue(shadow, attempt, question, question.answers or (whole,))
        except Exception:  # the reply goes out whatever happens here
            log.exception("attempt %s: its shadow was not asked", attempt.id)
            self._count(Result.NOT_EVALUATED)

    def _enqueue(
        self, shadow: StoredShadow, attempt: Attempt, question: Question, given: tuple[Answer, ...]
    ) -> None:
        asked = Question(
            verification=question.verification,
            paths=question.paths,
            policy=question.policy,
            epoch=question.epoch,
            answers=given,
        )
        self._start_thread()
        try:
            self._waiting.put_nowait(
                _Waiting(shadow=shadow, attempt=attempt.id, at=attempt.at, question=asked)
            )
        except queue.Full:
            for _ in given:
                self._count(Result.NOT_EVALUATED)
            self._keep(shadow, Counter({Result.NOT_EVALUATED: len(given)}))

    def _keep(self, shadow: StoredShadow, counts: Counter[str]) -> None:
        with self._lock:
            self._lost.setdefault((shadow.tenant, shadow.number), Counter()).update(counts)

    def _start_thread(self) -> None:
        """When it is needed first: a worker forks before that."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            try:
                while len(batch) < _BATCH:
                    batch.append(self._waiting.get_nowait())
            except queue.Empty:
                pass
            try:
                self._ask_all(batch)
            except Exception:  # without this thread nothing is evaluated any more
                log.exception("shadow")
            finally:
                for _ in batch:
                    self._waiting.task_done()

    def _ask_all(self, batch: Sequence[_Waiting]) -> None:
        by_shadow: dict[tuple[str, int], list[ShadowDifference]] = {}
        for waiting in batch:
            found = self._ask(waiting)
            for each in found:
                self._count(each.result)
            by_shadow.setdefault((waiting.shadow.tenant, waiting.shadow.number), []).extend(found)
        for (tenant, number), found in by_shadow.items():
            with self._lock:
                counts = self._lost.pop((tenant, number), Counter[str]())
            counts.update(each.result for each in found)
            try:
                self._store.count(tenant, number, counts, [d for d in found if d.result != Result.SAME])
            except GatewayError as error:
                log.warning("shadow %d of %s: not written: %s", number, tenant, error)
                with self._lock:
                    self._lost.setdefault((tenant, number), Counter()).update(counts)

    def _ask(self, waiting: _Waiting) -> list[ShadowDifference]:
        """Every answer beside the shadow's."""
        question, tenant = waiting.question, waiting.shadow.tenant
        try:
            compiled = self._under(waiting.shadow, question.epoch)
            if isinstance(compiled, str):
                return [_missed(waiting, given, compiled) for given in question.answers]

            def judge(name: str | None) -> Appraisal:
                return self._judge(question.verification, compiled, name, waiting.at)

            others = answers(compiled, tenant, question, judge)
            pairs = zip(question.answers, others, strict=True)
            return [_difference(waiting, given, other, compare(given, other)) for given, other in pairs]
        except Exception:  # a bug that only the shadow meets: it is counted, and the log says more
            log.exception("attempt %s: its shadow failed", waiting.attempt)
            return [_missed(waiting, given, Missed.FAILED) for given in question.answers]

    def _under(self, shadow: StoredShadow, epoch: int) -> Compiled | str:
        """What would count if the shadow did, beside everything else at `epoch`; or why there is none."""
        known = self._compiled.get(shadow.tenant)
        if known is None or known[:2] != (shadow.number, epoch):
            known = (shadow.number, *self._compile(shadow))
            self._compiled[shadow.tenant] = known
        return known[2] if known[1] == epoch else Missed.OUTDATED

    def _compile(self, shadow: StoredShadow) -> tuple[int, Compiled | str]:
        (proposal,) = self._proposed.find(shadow.tenant, shadow.proposal, 1)
        epoch, active = self._documents.active(shadow.tenant)
        try:
            files = proposals.files_of(proposal)
            new = [document for name, raw in files for document in policybook.read(raw, name)]
            replaced = {(policybook.kind_of(each), each.name) for each in new}
            kept = [row for row in active if (row.kind, row.name) not in replaced]
            return epoch, policybook.compile_all((*self._sources.documents(kept), *new))
        except PolicyErrors as error:
            return epoch, error.reason


def _difference(waiting: _Waiting, given: Answer, other: Answer, result: Result) -> ShadowDifference:
    return ShadowDifference(
        at=waiting.at,
        attempt=waiting.attempt,
        path=given.path,
        result=str(result),
        verdict=given.verdict,
        reason=given.reason,
        shadow_verdict=other.verdict,
        shadow_reason=other.reason,
    )


def _missed(waiting: _Waiting, given: Answer, why: str) -> ShadowDifference:
    return _difference(waiting, given, Answer(given.path, False, "", str(why)), Result.NOT_EVALUATED)
