"""Appraisal with growing sets of reference values: evaluation only, documents compiled beforehand."""

from __future__ import annotations

import hashlib

from gateway.bundles import baselines
from gateway.demo import documents
from gateway.policybook import compile_all, read
from gateway.simulator import amd
from policies.appraise import appraise
from policies.load import load
from policies.model import Profile, Requirement
from tests.bench.clock import Timing, each
from verifiers.claims import BY_NAME
from verifiers.model import ReportData, Verdict
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify


def evaluation(sizes: tuple[int, ...], calls: int) -> dict[int, Timing]:
    """Microseconds of one `appraise`, by number of reference values; the set's last entry matches."""
    machine = amd.SnpMachine(product="Genoa")
    binding = ReportData(bytes(64))
    result = verify(abi.parse(machine.report(bytes(64))), machine.endorsements(), binding, machine.at)
    out: dict[int, Timing] = {}
    for size in sizes:
        compiled = compile_all(
            [
                *(d for name, raw in baselines() for d in read(raw, name)),
                *load(_references(size), "references.yaml", claims=BY_NAME, max_bytes=1 << 30),
                *read(documents.policy(), "policy.yaml"),
            ]
        )
        policy, sets = compiled.releases["demo"], tuple(compiled.references.values())

        def once(_: int, policy=policy, sets=sets) -> None:  # type: ignore[no-untyped-def]
            found = appraise(
                result, sets, policy, machine.at, required=frozenset(Requirement), profile=Profile.NATIVE
            )
            assert found.verdict is Verdict.ACCEPTED

        once(0)
        out[size] = each(once, range(calls))
    return out


def _references(size: int) -> bytes:
    text = documents.references().decode()
    filler = "".join(
        f"  - id: other-{number}\n    snp.measurement: sha384:{_digest(number)}\n"
        for number in range(size - 1)
    )
    return text.replace("entries:\n", "entries:\n" + filler, 1).encode()


def _digest(number: int) -> str:
    return hashlib.sha384(str(number).encode()).hexdigest()
