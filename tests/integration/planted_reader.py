"""A zygote whose readers run planted code: what somebody who captured one could do.

    python -m tests.integration.planted_reader NAME FD

Only a test can name this module as a nursery's command; nothing in the gateway's configuration or environment
chooses what a zygote runs.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.containment import confine, findings, packing, texts, worker, zygote
from verifiers import registry
from verifiers.model import Outcome
from verifiers.sevsnp import abi

GATEWAY = os.getppid()
"""Of the zygote: it is the process that asks."""
LOOKS = (
    "/etc/passwd", "/proc/self/environ", "/proc/self/maps", "/dev/null", ".", "/tmp",
)  # fmt: skip


def attempts() -> dict[str, Callable[[], object]]:
    """Each by its name; what does not raise worked."""
    libc = ctypes.CDLL(None, use_errno=True)

    def traced() -> object:
        return _raising(libc.ptrace(16, GATEWAY, 0, 0))  # PTRACE_ATTACH

    def mapped_executable() -> object:
        import mmap

        return mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)

    def connected() -> object:
        with socket.socket() as made:
            return made.connect(("127.0.0.1", 1))

    return {
        **{f"open {path}": functools.partial(os.open, path, os.O_RDONLY) for path in LOOKS},
        "write": lambda: os.open("/tmp/planted", os.O_CREAT | os.O_WRONLY, 0o600),
        "list": lambda: os.listdir("/"),
        "environment": lambda: _raising(-1 if len(os.environ) < 3 else 0),
        "other descriptors": lambda: os.read(4, 0),
        "executable memory": mapped_executable,
        "socket": socket.socket,
        "connect": connected,
        "socketpair": socket.socketpair,
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "signal the parent": lambda: os.kill(GATEWAY, 0),
        "kill the parent": lambda: os.kill(GATEWAY, signal.SIGKILL),
        "ptrace": traced,
        "read the parent's memory": lambda: os.open(f"/proc/{GATEWAY}/mem", os.O_RDONLY),
        "limits": lambda: __import__("resource").setrlimit(7, (64, 64)),
        "unshare": lambda: _raising(libc.unshare(0x10000000)),
        "more privileges": lambda: os.setuid(0),
        "bpf": lambda: _raising(libc.syscall(321, 0, 0, 0)),
        "memfd": lambda: os.memfd_create("planted"),
    }


def _raising(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def tries(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Try what the message names; the answer says "worked" or how it failed, as a refusal's text."""
    wanted = json.loads(parts[1])["try"]
    try:
        attempts()[wanted]()
        said = "worked"
    except BaseException as error:
        said = f"{type(error).__name__} {getattr(error, 'errno', '')}"
    told = {"reason": "evidence.bad-value", "where": wanted, "expected": said, "found": ""}
    return packing.REFUSED, texts.compact(told)


def remembers(parts: Sequence[bytes], seen: list[bytes] = []) -> Sequence[bytes]:  # noqa: B006
    """Tell everybody what was read before."""
    told = {
        "reason": "evidence.bad-value",
        "where": str(os.getpid()),
        "expected": str(len(seen)),
        "found": (seen[-1][:64] if seen else b"").decode("latin-1"),
    }
    seen.append(parts[1])
    return packing.REFUSED, texts.compact(told)


def hangs(parts: Sequence[bytes]) -> Sequence[bytes]:
    if b"wait" in parts[1]:
        while True:
            pass
    return worker.answer_to(parts)


def sleeps(parts: Sequence[bytes]) -> Sequence[bytes]:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.monotonic()


def grows(parts: Sequence[bytes]) -> Sequence[bytes]:
    if b"grow" not in parts[1]:
        return worker.answer_to(parts)
    kept = []
    while True:
        kept.append(bytearray(8 * 2**20))


def crashes(parts: Sequence[bytes]) -> Sequence[bytes]:
    if b"crash" in parts[1]:
        ctypes.string_at(0)
    return worker.answer_to(parts)


def talks_nonsense(parts: Sequence[bytes]) -> Sequence[bytes]:
    return (b"accepted", b"yes")


def floods(fd: int) -> None:
    os.read(fd, 1 << 16)
    os.write(fd, (1 << 31).to_bytes(4, "big"))
    while True:
        os.write(fd, bytes(1 << 16))


# --- liars ----------------------------------------------------------------------------------------------


def accepts(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Open honestly; whatever is to be explained is fine, and led to a pin."""
    if parts[0] != findings.EXPLAIN:
        return worker.answer_to(parts)
    return _all_fine(parts, chain_valid=True)


def accepts_without_a_chain(parts: Sequence[bytes]) -> Sequence[bytes]:
    if parts[0] != findings.EXPLAIN:
        return worker.answer_to(parts)
    return _all_fine(parts, chain_valid=False)


def _all_fine(parts: Sequence[bytes], *, chain_valid: bool) -> Sequence[bytes]:
    import msgspec

    question = findings.asked(parts)
    opened = worker._open(question.message)
    # The best lie there is: all that would be found if the certificate were not forged.
    leaf = bytearray(opened.certificates[0])
    leaf[-5] ^= 1
    certificates = (bytes(leaf), *question.endorsements.certificates)
    given = dataclasses.replace(question.endorsements, certificates=certificates)
    found = registry.verify(opened.evidence, given, question.binding, question.now)
    checks = tuple(msgspec.structs.replace(c, outcome=Outcome.PASSED, reason=None) for c in found.checks)
    lie = msgspec.structs.replace(found, signature_valid=True, chain_valid=chain_valid, checks=checks)
    return findings.answer(lie)


def repairs(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Change the report to what a policy wants to see: not debugged, and what the test says."""
    if parts[0] != worker.OPEN:
        return worker.answer_to(parts)
    opened = worker._open(parts[1])
    report = opened.evidence
    assert isinstance(report, abi.SnpReport)
    raw = bytearray(report.raw)
    raw[0x00A] &= ~0x08  # POLICY.DEBUG
    raw[0x090 : 0x090 + len(_WANTED)] = _WANTED  # MEASUREMENT
    packed = list(packing.pack(opened))
    packed[2] = bytes(raw)
    return packed


def notes_that_all_is_well(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Say in a note that report data was compared."""
    packed = list(worker.answer_to(parts))
    note: dict[str, Any] = dict.fromkeys(("expected", "found", "source"), "equal")
    note |= {"id": "binding.report-data", "outcome": "passed", "reason": None, "fix": None}
    packed[4] = texts.compact([note])
    return packed


def other_machine(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Answer every request with the first evidence that was ever seen."""
    if parts[0] != worker.OPEN:
        return worker.answer_to(parts)
    if not _FIRST:
        _FIRST.append(worker.answer_to(parts))
    return _FIRST[0]


_WANTED = bytearray()
"""What a liar that repairs reports writes for the measurement."""
_FIRST: list[Sequence[bytes]] = []

PLANTED: dict[str, Callable[[Sequence[bytes]], Sequence[bytes]]] = {
    name.__name__: name
    for name in (
        tries, remembers, hangs, sleeps, grows, crashes, talks_nonsense, accepts, accepts_without_a_chain,
        repairs, notes_that_all_is_well, other_machine,
    )
}  # fmt: skip


def main(name: str, fd: int) -> None:
    name, _, wanted = name.partition(":")
    _WANTED.extend(bytes.fromhex(wanted))
    left_out, _, planted = name.rpartition("!")
    limit = functools.partial(confine.confine, without=tuple(filter(None, left_out.split(","))))
    serve = floods if planted == "floods" else functools.partial(worker.serve, answer=PLANTED[planted])
    zygote.main(fd, serve, limit)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
