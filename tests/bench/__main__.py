"""`make bench`: prints a table, writes JSON. Budgets are ratios within this one run."""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import backtest, collateral, containment, foundry, http, ledger, policy, verification
from tests.bench.clock import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """measured: as text. ratio and budget: None where nothing was promised."""

    what: str
    measured: str
    ratio: str = ""
    budget: str = ""
    met: bool | None = None


def us(timing: Timing) -> str:
    return f"p50 {timing.p50:,.0f} µs, p99 {timing.p99:,.0f} µs"


def against(what: str, timing: Timing, base: Timing, name: str, budget: float | None) -> Line:
    ratio = timing.p50 / base.p50
    return Line(
        what=what,
        measured=us(timing),
        ratio=f"{ratio:.2f} × {name}",
        budget="" if budget is None else f"≤ {budget} ×",
        met=None if budget is None else ratio <= budget,
    )


def measure(short: bool) -> list[Line]:
    rounds = 200 if short else 2000
    lines: list[Line] = []
    snp = verification.snp(rounds)
    bare = snp["bare P-384 verify"]
    lines += [
        Line(what="bare P-384 verify", measured=us(bare)),
        against("SNP verify, warm", snp["SNP verify, warm"], bare, "bare P-384", 1.25),
        against("SNP verify, cold", snp["SNP verify, cold"], bare, "bare P-384", None),
    ]
    tdx = verification.tdx(rounds)
    oracle = tdx["dcap_qvl.verify"]
    lines += [
        Line(what="bare P-256 verify", measured=us(tdx["bare P-256 verify"])),
        Line(what="dcap_qvl.verify, same quotes", measured=us(oracle)),
        against("TDX verify, warm", tdx["TDX verify, warm"], oracle, "dcap_qvl", 0.45),
        against("TDX verify, same enclave", tdx["TDX verify, same enclave"], oracle, "dcap_qvl", None),
        against("TDX verify, cold", tdx["TDX verify, cold"], oracle, "dcap_qvl", None),
    ]
    replayed = verification.event_log(min(rounds, 300))
    lines.append(Line(what="event log, 100 events, replayed", measured=us(replayed["replay, 100 events"])))
    lines += policy_lines(rounds)
    again = backtest.per_second(1_000 if short else 10_000)
    lines.append(
        Line(
            what="backtest, attempts a second on one core",
            measured=f"{again:,.0f}/s",
            budget="≥ 5,000/s",
            met=again >= 5_000,
        )
    )
    family = foundry.families(3 if short else 10)
    lines += [
        Line(what="128 SNP measurements, each alone", measured=us(family["apart"])),
        against("128 SNP measurements, one family", family["together"], family["apart"], "each alone", 0.02),
    ]
    many = collateral.chips(1_000 if short else 10_000)
    lines += [
        Line(what=f"needs of {many.first.calls:,} chips, first time", measured=us(many.first)),
        Line(
            what=f"needs of {many.warm.calls:,} chips, warm",
            measured=us(many.warm),
            ratio=f"{many.reads:g} store reads, {many.connections} vendor calls",
            budget="≤ 1 read, 0 calls",
            met=many.reads <= 1 and many.connections == 0,
        ),
    ]
    lines += containment_lines(min(rounds, 1000))
    return lines + ledger_lines(short) + over_http(short)


def ledger_lines(short: bool) -> list[Line]:
    """What one durable entry costs as the tree grows."""
    sizes = (1_000, 100_000) if short else (1_000, 1_000_000, 10_000_000)
    grown = ledger.growth(sizes, 200 if short else 2000)
    base = grown[1_000]
    lines: list[Line] = []
    for size, found in grown.items():
        where = f"{size:,} leaves"
        flat = None if found is base else 1.25
        lines += [
            against(f"ledger entry, {where}", found.cpu, base.cpu, "1,000 leaves", flat),
            Line(what="  durable, one writer", measured=us(found.apart)),
            Line(
                what="  durable, 8 writers at once",
                measured=us(found.together),
                budget="p50 ≤ 5 ms",
                met=found.together.p50 <= 5_000,
            ),
        ]
    return lines


def containment_lines(rounds: int) -> list[Line]:
    """Evidence through a contained reader, beside the same in process."""
    found = containment.cost(rounds)
    lines = [
        against(f"{kind} open + verify, contained", each["contained"], each["in process"], "in process", None)
        for kind, each in found.timings.items()
    ]
    return [
        *lines,
        Line(what="a contained reader's start", measured=us(found.spawn)),
        Line(
            what=f"zygote, each of {containment.READERS} readers",
            measured=f"{found.zygote_mb:.0f} MB, {found.reader_mb:.0f} MB",
            budget="≤ 120 MB each",
            met=max(found.zygote_mb, found.reader_mb) <= 120,
        ),
    ]


def over_http(short: bool) -> list[Line]:
    load = http.attest_and_release(300 if short else 4000)
    paced = http.attest_at_rate(400, 1 if short else 5)
    calm = paced.latency.p99 <= 25_000 and not paced.errors
    inside = sum(load.stages.values())
    return [
        Line(
            what="attest + release over HTTP, 2 workers",
            measured=f"{load.per_second:,.0f}/s, {us(load.latency)}, {load.errors} errors",
            ratio=f"{load.crypto_share:.0%} of CPU is crypto",
            budget="≥ 50 %",
            met=load.crypto_share >= 0.5,
        ),
        Line(
            what=f"attest at {paced.offered}/s, 2 workers",
            measured=f"{us(paced.latency)}, {paced.errors} errors",
            budget="p99 ≤ 25 ms",
            met=calm,
        ),
        Line(
            what="server CPU per attest + release",
            measured=f"{load.cpu_ms_per_request:.2f} ms, of it crypto {load.crypto_ms_per_request:.2f} ms",
        ),
        *(
            Line(
                what=f"  {stage}", measured=f"{spent:.2f} ms", ratio=f"{spent / load.cpu_ms_per_request:.0%}"
            )
            for stage, spent in (
                ("sockets, event loop, threads", load.cpu_ms_per_request - inside),
                *load.stages.items(),
            )
        ),
        Line(
            what="memory per worker",
            measured=f"{load.memory_mb_per_worker:.0f} MB",
            budget="≤ 120 MB",
            met=load.memory_mb_per_worker <= 120,
        ),
    ]


def policy_lines(rounds: int) -> list[Line]:
    """Evaluation as sets grow, and compilation."""
    lines: list[Line] = []
    timings = policy.evaluation((10, 10_000, 1_000_000), rounds)
    for size, timing in timings.items():
        ratio = timing.p50 / timings[10_000].p50
        lines.append(
            Line(
                what=f"appraise, {size:,} reference values",
                measured=us(timing),
                ratio=f"{ratio:.2f} × 10,000 values",
                budget={10_000: "p99 ≤ 150 µs", 1_000_000: "≤ 1.25 ×"}.get(size, ""),
                met={10_000: timing.p99 <= 150, 1_000_000: ratio <= 1.25}.get(size),
            )
        )
    compiled = policy.compiling(500, max(20, rounds // 40))
    budget = "p50 ≤ 20 ms"
    return [
        *lines,
        Line(what="compile, 500 rules", measured=us(compiled), budget=budget, met=compiled.p50 <= 20_000),
    ]


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--short", action="store_true", help="fewer rounds")
    args = parser.parse_args()
    lines = measure(args.short)
    print(f"{'what':40} {'measured':56} {'ratio':26} {'budget':14}")
    for line in lines:
        verdict = {True: "met", False: "NOT met", None: ""}[line.met]
        print(f"{line.what:40} {line.measured:56} {line.ratio:26} {line.budget:14} {verdict}")
    if args.json:
        record: dict[str, Any] = {
            "python": platform.python_version(),
            "lines": [
                {
                    "what": line.what,
                    "measured": line.measured,
                    "ratio": line.ratio,
                    "budget": line.budget,
                    "met": line.met,
                }
                for line in lines
            ],
        }
        args.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
