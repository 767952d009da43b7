"""What a guest asked and was answered, as far as another set of documents can be asked the same."""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.model import Verification


@dataclass(frozen=True, slots=True)
class Answer:
    """About one path; path "" is the verdict alone. reason: "" of a yes."""

    path: str
    allowed: bool
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """verification: what was found of the evidence. paths: asked for; () asks for a verdict, under the
    release policy of the name `policy`, or the only one there is. answers: as they were given, one per path;
    () when the whole reply is the answer. epoch: of the documents they were given under."""

    verification: Verification
    paths: tuple[str, ...]
    policy: str | None
    epoch: int
    answers: tuple[Answer, ...]
