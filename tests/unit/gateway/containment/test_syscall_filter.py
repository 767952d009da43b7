"""The filter, run by an interpreter of its own for every number that there is."""

from __future__ import annotations

import struct

import pytest

from gateway.containment.machine import MACHINES, Machine
from gateway.containment.syscall_filter import (
    ALLOW,
    ALLOWED,
    DENIED,
    EPERM,
    KILL,
    MAPPING,
    assemble,
    program,
)

EXECUTABLE, READ_WRITE = 5, 3


def run(machine: Machine, number: int, *, audit: int | None = None, third: int = 0) -> int:
    """The filter's answer. Classic BPF: only what the program uses; anything else fails."""
    data = struct.pack("<iIQ6Q", number, machine.audit if audit is None else audit, 0, 0, 0, third, 0, 0, 0)
    code = assemble(program(machine))
    instructions = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, at = 0, 0
    while True:
        kind, true, false, k = instructions[at]
        at += 1
        if kind == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif kind == 0x06:
            return int(k)
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[kind]
            at += true if holds else false


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]


def test_every_number_is_answered_as_it_is_listed(machine: Machine) -> None:
    allowed = {machine.numbers[name] for name in (*ALLOWED, *MAPPING) if name in machine.numbers}
    denied = {machine.numbers[name] for name in DENIED if name in machine.numbers}
    assert allowed.isdisjoint(denied)
    for number in range(1024):
        wanted = ALLOW if number in allowed else EPERM if number in denied else KILL
        assert run(machine, number) == wanted, number


def test_another_architecture_is_ended(machine: Machine) -> None:
    other = next(each for each in MACHINES.values() if each is not machine)
    assert run(machine, machine.numbers["read"], audit=other.audit) == KILL
    assert run(machine, machine.numbers["read"], audit=0x40000003) == KILL  # i386


def test_the_other_abi_of_x86_64_is_ended() -> None:
    machine = MACHINES["x86_64"]
    assert run(machine, machine.numbers["read"] | 0x40000000) == KILL
    assert run(machine, -1) == KILL


@pytest.mark.parametrize("name", MAPPING)
def test_nothing_becomes_executable(machine: Machine, name: str) -> None:
    assert run(machine, machine.numbers[name], third=EXECUTABLE) == EPERM
    assert run(machine, machine.numbers[name], third=READ_WRITE) == ALLOW


def test_no_number_stands_for_two_names(machine: Machine) -> None:
    assert len(set(machine.numbers.values())) == len(machine.numbers)


def test_what_lets_a_process_reach_others_is_not_listed() -> None:
    for name in (
        "socket",
        "connect",
        "fork",
        "clone",
        "execve",
        "ptrace",
        "kill",
        "sendto",
        "sendmsg",
        "prctl",
    ):
        assert name not in (*ALLOWED, *MAPPING, *DENIED)
