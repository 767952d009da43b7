"""Take everything from this process that a reader does not need, in one order, and say what held.

no_new_privs first, since the others need it; files (Landlock); limits; then system calls, which ends the
means of changing any of it. Each is tried by itself: what a kernel lacks is said, not hidden.

Sources: Linux, Documentation/userspace-api/{landlock,no_new_privs}.rst; getrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from gateway.containment import machine, syscall_filter
from gateway.containment.machine import Machine

MEASURES = ("no_new_privs", "landlock", "rlimits", "seccomp")
ON = "on"
HEADROOM = 192 * 2**20
"""Bytes of address space that a reader may have beyond what it is born with."""
CPU_SECONDS = 60
"""In the whole life of a reader; what hangs is ended much earlier, by whoever waits for it."""
_NOBODY = 65534

_FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_ALL_FILES = (1 << 16) - 1
_ALL_NET, _ALL_SCOPES = 3, 3
_VERSION = 1
_SET_FILTER = 1


def confine(without: Collection[str] = ()) -> dict[str, str]:
    """Confine this process for good; each of `MEASURES` with "on …" or why it is not.

    without: measures to leave out as if the kernel had none, for tests.
    """
    drop_root()
    pages = _pages()
    steps: Mapping[str, Callable[[], str]] = {
        "no_new_privs": _no_new_privs,
        "landlock": _landlock,
        "rlimits": lambda: _limits(pages),
        "seccomp": _seccomp,
    }
    found = {}
    for name in MEASURES:
        try:
            if name in without:
                raise OSError("left out")
            found[name] = steps[name]()
        except (OSError, ValueError) as error:
            found[name] = f"off: {getattr(error, 'strerror', None) or error}"
    return found


def holds(found: Mapping[str, str]) -> bool:
    """Whether every measure is on."""
    return all(found.get(name, "").split(" ")[0] == ON for name in MEASURES)


def drop_root() -> None:
    """A reader is nobody, also where the gateway is root: then it signals and traces nobody either."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def die_with_parent() -> None:
    """To be called after `drop_root`: changing user clears it."""
    machine.prctl(machine.PDEATHSIG, signal.SIGKILL)


def _no_new_privs() -> str:
    machine.prctl(machine.NO_NEW_PRIVS, 1)
    machine.prctl(machine.DUMPABLE, 0)
    return ON


def _pages() -> int:
    """Address space in use; nobody can look it up once Landlock is on."""
    return int(Path("/proc/self/statm").read_text().split()[0])


def _limits(pages: int) -> str:
    most = pages * resource.getpagesize() + HEADROOM
    for which, value in (
        (resource.RLIMIT_AS, most),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(which, (value, value))
    return f"{ON} (memory {most // 2**20} MiB, CPU {CPU_SECONDS} s; no files, no processes)"


def landlock_abi(here: Machine) -> int:
    """The kernel's Landlock version. Raises OSError when it has none."""
    return machine.call(here, "landlock_create_ruleset", 0, 0, _VERSION)


def _landlock() -> str:
    """A ruleset that handles everything and allows nothing."""
    here = _here()
    abi = landlock_abi(here)
    attributes = struct.pack("=Q", _FILES_BY_ABI.get(abi, _ALL_FILES))
    if abi >= 4:
        attributes += struct.pack("=Q", _ALL_NET)
    if abi >= 6:
        attributes += struct.pack("=Q", _ALL_SCOPES)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = machine.call(here, "landlock_create_ruleset", ctypes.addressof(buffer), len(attributes), 0)
    try:
        machine.call(here, "landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return f"{ON} (ABI {abi})"


def _seccomp() -> str:
    here = _here()
    code = syscall_filter.assemble(syscall_filter.program(here))
    instructions = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    buffer = ctypes.create_string_buffer(head, len(head))
    machine.call(here, "seccomp", _SET_FILTER, 0, ctypes.addressof(buffer))
    return ON


def _here() -> Machine:
    found = machine.here()
    if found is None:
        raise OSError(f"nobody wrote down the system calls of {os.uname().machine}")
    return found
