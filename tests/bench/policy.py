"""Appraisal with growing sets of reference values: evaluation only, documents compiled beforehand."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

from gateway.bundles import baselines
from gateway.demo import documents
from gateway.policybook import compile_all, read
from gateway.simulator import amd
from policies import compiler
from policies.appraise import appraise
from policies.load import load
from policies.model import Baseline, Document, Profile, ReferenceSet, ReleasePolicy, Requirement
from policies.packed import PackedRows
from policies.vocabulary import Role
from tests.bench.clock import Timing, each, interleaved
from verifiers.claims import BY_NAME
from verifiers.model import ReportData, TeeKind, Verdict
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify


def evaluation(sizes: tuple[int, ...], calls: int) -> dict[int, Timing]:
    """Microseconds of one `appraise`, by number of reference values; the set's last entry matches. The sizes
    take turns, so that a ratio between them is of one moment.

    Beyond what a document may hold, the values come packed, as an import would bring them.
    """
    machine = amd.SnpMachine(product="Genoa")
    binding = ReportData(bytes(64))
    result = verify(abi.parse(machine.report(bytes(64))), machine.endorsements(), binding, machine.at)
    turns = {}
    for size in sizes:
        compiled = compile_all(
            [
                *(d for name, raw in baselines() for d in read(raw, name)),
                *(_packed(size) if size > 19_000 else _loaded(size)),
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
        turns[str(size)] = once
    return {int(size): timing for size, timing in interleaved(turns, calls).items()}


def compiling(rules: int, calls: int) -> Timing:
    """Microseconds to compile a policy of so many rules, each with six requirements, read beforehand."""
    text = documents.policy().decode()
    start = text.index("  - id: snp-guest")
    rule = text[start : text.index("  - id: tdx-guest")]
    many = "".join(rule.replace("snp-guest", f"rule-{number}") for number in range(rules))
    given = [
        *(d for name, raw in baselines() for d in read(raw, name)),
        *_loaded(10),
        *read((text[:start] + many).encode(), "policy.yaml"),
    ]
    platform = [d for d in given if isinstance(d, Baseline)]
    sets = [d for d in given if isinstance(d, ReferenceSet)]
    (release,) = (d for d in given if isinstance(d, ReleasePolicy))
    assert len(release.allow) == rules

    def once(_: int) -> None:
        assert compiler.compile(platform, sets, release).release is release

    once(0)
    return each(once, range(calls))


def _loaded(size: int) -> tuple[Document, ...]:
    return load(_references(size), "references.yaml", claims=BY_NAME, max_bytes=1 << 30)


def _packed(size: int) -> tuple[Document, ...]:
    """The demonstration's sets, with the SNP images of the first among `size` rows."""
    first, *others = _loaded(10)
    assert isinstance(first, ReferenceSet)
    shapes = dict(first.index.entries)
    (shape,) = shapes[Role.GUEST, TeeKind.SEV_SNP]
    digests = ((hashlib.sha384(str(number).encode()).digest(), f"r{number}") for number in range(size))
    own = ((b"".join(values), name) for values, name in shape.rows.items())  # type: ignore[arg-type]
    rows = PackedRows((48,), itertools.chain(own, itertools.islice(digests, size - len(shape.rows))))
    shapes[Role.GUEST, TeeKind.SEV_SNP] = (replace(shape, rows=rows),)
    return (replace(first, index=replace(first.index, entries=shapes)), *others)


def _references(size: int) -> bytes:
    text = documents.references().decode()
    filler = "".join(
        f"  - id: other-{number}\n    snp.measurement: sha384:{_digest(number)}\n"
        for number in range(size - 1)
    )
    return text.replace("entries:\n", "entries:\n" + filler, 1).encode()


def _digest(number: int) -> str:
    return hashlib.sha384(str(number).encode()).hexdigest()
