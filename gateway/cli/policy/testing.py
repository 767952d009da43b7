"""`sealgate policy test`: cases beside a policy, what they cover, and whether they would notice a mistake."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import click

from gateway import bundles, policybook
from gateway.cli import files
from gateway.cli.errors import InputError, one_line, reading
from gateway.cli.policy.evidence import Preparer
from gateway.cli.remote import json_option
from policies import cases_document, compiler, coverage, mutants, trials
from policies.cases_document import Cases
from policies.compiler import Policy
from policies.coverage import Coverage, Seen
from policies.model import Baseline, Document, ReferenceSet, ReleasePolicy
from policies.mutants import Mutant, Score, Target
from policies.strictyaml import MAX_BYTES
from policies.trials import Result, Trial
from policies.vocabulary import Vocabulary
from verifiers.claims import BY_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One file of cases, with the policy that it is about and everything that policy needs."""

    name: str
    cases: Cases
    target: Target
    policy: Policy
    baselines: tuple[Baseline, ...]
    sets: Mapping[str, ReferenceSet]
    trials: tuple[Trial, ...]

    def compile_with(self, target: Target) -> Policy:
        """The policy with its document replaced by a changed one. Raises PolicyErrors."""
        if isinstance(target, ReleasePolicy):
            return compiler.compile(self.baselines, self.sets.values(), target)
        others = tuple(baseline for baseline in self.baselines if baseline.name != target.name)
        return compiler.platform_only((*others, target))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    suite: Suite
    results: tuple[Result, ...]
    coverage: Coverage
    score: Score | None
    asked: bool
    """Whether a score was asked for; there is none while cases fail."""

    @property
    def failed(self) -> int:
        return sum(not result.passed for result in self.results)


@click.command(name="test", short_help="Run cases; coverage and mutation score.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML here.")
@click.option("--mutate", is_flag=True, help="Break the policy in small ways; do the cases notice?")
@click.option("--min-score", type=click.FloatRange(0, 100), help="Exit 1 below this score; implies --mutate.")
@click.option(
    "--full-coverage", is_flag=True, help="Exit 1 unless every rule and condition is seen both ways."
)
@json_option
def test(
    paths: tuple[str, ...],
    junit: Path | None,
    mutate: bool,
    min_score: float | None,
    full_coverage: bool,
    as_json: bool,
) -> None:
    """Run cases: files that begin with sealgate: policy-cases/1, or folders that hold some.

    Evidence of a case is minted by the simulator, read from a file, or stated claim by claim. Nothing is sent
    anywhere, and no clock is read: every case has its time.

    \b
    Exit code: 0 as expected, 1 not, 2 malformed.
    """
    suites = [load(name, raw) for name, raw in _cases_files(paths)]
    reports = [run(suite, mutate or min_score is not None) for suite in suites]
    if junit is not None:
        with reading(str(junit)):
            junit.write_text(to_junit(reports), encoding="utf-8")
    if as_json:
        click.echo(json.dumps([to_json(report) for report in reports], indent=2, ensure_ascii=False))
    else:
        for report in reports:
            click.echo("\n".join(lines(report)))
    bad = any(report.failed for report in reports)
    bad |= full_coverage and not all(report.coverage.complete for report in reports)
    if min_score is not None:
        bad |= any(report.score is not None and report.score.percent < min_score for report in reports)
    raise SystemExit(bad)


def _cases_files(paths: Sequence[str]) -> list[tuple[str, bytes]]:
    found = []
    for path in paths:
        for name, raw in files.documents([path], MAX_BYTES):
            with reading(name):
                is_cases = cases_document.is_cases(raw, name)
            if is_cases:
                found.append((name, raw))
            elif not Path(path).is_dir():
                raise InputError(f"{name}: expected cases (sealgate: {cases_document.KIND})")
    if not found:
        raise InputError(f"expected cases (sealgate: {cases_document.KIND}), found none")
    return found


def load(name: str, raw: bytes) -> Suite:
    """A file of cases and everything it refers to. Raises InputError."""
    folder = Path(name).parent
    with reading(name):
        cases = cases_document.read(raw, name, BY_NAME)
    (target, *beside), others = _documents(folder, cases.policy), list[Document]()
    if isinstance(target, ReferenceSet) or any(not isinstance(d, ReferenceSet) for d in beside):
        raise InputError(f"{name}: policy: expected one release policy or baseline in {cases.policy}")
    for path in cases.documents:
        others += _documents(folder, path)
    given = [target, *beside, *others]
    with reading(name):
        sets = {d.name: d for d in given if isinstance(d, ReferenceSet)}
        baselines = _baselines([d for d in given if isinstance(d, Baseline)])
        if isinstance(target, ReleasePolicy):
            policy = compiler.compile(baselines, sets.values(), target)
        else:
            policy = compiler.platform_only(baselines)
        preparer = Preparer(folder)
        prepared = tuple(preparer.trial(case, sets) for case in cases.cases)
    return Suite(
        name=name, cases=cases, target=target, policy=policy, baselines=baselines, sets=sets, trials=prepared
    )


def _documents(folder: Path, path: str) -> list[Document]:
    """Documents of a file beside the cases: first the one that is no reference set, when there is one."""
    name = str(folder / path)
    with reading(name):
        found = list(policybook.read(files.bounded(Path(name), MAX_BYTES), name))
    return sorted(found, key=lambda document: isinstance(document, ReferenceSet))


def _baselines(given: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """The shipped ones, unless one of that name is given."""
    shipped = [d for name, raw in bundles.baselines() for d in policybook.read(raw, name)]
    by_name = {d.name: d for d in shipped if isinstance(d, Baseline)} | {d.name: d for d in given}
    return tuple(by_name[name] for name in sorted(by_name))


def run(suite: Suite, mutate: bool) -> Report:
    results = trials.run(suite.trials, suite.policy, suite.sets.values())
    specs = Vocabulary.of(BY_NAME).specs
    seen = coverage.measure(results, suite.target, suite.sets, specs)
    score = None
    if mutate and all(result.passed for result in results):
        score = mutants.score(
            suite.target, suite.trials, suite.sets, specs, suite.compile_with, step=_progress
        )
    return Report(suite=suite, results=results, coverage=seen, score=score, asked=mutate)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rmutants {done}/{total}{chr(10) if done == total else ''}", nl=False, err=True)


# --- saying it -------------------------------------------------------------------------------------


def lines(report: Report) -> list[str]:
    out = [one_line(report.suite.name)]
    for result in report.results:
        out.append(f"  {'✓' if result.passed else '✗'} {one_line(result.trial.case.name)}")
        out += [f"      {one_line(wrong)}" for wrong in result.wrong]
        if not result.passed:
            out.append(f"      {result.trial.case.at}")
    rules, conditions = report.coverage.ratio("rule"), report.coverage.ratio("condition")
    out.append(
        f"{len(report.results)} cases, {report.failed} failed"
        f"   rules {_percent(*rules)}   conditions {_percent(*conditions)}"
    )
    out += [f"  not shown {item.missing}: {item.what}   {item.place}" for item in report.coverage.open]
    if report.score is not None:
        score = report.score
        out.append(
            f"{score.total} mutants, {score.killed} noticed, {len(score.survivors)} survived:"
            f" {score.percent:.1f} %   ({score.stillborn} more are refused by the compiler)"
        )
        out += [f"  survived {m.operator}: {m.what}   {m.place}" for m in score.survivors]
    elif report.asked and report.failed:
        out.append("no mutants while cases fail")
    return out


def _percent(seen: int, total: int) -> str:
    return f"{seen}/{total} ({100 * seen / total:.0f} %)" if total else "none"


def to_json(report: Report) -> dict[str, object]:
    score = report.score
    return {
        "file": report.suite.name,
        "policy": report.suite.target.name,
        "cases": [
            {
                "name": result.trial.case.name,
                "passed": result.passed,
                "verdict": result.appraisal.verdict.value,
                "reason": result.appraisal.reason,
                "rule": result.appraisal.rule,
                "wrong": list(result.wrong),
                "line": result.trial.case.at.line,
            }
            for result in report.results
        ],
        "failed": report.failed,
        "coverage": {
            "rules": report.coverage.ratio("rule"),
            "conditions": report.coverage.ratio("condition"),
            "open": [_seen(item) for item in report.coverage.open],
        },
        "mutation": None
        if score is None
        else {
            "operators": dict(mutants.OPERATORS),
            "killed": score.killed,
            "stillborn": score.stillborn,
            "percent": round(score.percent, 1),
            "survivors": [_survivor(mutant) for mutant in score.survivors],
        },
    }


def _seen(item: Seen) -> dict[str, object]:
    return {"kind": item.kind, "what": item.what, "not_shown": item.missing, "at": str(item.place)}


def _survivor(mutant: Mutant) -> dict[str, object]:
    return {"operator": mutant.operator, "what": mutant.what, "at": str(mutant.place)}


def to_junit(reports: Sequence[Report]) -> str:
    """JUnit XML as CI systems read it: one suite for each file of cases."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for report in reports:
        name = quoteattr(one_line(report.suite.name))
        out.append(
            f'  <testsuite name={name} tests="{len(report.results)}" failures="{report.failed}" errors="0">'
        )
        for result in report.results:
            case = result.trial.case
            head = (
                f"    <testcase name={quoteattr(one_line(case.name))} classname={name}"
                f' file={name} line="{case.at.line}"'
            )
            if result.passed:
                out.append(f"{head}/>")
                continue
            said = quoteattr("; ".join(one_line(wrong) for wrong in result.wrong))
            out += [f"{head}>", f"      <failure message={said}/>", "    </testcase>"]
        out.append("  </testsuite>")
    return "\n".join([*out, "</testsuites>", ""])
