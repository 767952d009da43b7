"""Any bytes are evidence in a known carrier or refused by one of our errors."""

from __future__ import annotations

import json

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import TdxMachine
from tests.fuzz.common import only_our_errors
from verifiers.carriers import open_evidence
from verifiers.codec.b64 import encode_url


def seeds() -> list[bytes]:
    snp, tdx = SnpMachine(), TdxMachine()
    report, quote = snp.report(bytes(64)), tdx.quote(bytes(64))
    envelope = {"type": "sev-snp", "report": encode_url(report), "certificates": [encode_url(snp.vcek())]}
    return [
        report,
        snp.extended_report(bytes(64)),
        quote,
        json.dumps(envelope).encode(),
        json.dumps({"type": "tdx", "quote": encode_url(quote)}).encode(),
        json.dumps(["application/vnd.example", encode_url(quote), 4]).encode(),
    ]


def target(data: bytes) -> None:
    only_our_errors(open_evidence, data)
