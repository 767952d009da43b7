"""`python -m tests.fuzz`: runs every target for its share of the time, each in a process of its own.

Coverage-guided by atheris where it is installed. A target is a module in this folder with `SEEDS` (a
callable) and `target(data)`; its first line states the invariant. A crash prints the input's path and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
CORPUS = FOLDER.parents[1] / ".work" / "fuzz"


def names() -> list[str]:
    return sorted(path.stem.removeprefix("target_") for path in FOLDER.glob("target_*.py"))


def run_one(name: str, seconds: int) -> None:
    """In the child: never returns normally; libFuzzer decides when to stop."""
    import atheris

    with atheris.instrument_imports(include=["verifiers", "policies", "gateway"]):
        module = importlib.import_module(f"tests.fuzz.target_{name}")
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(module.seeds()):
        (corpus / f"seed-{index:03d}").write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-max_len=20000",
            "-timeout=10",
            "-rss_limit_mb=1024",
            f"-artifact_prefix={corpus}/crash-",
            "-print_final_stats=1",
            str(corpus),
        ],
        module.target,
    )
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--only", help="one target by name")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_one(args.child, args.seconds)
        return 0
    todo = [args.only] if args.only else names()
    share = max(2, args.seconds // max(1, len(todo)))
    failures = 0
    for name in todo:
        started = time.monotonic()
        child = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.fuzz", "--child", name, "--seconds", str(share)],
            capture_output=True,
            text=True,
            check=False,
            timeout=share + 120,
        )
        runs = next(
            (
                line.split(":")[-1].strip()
                for line in child.stderr.splitlines()
                if "number_of_executed" in line
            ),
            "?",
        )
        ok = child.returncode == 0 and runs != "?"
        failures += not ok
        print(f"{'ok  ' if ok else 'FAIL'}  {name:24s} {runs:>10s} runs  {time.monotonic() - started:5.1f} s")
        if not ok:
            print(child.stdout[-2000:], child.stderr[-4000:], sep="\n", file=sys.stderr)
    print(f"{len(todo) - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
