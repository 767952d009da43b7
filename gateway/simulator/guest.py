"""Answers as a guest would: the evidence envelope, and what Linux's configfs-tsm shows.

Source of the folder's shape: Linux, Documentation/ABI/testing/configfs-tsm-report. `inblob` takes the report
data, `outblob` is the report or quote, `auxblob` the certificate table (SEV-SNP only), `provider` names the
guest driver, and `generation` counts writes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine
from verifiers.codec.b64 import encode_url

Machine = SnpMachine | TdxMachine | SgxMachine

_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class SimulatedGuest:
    """A guest on `machine`. Overrides everywhere are those of the machine's `report` or `quote`. event_log:
    what a TDX guest sends along, None for nothing."""

    machine: Machine
    event_log: bytes | None = None

    def raw(self, report_data: bytes, **overrides: Any) -> bytes:
        """The report or quote over 64 bytes of report data."""
        if isinstance(self.machine, SnpMachine):
            return self.machine.report(report_data, **overrides)
        return self.machine.quote(report_data, **overrides)

    def evidence(self, report_data: bytes, **overrides: Any) -> dict[str, object]:
        """The native envelope as a JSON object: SNP brings its certificates, a quote carries its own."""
        raw = encode_url(self.raw(report_data, **overrides))
        if isinstance(self.machine, SnpMachine):
            chain = (self.machine.leaf, self.machine.intermediate(), self.machine.ark())
            return {"type": "sev-snp", "report": raw, "certificates": [encode_url(der) for der in chain]}
        log = {} if self.event_log is None else {"event_log": encode_url(self.event_log)}
        return {"type": self.machine.TEE.lower(), "quote": raw, **log}

    def write_tsm_entry(
        self, folder: Path, report_data: bytes, *, generation: int = 1, **overrides: Any
    ) -> None:
        """Fill `folder` (made if absent) as /sys/kernel/config/tsm/report/<name> looks after a request."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "inblob").write_bytes(report_data)
        self._respond(folder, report_data, generation, overrides)

    @contextmanager
    def answering_tsm(self, root: Path, **overrides: Any) -> Iterator[Path]:
        """While inside, answer every entry that somebody makes under `root`, as the kernel does.

        A client makes a folder, writes 64 bytes to `inblob` and reads `outblob`. Unlike the kernel, which
        makes the reader wait, the file appears a few milliseconds later: clients retry while it is absent.
        """
        root.mkdir(parents=True, exist_ok=True)
        stop = threading.Event()
        thread = threading.Thread(target=self._answer, args=(root, stop, overrides), daemon=True)
        thread.start()
        try:
            yield root
        finally:
            stop.set()
            thread.join()

    def _answer(self, root: Path, stop: threading.Event, overrides: dict[str, Any]) -> None:
        answered: dict[Path, tuple[tuple[int, bytes], int]] = {}
        while not stop.wait(_POLL_SECONDS):
            for inblob in root.glob("*/inblob"):
                before, generation = answered.get(inblob.parent, ((0, b""), 0))
                try:
                    report_data = inblob.read_bytes()
                    # Time stamps are coarse: two writes within one tick differ by what they wrote.
                    write = (inblob.stat().st_mtime_ns, report_data)
                    if len(report_data) != 64 or write == before:
                        continue
                    answered[inblob.parent] = (write, generation + 1)
                    self._respond(inblob.parent, report_data, generation + 1, overrides)
                except FileNotFoundError:  # the client has cleaned up meanwhile
                    continue

    def _respond(self, folder: Path, report_data: bytes, generation: int, overrides: dict[str, Any]) -> None:
        snp = isinstance(self.machine, SnpMachine)
        (folder / "provider").write_text("sev_guest\n" if snp else "tdx_guest\n")
        (folder / "generation").write_text(f"{generation}\n")
        if isinstance(self.machine, SnpMachine):
            (folder / "auxblob").write_bytes(self.machine.certificate_table())
        if self.event_log is not None:
            (folder / "event_log").write_bytes(self.event_log)
        # Last, and whole at once: whoever waits for it must not read half a report.
        partial = folder / ".outblob"
        partial.write_bytes(self.raw(report_data, **overrides))
        partial.replace(folder / "outblob")
