"""The seccomp filter of a reader: which system calls it may make, as a program of classic BPF.

A reader computes, and reads and writes one socket that is open already. So the list is short, and what is
not on it ends the process at once: code that calls it is not ours, and gets no second try. Excepted are
questions about files that a language runtime asks of itself (a late import, a traceback): those are answered
EPERM, since Landlock and the missing descriptors leave nothing to find, and an innocent one should not cost a
process.

Nothing may be mapped executable that was not when the process was confined: EPERM, as on W^X systems.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/{bpf_common,seccomp}.h.
"""

from __future__ import annotations

import errno
import struct

from gateway.containment.machine import Machine

ALLOWED = (
    "read", "write", "close", "munmap", "mremap", "brk", "madvise", "futex", "sched_yield", "rseq",
    "membarrier", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "clock_gettime", "gettimeofday", "getrandom", "getpid", "gettid", "exit", "exit_group",
)  # fmt: skip
MAPPING = ("mmap", "mprotect")
"""Allowed without PROT_EXEC."""
DENIED = (
    "open", "openat", "stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents64", "getcwd", "lseek", "ioctl", "fcntl", "uname", "sysinfo",
    "sched_getaffinity", "prlimit64",
)  # fmt: skip
"""Answered EPERM."""

KILL, ALLOW = 0x80000000, 0x7FFF0000
EPERM = 0x00050000 | errno.EPERM
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT = 0, 4, 32
"""Offsets in struct seccomp_data; of the argument, its lower half."""
_PROT_EXEC = 4

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, k."""


def program(machine: Machine) -> tuple[Instruction, ...]:
    """The filter for one kind of machine."""
    out: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, machine.foreign),
        (_RETURN, 0, 0, KILL),
    ]
    numbers = machine.numbers
    for names, action in ((ALLOWED, ALLOW), (DENIED, EPERM)):
        for name in names:
            if name in numbers:
                out += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, action)]
    for name in MAPPING:
        out += [
            (_EQUAL, 0, 4, numbers[name]),
            (_LOAD, 0, 0, _THIRD_ARGUMENT),
            (_ANY_BIT, 0, 1, _PROT_EXEC),
            (_RETURN, 0, 0, EPERM),
            (_RETURN, 0, 0, ALLOW),
        ]
    return (*out, (_RETURN, 0, 0, KILL))


def assemble(instructions: tuple[Instruction, ...]) -> bytes:
    """An array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)
