"""What differs between the kinds of machine that this runs on, and the system calls that Python lacks.

Sources: Linux, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (numbers),
include/uapi/linux/{audit,landlock,prctl,seccomp}.h (constants).
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NO_NEW_PRIVS, PDEATHSIG, DUMPABLE = 38, 1, 4
"""prctl(2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """audit: AUDIT_ARCH_…, what a filter sees. foreign: system calls from this number on are another ABI's
    (x32). numbers: of the system calls that a filter names; what a machine does not have is absent."""

    audit: int
    foreign: int
    numbers: Mapping[str, int]


_LANDLOCK = {"landlock_create_ruleset": 444, "landlock_restrict_self": 446}

_X86_64 = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "ioctl": 16, "access": 21, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39, "exit": 60,
    "uname": 63, "fcntl": 72, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "sysinfo": 99,
    "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231, "openat": 257, "newfstatat": 262,
    "readlinkat": 267, "faccessat": 269, "prlimit64": 302, "seccomp": 317, "getrandom": 318,
    "membarrier": 324, "statx": 332, "rseq": 334, "faccessat2": 439,
}  # fmt: skip
_AARCH64 = {
    "getcwd": 17, "fcntl": 25, "ioctl": 29, "faccessat": 48, "openat": 56, "close": 57, "getdents64": 61,
    "lseek": 62, "read": 63, "write": 64, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93,
    "exit_group": 94, "futex": 98, "clock_gettime": 113, "sched_getaffinity": 123, "sched_yield": 124,
    "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "uname": 160, "gettimeofday": 169, "getpid": 172, "gettid": 178, "sysinfo": 179,
    "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "prlimit64": 261,
    "seccomp": 277, "getrandom": 278, "membarrier": 283, "statx": 291, "rseq": 293, "faccessat2": 439,
}  # fmt: skip

MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "x86_64": Machine(audit=0xC000003E, foreign=0x40000000, numbers=_X86_64 | _LANDLOCK),
        "aarch64": Machine(audit=0xC00000B7, foreign=0x40000000, numbers=_AARCH64 | _LANDLOCK),
    }
)

_libc = ctypes.CDLL(None, use_errno=True)


def here() -> Machine | None:
    """This machine; None for one whose system calls nobody wrote down."""
    return MACHINES.get(platform.machine())


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    arguments = [ctypes.c_ulong(each) for each in (value, 0, 0, 0)]
    if _libc.prctl(ctypes.c_int(option), *arguments) != 0:
        raise _last_error()


def call(machine: Machine, name: str, *arguments: int) -> int:
    """One system call by name, its result. Raises OSError."""
    _libc.syscall.restype = ctypes.c_long
    given = [ctypes.c_ulong(each & 0xFFFFFFFFFFFFFFFF) for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(machine.numbers[name]), *given)
    if result < 0:
        raise _last_error()
    return result


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
