"""Refreshers in processes of their own: `python -m tests.integration.collateral_workers FOLDER KDS OWNER`.

Says "ready", waits for a line, does what is due once, and says how many fetches it made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gateway.adapters import OsRandom
from gateway.collateral import refresher
from gateway.collateral.dial import Dialler
from gateway.collateral.settings import Collateral
from gateway.store import StoreKind, open_store
from tests.integration.collateral_world import NOW, build
from tests.stores import FakeClock, database_path


def main(folder: Path, kds: str, owner: str, later: float) -> None:
    clock = FakeClock(NOW)
    clock.move(seconds=later)
    with open_store(
        database_path(folder), create=None, expect=StoreKind.DEVELOPMENT, clock=clock, random=OsRandom()
    ) as store:
        patient = Dialler(connect_seconds=30, read_seconds=60, total_seconds=90)
        engine = build(Collateral(amd=kds, amd_seconds=0), store, clock, owner, patient)
        os.write(1, b"ready\n")
        sys.stdin.readline()
        os.write(1, f"{refresher.tick(engine)}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
