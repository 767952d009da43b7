"""Contained readers as real processes: what planted code can't do, and what failing ones cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import record
from gateway.cli import serve
from gateway.config import Config
from gateway.containment import assembly, confine, machine
from gateway.containment.nursery import Nursery
from gateway.containment.pool import Pool
from gateway.containment.reader import Contained
from gateway.containment.settings import BEST_EFFORT, OFF, REQUIRED, Containment
from gateway.errors import GatewayError, GatewayReason
from gateway.reading import InProcess
from gateway.simulator.amd import SnpMachine
from gateway.simulator.guest import SimulatedGuest
from gateway.simulator.intel import TdxMachine
from tests.support import ROOT
from verifiers.errors import EvidenceFormatError

SNP, TDX = SnpMachine(), TdxMachine()
MESSAGE = record.encode(SimulatedGuest(SNP).evidence(bytes(64)))
Planted = Callable[..., Contained]


def nursery(name: str) -> Nursery:
    """With readers that run `name` of `planted_reader.py`; "landlock,seccomp!name" leaves measures out."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.integration import planted_reader as p; "
    )
    return Nursery((sys.executable, "-c", code + f"p.main({name!r}, int(sys.argv[1]))"))


@pytest.fixture
def planted() -> Iterator[Planted]:
    made: list[Pool] = []

    def make(name: str | None = None, *, seconds: float = 20, most: int = 4, mode: str = REQUIRED,
             requests: int = 1000) -> Contained:  # fmt: skip
        home = Nursery() if name is None else nursery(name)
        pool = Pool(home, mode=mode, seconds=seconds, most=most, requests=requests)
        made.append(pool)
        return Contained(pool)

    yield make
    for pool in made:
        pool.close()


def failure(reader: Contained, message: bytes, tenant: str = "default") -> str:
    with pytest.raises(GatewayError) as caught:
        reader.open(tenant, message)
    return str(caught.value.reason)


# --- it reads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [SNP, TDX], ids=["snp", "tdx"])
def test_a_contained_reader_reads_as_this_process_does(planted: Planted, made: object) -> None:
    log = TDX.event_log(size=None) if made is TDX else None
    message = record.encode(SimulatedGuest(made, log).evidence(bytes(64)))  # type: ignore[arg-type]
    reader = planted()
    there, here = reader.open("default", message), InProcess().open("default", message)
    assert there.opened.evidence == here.opened.evidence
    assert there.opened.certificates == here.opened.certificates
    assert (there.opened.event_log is None) is (log is None)
    assert reader.needs(there) == InProcess().needs(here)
    assert all(reader.status()[name].startswith("on") for name in confine.MEASURES)


def test_what_is_no_evidence_is_refused_in_the_same_words(planted: Planted) -> None:
    reader = planted()
    for message in (b"{}", b'{"type":"tdx","quote":"AAAA"}', b'{"type":"sample"}', b"[[["):
        with pytest.raises(EvidenceFormatError) as there:
            reader.open("default", message)
        with pytest.raises(EvidenceFormatError) as here:
            InProcess().open("default", message)
        assert str(there.value) == str(here.value)
    assert reader._pool.counts.started == 1  # refusing is no failure


# --- what planted code can't do -------------------------------------------------------------------

QUIET = ("open /etc/passwd", "open /proc/self/environ", "open /proc/self/maps", "open /dev/null", "open .",
         "open /tmp", "write", "list", "environment", "other descriptors", "executable memory",
         "read the parent's memory",
         "limits")  # fmt: skip
"""Answered with an error."""
FATAL = ("socket", "connect", "socketpair", "fork", "exec", "signal the parent", "kill the parent",
         "ptrace", "unshare", "more privileges", "bpf", "memfd")  # fmt: skip
"""End the reader."""


@pytest.mark.parametrize("what", QUIET)
def test_planted_code_is_refused(planted: Planted, what: str) -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        planted("tries").open("default", json.dumps({"try": what}).encode())
    assert caught.value.where == what
    assert caught.value.expected.split()[0] in {"PermissionError", "OSError", "ValueError"}, (
        caught.value.expected
    )


@pytest.mark.parametrize("what", FATAL)
def test_planted_code_is_ended(planted: Planted, what: str) -> None:
    reader = planted("tries")
    assert failure(reader, json.dumps({"try": what}).encode()) == GatewayReason.CONTAINED_CRASH
    assert reader._pool.counts.failed == 1


@pytest.mark.parametrize("what", ["open /etc/passwd", "socket", "fork"])
def test_without_the_measures_the_same_code_does_it(planted: Planted, what: str) -> None:
    """Else the tests above would show nothing."""
    reader = planted("landlock,rlimits,seccomp!tries", mode=BEST_EFFORT)
    with pytest.raises(EvidenceFormatError) as caught:
        reader.open("default", json.dumps({"try": what}).encode())
    assert caught.value.expected == "worked"


@pytest.mark.parametrize("what", ["open /etc/passwd", "write", "list"])
def test_landlock_holds_without_seccomp(planted: Planted, what: str) -> None:
    reader = planted("rlimits,seccomp!tries", mode=BEST_EFFORT)
    with pytest.raises(EvidenceFormatError) as caught:
        reader.open("default", json.dumps({"try": what}).encode())
    assert caught.value.expected == "PermissionError 13"


def test_no_reader_serves_two_tenants(planted: Planted) -> None:
    reader = planted("remembers", most=2)
    told: dict[str, list[tuple[str, str, str]]] = {}
    for tenant in ("one", "two", "one", "three", "two", "one", "four", "three"):
        with pytest.raises(EvidenceFormatError) as caught:
            reader.open(tenant, f"a secret of {tenant}".encode())
        told.setdefault(tenant, []).append((caught.value.where, caught.value.expected, caught.value.found))
    for tenant, answers in told.items():
        assert all(found in ("", f"a secret of {tenant}") for _, _, found in answers)
    pids = [{pid for pid, _, _ in answers} for answers in told.values()]
    assert len(set.union(*pids)) == sum(map(len, pids))
    assert told["one"][1][1] == "1"  # it was the same one as before: reuse is real


def test_a_reader_ends_after_its_requests(planted: Planted) -> None:
    reader = planted("remembers", requests=2)
    seen = []
    for _ in range(4):
        with pytest.raises(EvidenceFormatError) as caught:
            reader.open("default", b"x")
        seen.append((caught.value.where, caught.value.expected))
    assert [count for _, count in seen] == ["0", "1", "0", "1"]
    assert seen[0][0] == seen[1][0] != seen[2][0]


def test_many_tenants_do_not_make_many_processes(planted: Planted) -> None:
    reader = planted(most=3)
    for number in range(20):
        reader.open(f"tenant-{number}", MESSAGE)
    assert len(_children(reader)) <= 3


# --- what a failing one costs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "reason"),
    [
        ("hangs", b"wait", GatewayReason.CONTAINED_DEADLINE),
        ("sleeps", b"{}", GatewayReason.CONTAINED_DEADLINE),
        ("grows", b"grow", GatewayReason.CONTAINED_MEMORY),
        ("crashes", b"crash", GatewayReason.CONTAINED_CRASH),
        ("talks_nonsense", b"{}", GatewayReason.CONTAINED_REPLY),
        ("floods", b"{}", GatewayReason.CONTAINED_REPLY),
    ],
)
def test_one_that_fails_costs_one_request(planted: Planted, name: str, message: bytes, reason: str) -> None:
    reader = planted(name, seconds=2)
    assert failure(reader, message) == reason
    assert _waited(lambda: _children(reader) == [])
    if name in ("hangs", "grows", "crashes"):
        assert reader.open("default", MESSAGE).opened.carrier == "envelope"
        assert reader._pool.counts.failed == 1


def test_requests_of_several_threads(planted: Planted) -> None:
    reader = planted("crashes", most=3)
    found: list[str] = []

    def ask(number: int) -> None:
        message = b"crash" if number % 5 == 0 else MESSAGE
        try:
            reader.open(f"tenant-{number % 4}", message)
            found.append("read")
        except GatewayError as error:
            found.append(str(error.reason))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(found)) == ["containment.crash", "read"]
    assert found.count("containment.crash") == 8


def test_a_reader_that_died_while_idle_costs_nobody_anything(planted: Planted) -> None:
    reader = planted()
    reader.open("default", MESSAGE)
    (pid,) = _children(reader)
    os.kill(pid, 9)
    assert _waited(lambda: _children(reader) == [])
    reader.open("default", MESSAGE)


def test_a_zygote_that_died_is_started_again(planted: Planted) -> None:
    reader = planted()
    reader.open("default", MESSAGE)
    (pid,) = _children(reader)
    zygote = reader._pool._nursery._zygote
    assert zygote is not None
    zygote.kill()
    zygote.wait()
    assert _waited(lambda: not _runs(pid))
    reader.open("default", MESSAGE)


# --- kernels that lack something ------------------------------------------------------------------


@pytest.mark.parametrize("lacking", [*confine.MEASURES, "landlock,seccomp"])
def test_required_refuses_where_something_is_missing(planted: Planted, lacking: str) -> None:
    reader = planted(f"{lacking}!crashes")
    with pytest.raises(GatewayError) as caught:
        reader._pool.start()
    assert caught.value.reason is GatewayReason.CONTAINED_UNSUPPORTED
    assert all(name in caught.value.found for name in lacking.split(","))


@pytest.mark.parametrize("lacking", ["landlock", "seccomp,rlimits"])
def test_best_effort_says_what_is_missing_and_reads(planted: Planted, lacking: str) -> None:
    reader = planted(f"{lacking}!crashes", mode=BEST_EFFORT)
    assert reader.open("default", MESSAGE).opened.carrier == "envelope"
    off = {name for name, said in reader.status().items() if said.startswith("off")}
    assert off == set(lacking.split(","))


def test_this_machine_has_everything() -> None:
    here = machine.here()
    assert here is not None and confine.landlock_abi(here) >= 1


# --- who ends when --------------------------------------------------------------------------------

GATEWAY = """
import sys, time
from gateway.containment.nursery import Nursery
from gateway.containment.pool import Pool
pool = Pool(Nursery(), mode="required", seconds=5, most=4)
pool.start()
print(pool._nursery._zygote.pid, *(pid for pid in pool._shared.idle), flush=True)
time.sleep(600)
"""


def test_nobody_is_left_when_the_gateway_is_killed() -> None:
    command = [sys.executable, "-c", GATEWAY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2 and all(map(_runs, pids))
        process.kill()
    assert _waited(lambda: not any(map(_runs, pids)))


def test_a_reader_that_hangs_ends_with_the_gateway(planted: Planted) -> None:
    reader = planted("sleeps", seconds=60)
    thread = threading.Thread(target=lambda: failure(reader, b"{}"))
    thread.start()
    assert _waited(lambda: len(_children(reader)) == 1)
    (pid,) = _children(reader)
    control = reader._pool._nursery._control
    assert control is not None
    control.shutdown(2)  # what the end of the gateway does to the zygote
    assert _waited(lambda: not _runs(pid))
    thread.join()


def _children(reader: Contained) -> list[int]:
    zygote = reader._pool._nursery._zygote
    if zygote is None:
        return []
    try:
        text = Path(f"/proc/{zygote.pid}/task/{zygote.pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split() if _runs(int(word))]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _waited(holds: Callable[[], bool], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_production_gateway_does_not_start_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "Nursery", lambda: nursery("landlock!crashes"))
    told = CliRunner().invoke(serve.command, ["--data", str(tmp_path / "data"), "--port", "0", "--offline"])
    assert told.exit_code == 2
    assert "containment: readers of evidence cannot be contained here: landlock off" in told.output
    assert "best-effort" in told.output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("development", "mode", "wanted"),
    [(False, None, REQUIRED), (True, None, BEST_EFFORT), (True, REQUIRED, REQUIRED), (False, OFF, OFF)],
)
def test_the_mode(development: bool, mode: str | None, wanted: str) -> None:
    config = Config(development=development, containment=Containment(mode=mode))
    assert config.containment_mode == wanted
