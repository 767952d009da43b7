"""`Reader` by contained processes: carriers, logs and what nobody vouches for are decoded in one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from gateway.containment import findings, packing, worker
from gateway.containment.errors import EndedError, ReplyError
from gateway.containment.findings import Question
from gateway.containment.pool import Pool
from gateway.errors import GatewayError, GatewayReason
from gateway.reading import Read
from verifiers.model import Binding, Endorsements, Need, Verdict, Verification

T = TypeVar("T")
log = logging.getLogger("sealgate.containment")


class Contained:
    """Asks the readers of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def open(self, tenant: str, message: bytes) -> Read:
        opened = self._ask(tenant, (worker.OPEN, message), packing.unpack)
        return Read(tenant=tenant, message=message, opened=opened)

    def needs(self, read: Read) -> tuple[Need, ...]:
        return self._ask(read.tenant, (worker.NEEDS, read.message), packing.unpack_needs)

    def explain(
        self, read: Read, endorsements: Endorsements, binding: Binding, now: datetime
    ) -> Verification:
        question = Question(message=read.message, endorsements=endorsements, binding=binding, now=now)

        def understood(parts: Sequence[bytes]) -> Verification:
            told = findings.answered(parts, now)
            if told.chain_valid or told.verdict is Verdict.ACCEPTED:
                raise ReplyError("findings", "a refusal", "evidence that leads to a pin")
            return told

        return self._ask(read.tenant, findings.ask(question), understood)

    def status(self) -> Mapping[str, str]:
        return self._pool.state

    def _ask(self, tenant: str, parts: Sequence[bytes], understood: Callable[[Sequence[bytes]], T]) -> T:
        """One question to one reader. Whatever goes wrong with it costs this request, and the reader."""
        try:
            with self._pool.lent(tenant) as process:
                reply = process.exchange(parts, self._pool.seconds)
                if reply[:1] == (packing.REFUSED,):
                    raise packing.unpack_refusal(reply)
                if reply[:1] == (packing.EXHAUSTED,):
                    raise MemoryError
                return understood(reply)
        except TimeoutError:
            raise _failed(
                GatewayReason.CONTAINED_DEADLINE, f"an answer in {self._pool.seconds:g} s", "none"
            ) from None
        except MemoryError:
            raise _failed(GatewayReason.CONTAINED_MEMORY, "less memory in use", "all that there is") from None
        except EndedError as error:
            raise _failed(GatewayReason.CONTAINED_CRASH, "an answer", f"the end: {error}") from None
        except ReplyError as error:
            raise _failed(GatewayReason.CONTAINED_REPLY, error.expected, error.found, error.where) from None


def _failed(reason: GatewayReason, expected: str, found: str, where: str = "reader") -> GatewayError:
    error = GatewayError(
        reason, "the evidence could not be read", where=where, expected=expected, found=found[:200]
    )
    log.warning("a reader was ended: %s", error)
    return error
