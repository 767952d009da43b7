"""The commands against a real gateway, as processes: what people and scripts see."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import logwrite
from gateway.simulator.guest import SimulatedGuest
from tests.e2e.support import (
    INIT_DATA,
    PATH,
    SECRET,
    SNP,
    TDX,
    Server,
    documents,
    serving,
    snp_collateral,
    tdx_collateral,
)
from tests.integration.test_forecast import BASELINE
from tests.support import ROOT

SIMULATED_TDX = ("--simulate", "tdx", "--simulate-init-data", INIT_DATA.hex())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def run(server: Server, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environ = {"SEALGATE_GATEWAY": server.url, "SEALGATE_ADMIN_TOKEN": server.token, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], cwd=ROOT, env=environ, input=given, capture_output=True
    )


def good(server: Server, *arguments: str, given: bytes = b"") -> bytes:
    done = run(server, *arguments, given=given)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def parsed(server: Server, *arguments: str) -> Any:
    return json.loads(good(server, *arguments, "--json"))


@pytest.fixture(scope="module")
def provided(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Collateral, policies and a secret, by command."""
    folder = tmp_path_factory.mktemp("files")
    pieces = folder / "collateral"
    pieces.mkdir()
    for number, raw in enumerate((*snp_collateral(), *tdx_collateral())):
        (pieces / f"{number}.bin").write_bytes(raw)
    (folder / "payments.yaml").write_bytes(documents())
    good(server, "collateral", "import", str(pieces))
    assert b"nobody can have it yet" in good(server, "secret", "put", PATH, "-", given=SECRET)
    assert b"0 errors" in good(server, "policy", "check", str(folder))
    good(server, "policy", "apply", str(folder / "payments.yaml"))
    return server


def test_files_are_activated_in_the_order_in_which_they_need_each_other(tmp_path: Path) -> None:
    quickstart = ROOT / "gateway" / "demo" / "quickstart"
    with serving(tmp_path) as fresh:
        applied = good(
            fresh, "policy", "apply", str(quickstart / "policy.yaml"), str(quickstart / "references.yaml")
        )
    assert applied.index(b"demo-guests@1") < applied.index(b"demo@1")


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_a_simulated_guest_gets_the_secret_byte_for_byte(provided: Server, kind: str) -> None:
    found = good(
        provided, "guest", "get", PATH, "--audience", provided.issuer,
        "--simulate", kind, "--simulate-init-data", INIT_DATA.hex(),
    )  # fmt: skip
    assert found == SECRET


@pytest.mark.parametrize("how", ["tsm", "simulate"])
def test_a_guest_sends_its_event_log_when_told_to(provided: Server, tmp_path: Path, how: str) -> None:
    """A log that is not this boot's is refused, and one that is none never leaves."""
    for name, raw in (
        ("log", TDX.event_log()),
        ("edited", logwrite.write(logwrite.BOOT[1:])),
        ("none", b"x"),
    ):
        (tmp_path / name).write_bytes(raw)
    with SimulatedGuest(TDX).answering_tsm(tmp_path / "report") as root:
        source = ("--tsm-path", str(root)) if how == "tsm" else SIMULATED_TDX
        asked = ("guest", "get", PATH, "--audience", provided.issuer, *source, "--event-log")
        assert good(provided, *asked, str(tmp_path / "log")) == SECRET
        edited = run(provided, *asked, str(tmp_path / "edited"))
        assert (edited.returncode, b"tdx.event-log" in edited.stderr) == (1, True), edited.stderr
        none = run(provided, *asked, str(tmp_path / "none"))
        assert (none.returncode, b"event log.header.register: expected 4 bytes" in none.stderr) == (2, True)
    snp = run(provided, "guest", "get", PATH, "--audience", "x", "--simulate", "snp", "--event-log", "f")
    assert (snp.returncode, b"expected a TDX guest" in snp.stderr) == (2, True)


def test_a_guest_with_configfs_tsm_gets_it_into_a_private_file(provided: Server, tmp_path: Path) -> None:
    out = tmp_path / "key"
    with SimulatedGuest(SNP).answering_tsm(tmp_path / "report") as root:
        good(
            provided, "guest", "get", PATH, "--audience", provided.issuer,
            "--tsm-path", str(root), "--out", str(out),
        )  # fmt: skip
    assert out.read_bytes() == SECRET
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_refused_guest_learns_the_code_in_one_line(provided: Server) -> None:
    done = run(provided, "guest", "get", PATH, "--audience", provided.issuer, "--simulate", "snp")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"workload.not-listed" in done.stderr
    assert done.stderr.count(b"\n") == 1
    attempt = done.stderr.decode().split("attempt ")[1].strip()
    said = good(provided, "admin", "attempts", attempt).decode()
    assert said.startswith("REFUSED   sev-snp Genoa   workload.not-listed")
    assert "SIMULATED" in said
    assert any(attempt == each["attempt"] for each in parsed(provided, "admin", "attempts"))


def test_a_policy_from_an_attempt(provided: Server, tmp_path: Path) -> None:
    done = run(provided, "guest", "get", PATH, "--audience", provided.issuer, "--simulate", "snp")
    attempt = done.stderr.decode().split("attempt ")[1].strip()
    for number, raw in enumerate(snp_collateral()):
        (tmp_path / f"{number}.bin").write_bytes(raw)
    out = tmp_path / "policy"
    told = good(
        provided,
        "policy",
        "init",
        "--from",
        attempt,
        "--collateral",
        str(tmp_path),
        "--out",
        str(out),
        "--development",
    )
    assert b"SIMULATED evidence" in told
    assert (out / "evidence" / f"{attempt}.json").is_file()
    assert b"0 failed" in good(provided, "policy", "test", str(out))
    gone = run(provided, "policy", "init", "--from", "AAAA-AAAA-AAAA-AAAA", "--out", str(tmp_path / "none"))
    assert gone.returncode == 1 and b"attempt" in gone.stderr and not (tmp_path / "none").exists()


def test_a_guest_that_is_told_another_audience_is_refused(provided: Server) -> None:
    done = run(provided, "guest", "get", PATH, "--audience", "https://evil.example", "--simulate", "snp")
    assert done.returncode == 1
    assert b"session.audience" in done.stderr


def test_no_tee_is_said_so(provided: Server, tmp_path: Path) -> None:
    done = run(provided, "guest", "get", PATH, "--audience", "x", "--tsm-path", str(tmp_path / "absent"))
    assert done.returncode == 2
    assert b"is this a TEE?" in done.stderr


def test_secrets_are_listed_rotated_shown_and_removed(provided: Server) -> None:
    assert run(provided, "secret", "rotate", "payments/db/x", "-", given=b"1").returncode == 1
    good(provided, "secret", "put", "payments/db/x", "-", given=b"one")
    assert b"stored payments/db/x v2" in good(
        provided, "secret", "rotate", "payments/db/x", "-", given=b"two"
    )
    listed = {each["path"]: each for each in parsed(provided, "secret", "list")}
    assert listed["payments/db/x"]["version"] == 2
    assert parsed(provided, "secret", "show", PATH)["policy"] == "payments-db"
    good(provided, "secret", "rm", "payments/db/x")
    assert run(provided, "secret", "show", "payments/db/x").returncode == 1
    assert run(provided, "secret", "put", "../x", "-", given=b"1").returncode == 1
    assert run(provided, "secret", "put", "x", "-", given=b"").returncode == 2


def test_policies_and_references_are_listed(provided: Server) -> None:
    kinds = {each["kind"] for each in parsed(provided, "policy", "list")}
    assert kinds == {"baseline", "reference", "release"}
    assert {each["name"] for each in parsed(provided, "reference", "list")} == {"guests", "pods"}
    assert b"snp.measurement" in good(provided, "policy", "claims", "measurement")


def test_a_policy_with_a_fault_says_line_and_column(provided: Server, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(documents(version=9).replace(b"in_set: guests", b"in_set: gusts"))
    done = run(provided, "policy", "check", str(file))
    assert done.returncode == 2
    assert b"broken.yaml:" in done.stderr
    assert b"did you mean guests?" in done.stderr
    applied = run(provided, "policy", "apply", str(file))
    assert applied.returncode == 1
    assert b"broken.yaml:" in applied.stderr


def test_collateral_status_counts(provided: Server) -> None:
    assert {each["kind"] for each in parsed(provided, "collateral", "status")} == {
        "amd.crl",
        "intel.issuer",
        "intel.pck-crl",
        "intel.qe-identity",
        "intel.root-crl",
        "intel.tcb-info",
    }


def test_a_token_is_verified_offline(provided: Server, tmp_path: Path) -> None:
    from tests.e2e.test_http import token_of

    token, keys = tmp_path / "token", tmp_path / "jwks.json"
    token.write_text(token_of(provided))
    keys.write_text(json.dumps(provided.anonymous.get("/.well-known/jwks.json")))
    done = run(provided, "token", "verify", str(token), "--jwks", str(keys), "--issuer", provided.issuer)
    assert done.returncode == 3  # valid, but simulated hardware is never affirming
    assert b"SIMULATED" in done.stdout
    url = f"{provided.url}/.well-known/jwks.json"
    other = run(provided, "token", "verify", str(token), "--jwks", url, "--issuer", "https://evil.example")
    assert other.returncode == 1
    assert b"token.audience" in other.stdout
    late = run(
        provided, "token", "verify", str(token), "--jwks", str(keys), "--issuer", provided.issuer,
        "--at", "2099-01-01T00:00:00Z",
    )  # fmt: skip
    assert late.returncode == 1
    assert b"token.expired" in late.stdout


def test_the_ledger_is_whole_and_a_change_shows(provided: Server, tmp_path: Path) -> None:
    kept = good(provided, "ledger", "head").decode().strip()
    assert any(each["kind"] == "secret.put" for each in parsed(provided, "ledger", "tail"))
    state, file = str(provided.data / "state"), tmp_path / "ledger.jsonl"
    assert b"whole:" in good(provided, "ledger", "verify", "--data", state, "--seen", kept)
    good(provided, "ledger", "export", str(file), "--data", state)
    assert b"whole:" in good(provided, "ledger", "verify", str(file), "--seen", kept)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    done = run(provided, "ledger", "verify", str(file))
    assert done.returncode == 1
    assert b"BROKEN" in done.stdout


def test_an_attempt_is_judged_again_by_asking_the_gateway_or_from_a_file(
    provided: Server, tmp_path: Path
) -> None:
    provided.guest(SNP).get([PATH])
    (attempt, *_) = parsed(provided, "admin", "attempts", "--last", "1")
    found = parsed(provided, "verify", "--replay", attempt["attempt"])
    assert (found["identical"], found["verdict"]) == (True, {"was": "accepted", "is": "accepted"})
    file = tmp_path / "bundle.json"
    good(provided, "admin", "evidence", attempt["attempt"], str(file), "--with-collateral", "now")
    assert file.stat().st_mode & 0o777 == 0o600
    for options in ((), ("--with-collateral", "now")):
        assert good(provided, "verify", "--replay", str(file), *options).startswith(b"SIMULATED ")
    elsewhere = run(provided, "admin", "evidence", attempt["attempt"], str(tmp_path / "no" / "file"))
    assert (elsewhere.returncode, elsewhere.stderr.count(b"\n")) == (2, 1)
    nobody = run(provided, "verify", "--replay", "0000-0000-0000-0000")
    assert (nobody.returncode, nobody.stderr.count(b"\n")) == (1, 1)


def test_the_forecast_says_who_will_be_short_of_what(provided: Server, tmp_path: Path) -> None:
    provided.guest(SNP).get([PATH])
    found = parsed(provided, "collateral", "forecast")
    assert found["now"]["accepted"] == found["machines"] >= 1
    assert (found["counts"]["early"], found["counts"]["baseline"]) == (0, 0)
    baseline = tmp_path / "higher.yaml"
    baseline.write_text(BASELINE.format(name="ours"))
    told = good(provided, "collateral", "forecast", "--baseline", str(baseline)).decode()
    assert "WITH THE BASELINE: 1 machine\n" in told
    assert "snp.higher-floor" in told and "bootloader (reported_tcb) 10 → 11" in told
    assert "to pass: update the host's boot loader" in told
    baseline.write_text("sealgate: platform-baseline/1\n")
    broken = run(provided, "collateral", "forecast", "--baseline", str(baseline))
    assert broken.returncode == 1 and b"higher.yaml" in broken.stderr


def test_doctor_says_what_is_missing(provided: Server) -> None:
    good(provided, "secret", "put", "orphan", "-", given=b"x")
    said = good(provided, "admin", "doctor").decode()
    assert said.startswith("ready   development mode")
    assert "nobody can have orphan" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["secret", "list", "--gateway", "http://gateway.example:1"], 2, "https"),
        (["secret", "list", "--gateway", "ftp://x"], 2, "expected a URL"),
        (["secret", "list", "--gateway", "http://127.0.0.1:1"], 2, "refused"),
        (["secret", "list", "--token-file", "/nonexistent"], 2, "no such file"),
        (["serve", "--host", "0.0.0.0"], 2, "loopback"),
        (["serve", "--config", "/nonexistent"], 2, "No such file"),
        (["ledger", "verify", "--seen", "x"], 2, "INDEX:HEAD"),
        (["ledger", "verify", "--data", "/nonexistent"], 2, "store.absent"),
        (["policy", "check", "/nonexistent"], 2, "no such file"),
    ],
)
def test_faults_are_one_line(server: Server, arguments: list[str], code: int, says: str) -> None:
    done = run(server, *arguments)
    assert done.returncode == code
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


def test_the_credential_is_shown_once_and_kept_private(server: Server) -> None:
    token = server.data / "token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert server.token.encode() not in server.log.read_bytes()
    for file in (server.data / "state").rglob("*"):
        if file.is_file():
            assert server.token.encode() not in file.read_bytes()
            assert SECRET not in file.read_bytes()
            assert file.stat().st_mode & 0o077 == 0


def test_a_start_that_fails_creates_no_store(tmp_path: Path) -> None:
    """Its administrator's credential would be gone with it."""
    data, token = tmp_path / "state", tmp_path / "token"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", "--data", str(data), "--port", port],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (busy.returncode, data.exists()) == (2, False)
    assert busy.stderr.splitlines() == [
        f"sealgate: 127.0.0.1, port {port}: Address already in use [input.address]"
    ]
    token.write_text("older")
    late = subprocess.run(
        [
            sys.executable, "-m", "gateway", "serve", "--data", str(data), "--port", "0",
            "--admin-token-file", str(token),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (late.returncode, data.exists(), token.read_text()) == (2, False, "older")
