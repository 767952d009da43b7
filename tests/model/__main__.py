"""`make model`: the table of bound fields, and of each an attack without it, or why there is none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.model import rows, trace
from tests.model.fields import bound
from tests.model.search import Result, explore, search, worlds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer worlds; what the tests look at")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs) as pool:
        complaints = [*_protocol(pool, options.short), *_fields(pool, options.short)]
    for complaint in complaints:
        print(f"WRONG: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def _protocol(pool: ProcessPoolExecutor, short: bool) -> Iterator[str]:
    """The protocol as it is: every world, and no attack."""
    found = list(pool.map(explore, worlds(short=short)))
    states = sum(count for count, _ in found)
    attacks = [attack for _, attack in found if attack is not None]
    print(
        f"The protocol as it is: {states:,} states in {len(found)} worlds, {len(attacks)} with an attack.\n"
    )
    for attack in attacks[:1]:
        print("\n".join(trace.told(attack)))
        yield "the protocol has an attack"


def _fields(pool: ProcessPoolExecutor, short: bool) -> Iterator[str]:
    known = {place: set(found) for place, found in rows.ROWS.items()}
    code = {place: set(found) for place, found in bound().items()}
    if known != code:
        yield "tests/model/rows.py and the code do not name the same fields"
    names = [*rows.searched(), *rows.RULES]
    alone = dict(zip(names, pool.map(partial(search, short=short), [[n] for n in names]), strict=True))
    pairs = [name for name in names if rows.row_of(name).together]
    both = [[name, *rows.row_of(name).together] for name in pairs]
    together = dict(zip(pairs, pool.map(partial(search, short=False), both), strict=True))
    print(f"{'left out':34} what comes of it")
    every = [f"{place}.{field}" for place, found in rows.ROWS.items() for field in found]
    for name in [*every, *rows.RULES]:
        print(f"{name:34} {_said(name, alone.get(name))}")
    for name, result in (
        alone | {f"{n} and {rows.row_of(n).together[0]}": r for n, r in together.items()}
    ).items():
        if result.attack is not None:
            print(f"\nWithout {name}:\n  " + "\n  ".join(trace.told(result.attack)))
    for name in names:
        if (alone[name].attack is None) is not bool(rows.row_of(name).why):
            yield f"{name}: an attack was {'not ' if rows.row_of(name).why else ''}expected"
        if name in together and together[name].attack is None:
            yield f"{name}: an attack was expected without {rows.row_of(name).together[0]} too"


def _said(name: str, result: Result | None) -> str:
    row = rows.row_of(name)
    if result is not None and result.attack is not None:
        return f"ATTACK on: {result.attack.broken.property}"
    what = "not in the model" if result is None else f"no attack in {result.states:,} states"
    more = f" (an attack without {row.together[0]} as well)" if row.together else ""
    return f"{what}: {row.why}{more}"


if __name__ == "__main__":
    sys.exit(main())
