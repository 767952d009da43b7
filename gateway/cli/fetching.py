"""Asking vendors from the command line: what `verify --fetch` and `collateral fetch --out` share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import config
from gateway.adapters import SystemClock
from gateway.cli.errors import InputError
from gateway.cli.files import Gathered
from gateway.cli.progress import bar
from gateway.collateral.direct import Direct, Fetched, direct, pieces
from gateway.collateral.slots import LEAVES
from policies.appraise import Appraisal
from verifiers import collateral as classifier
from verifiers import registry
from verifiers.carriers import Opened
from verifiers.model import AnchorSet, Endorsements, Need, Unbound

_ROUNDS = 4
"""What is missing may show only when something else is there: a product, and then its CRL."""


def asking(config_file: Path | None, development: bool) -> Direct:
    """Whom a configuration lets be asked; the vendors themselves without one. Raises InputError."""
    try:
        loaded = config.load(config_file, development=development or None)
        found = direct(
            loaded.collateral, development=loaded.development, clock=SystemClock(), sleep=time.sleep
        )
    except config.ConfigError as error:
        raise InputError(str(error), "input.configuration") from None
    except OSError as error:
        raise InputError(f"{error.filename}: {(error.strerror or '').lower()}", "input.unreadable") from None
    if found is None:
        expected = "a configuration that lets a vendor be asked"
        if development:
            expected = "--config with the URLs of [collateral]: in development mode no others are asked"
        raise InputError(f"expected {expected}, found none", "input.configuration")
    return found


def needs_of(opened: Opened) -> tuple[Need, ...]:
    """What a piece of evidence needs, without the certificates that it brings itself."""
    endorsements = Endorsements(anchors=AnchorSet.VENDOR_AND_SIMULATED, certificates=opened.certificates)
    found = registry.verify(
        opened.evidence, endorsements, Unbound("only its needs are asked for"), SystemClock().now()
    )
    needs = dict.fromkeys((*registry.needs(opened.evidence), *found.missing))
    return tuple(need for need in needs if need.kind not in LEAVES or need in found.missing)


def fetch_all(asked: Direct, needs: Sequence[Need], *, silent: bool) -> list[Fetched]:
    """One after the other, at each vendor's pace."""
    out: list[Fetched] = []
    with bar("asking vendors", len(needs), silent=silent) as step:
        for need in needs:
            out.append(asked.fetch(need))
            step(1)
    return out


def complete(
    judge: Callable[[Gathered], Appraisal], gathered: Gathered, asked: Direct, *, silent: bool
) -> tuple[Appraisal, list[Fetched]]:
    """Judge, fetch what was missing, judge again; each need is asked for once."""
    appraisal, out = judge(gathered), list[Fetched]()
    for _ in range(_ROUNDS):
        done = {each.need for each in out}
        needs = [need for need in appraisal.verification.missing if need not in done]
        if not needs:
            break
        out += fetch_all(asked, needs, silent=silent)
        objects = [each for fetched in out for each in fetched.objects]
        merged = classifier.merge(gathered.collateral, pieces(objects))
        appraisal = judge(Gathered(merged, gathered.ignored))
    return appraisal, out
