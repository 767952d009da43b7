"""SNP and TDX verification, cold and warm, beside the bare signature checks that they contain.

The simulator mints every report and quote anew. Cold: nothing remembered. Warm: the chain (of a quote: down
to the attestation key) and the collateral have been verified before, the evidence has not been seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import dcap_qvl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.caches import LruChains
from gateway.simulator import keys, logwrite
from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import Signing, TdxMachine
from gateway.simulator.logwrite import LogEntry
from gateway.simulator.quotewrite import pem
from tests.bench.clock import Timing, interleaved
from verifiers.crypto import x509
from verifiers.dcap import quote as quotes
from verifiers.model import Endorsements, NoCache, Outcome, ReportData, Verdict
from verifiers.sevsnp import abi
from verifiers.sevsnp.verify import verify as verify_snp
from verifiers.tdx import abi as tdx_abi
from verifiers.tdx import eventlog as tdx_log
from verifiers.tdx.verify import verify as verify_tdx


def fresh(count: int) -> list[bytes]:
    return [os.urandom(64) for _ in range(count)]


def with_cache(endorsements: Endorsements, cache: Any) -> Endorsements:
    return Endorsements(
        anchors=endorsements.anchors,
        certificates=endorsements.certificates,
        crls=endorsements.crls,
        tcb_infos=endorsements.tcb_infos,
        qe_identities=endorsements.qe_identities,
        cache=cache,
    )


def snp(rounds: int) -> dict[str, Timing]:
    """Per product: from the bytes of a report to a `Verification`."""
    machine = SnpMachine(product="Genoa")
    endorsements = machine.endorsements()
    warm, cold = with_cache(endorsements, LruChains(256)), with_cache(endorsements, NoCache())
    data = fresh(rounds + 1)
    reports = [machine.report(item) for item in data]
    key = x509.parse(machine.vcek(), "VCEK").public_key
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signatures = []
    for raw in reports:
        report = abi.parse(raw)
        signatures.append((encode_dss_signature(report.r, report.s), report.signed))
    algorithm = ec.ECDSA(hashes.SHA384())

    def check(endorsed: Endorsements) -> Callable[[int], None]:
        def run(index: int) -> None:
            result = verify_snp(abi.parse(reports[index]), endorsed, ReportData(data[index]), machine.at)
            assert result.verdict is Verdict.ACCEPTED

        return run

    check(warm)(rounds)
    return interleaved(
        {
            "bare P-384 verify": lambda index: key.verify(*signatures[index], algorithm),
            "SNP verify, warm": check(warm),
            "SNP verify, cold": check(cold),
        },
        rounds,
    )


def tdx(rounds: int) -> dict[str, Timing]:
    """From the bytes of a quote to a `Verification`; dcap-qvl on the same quotes and collateral.

    Warm: every quote has an attestation key's certification of its own, so that both P-256 signatures are
    checked. Same enclave: as one machine sends them, the certification is known from the quote before.
    """
    machine = TdxMachine()
    endorsements = machine.endorsements()
    warm, cold = with_cache(endorsements, LruChains(256)), with_cache(endorsements, NoCache())
    data = fresh(rounds + 1)
    raw = [machine.quote(item, signing=Signing(auth_data=item[:32])) for item in data]
    same = [machine.quote(item) for item in data]
    parsed = [quotes.parse(item) for item in raw]
    algorithm = ec.ECDSA(hashes.SHA256())
    key = machine.attestation_key.public_key()
    bare = [(_der(q.signature_data.signature), q.signed) for q in parsed]
    oracle, root = _collateral(machine), _root()
    now = int(machine.at.timestamp())

    def check(endorsed: Endorsements, sent: Sequence[bytes]) -> Callable[[int], None]:
        def run(index: int) -> None:
            result = verify_tdx(quotes.parse(sent[index]), endorsed, ReportData(data[index]), machine.at)
            assert result.verdict is Verdict.ACCEPTED

        return run

    again = with_cache(endorsements, LruChains(256))
    check(warm, raw)(rounds)
    check(again, same)(rounds)
    assert dcap_qvl.verify_with_root_ca(raw[rounds], oracle, root, now).status == "UpToDate"
    return interleaved(
        {
            "bare P-256 verify": lambda index: key.verify(*bare[index], algorithm),
            "TDX verify, warm": check(warm, raw),
            "TDX verify, same enclave": check(again, same),
            "TDX verify, cold": check(cold, raw),
            "dcap_qvl.verify": lambda index: dcap_qvl.verify_with_root_ca(raw[index], oracle, root, now),
        },
        rounds,
    )


def event_log(rounds: int) -> dict[str, Timing]:
    """From the bytes of a log of 100 events in 64 KiB to the check and the claims, against its quote's RTMRs;
    every round another log, with an entry of its own."""
    commands = (f"set number={n}".encode() for n in range(42))
    entries = (
        *logwrite.BOOT,
        *(LogEntry(register=2, type=0xD, data=b"grub_cmd: " + c + b"\0", measured=c) for c in commands),
        *(logwrite.aael("bench.example", "Run", f"{n:04d}") for n in range(40)),
    )
    machines = [
        TdxMachine(log=(*entries, logwrite.aael("bench.example", "Run", f"round-{index:06d}")))
        for index in range(rounds)
    ]
    logs = [machine.event_log() for machine in machines]
    reports = [tdx_abi.parse(quotes.parse(machine.quote(bytes(64)))) for machine in machines]

    def run(index: int) -> None:
        check, _ = tdx_log.examine(logs[index], reports[index])
        assert check.outcome is Outcome.PASSED

    return interleaved({"replay, 100 events": run}, rounds)


def _der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _root() -> bytes:
    return keys.intel_root_certificate()


def _collateral(machine: TdxMachine) -> Any:
    def halves(document: bytes, member: str) -> tuple[str, bytes]:
        text = document.decode()
        start = text.index(":") + 1
        end = text.rindex(',"signature"')
        return text[start:end], bytes.fromhex(json.loads(text)["signature"])

    info, info_signature = halves(machine.tcb_info(), "tcbInfo")
    identity, identity_signature = halves(machine.qe_identity(), "enclaveIdentity")
    signing = pem(machine.tcb_signing_chain()).decode()
    return dcap_qvl.QuoteCollateralV3(
        pem(machine.pck_chain[1:]).decode(),
        machine.root_crl(),
        machine.pck_crl(),
        signing,
        info,
        info_signature,
        signing,
        identity,
        identity_signature,
    )
