"""Evidence of the simulator in every carrier, made by hand: independent of the code that opens it."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import cbor2

from gateway.simulator.amd import SnpMachine
from gateway.simulator.intel import SgxMachine, TdxMachine

DATA = bytes(range(64))
RUNTIME = json.dumps({"keys": [{"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": "AA"}]}).encode()
HCL_TYPE = {"snp": 2, "tdx": 4}


def b64u(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# Signing is randomised, here as on real hardware: each thing is made once, so that it equals itself.
@functools.cache
def machine(product: str) -> SnpMachine:
    return SnpMachine(product=product)


@functools.cache
def _snp(product: str, report_data: bytes) -> bytes:
    return machine(product).report(report_data)


@functools.cache
def _tdx(report_data: bytes) -> bytes:
    return TdxMachine().quote(report_data)


def snp(product: str = "Milan", report_data: bytes = DATA) -> bytes:
    return _snp(product, report_data)


def vcek(product: str = "Milan") -> bytes:
    return machine(product).leaf


def tdx(report_data: bytes = DATA) -> bytes:
    return _tdx(report_data)


@functools.cache
def sgx() -> bytes:
    return SgxMachine().quote(DATA)


@functools.cache
def table() -> bytes:
    return machine("Milan").certificate_table()


def hcl(report: bytes, kind: str, runtime: bytes = RUNTIME, **change: int) -> bytes:
    """An HCL blob, 2600 bytes. change: fields of the headers."""
    field = {
        "version": 2, "report_size": 0x4D4 + len(runtime), "request_type": 2, "status": 0,
        "data_size": 20 + len(runtime), "data_version": 1, "report_type": HCL_TYPE[kind], "hash_type": 1,
        "size": len(runtime),
    } | change  # fmt: skip
    head = b"HCLA" + struct.pack(
        "<4I12x", field["version"], field["report_size"], field["request_type"], field["status"]
    )
    tail = struct.pack(
        "<5I",
        field["data_size"],
        field["data_version"],
        field["report_type"],
        field["hash_type"],
        field["size"],
    )
    return (head + report.ljust(1184, b"\0") + tail + runtime).ljust(2600, b"\0")


def runtime_hash(runtime: bytes = RUNTIME, name: str = "sha256") -> bytes:
    return hashlib.new(name, runtime).digest().ljust(64, b"\0")


def tdreport() -> bytes:
    return bytes([0x81]) + bytes(1023)


def snp_fields(raw: bytes) -> dict[str, Any]:
    """A report as virtee/sev writes it in JSON."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(raw[at : at + size], "little")

    def octets(at: int, size: int) -> list[int]:
        return list(raw[at : at + size])

    turin = raw[0x188] == 0x1A

    def tcb(at: int) -> dict[str, int | None]:
        t = raw[at : at + 8]
        if turin:
            return {"fmc": t[0], "bootloader": t[1], "tee": t[2], "snp": t[3], "microcode": t[7]}
        return {"fmc": None, "bootloader": t[0], "tee": t[1], "snp": t[6], "microcode": t[7]}

    def build(at: int) -> dict[str, int]:
        return {"major": raw[at + 2], "minor": raw[at + 1], "build": raw[at]}

    return {
        "version": number(0, 4), "guest_svn": number(4, 4), "policy": number(8, 8),
        "family_id": octets(0x10, 16), "image_id": octets(0x20, 16), "vmpl": number(0x30, 4),
        "sig_algo": number(0x34, 4), "current_tcb": tcb(0x38), "plat_info": number(0x40, 8),
        "key_info": number(0x48, 4), "report_data": octets(0x50, 64), "measurement": octets(0x90, 48),
        "host_data": octets(0xC0, 32), "id_key_digest": octets(0xE0, 48),
        "author_key_digest": octets(0x110, 48), "report_id": octets(0x140, 32),
        "report_id_ma": octets(0x160, 32), "reported_tcb": tcb(0x180), "cpuid_fam_id": raw[0x188],
        "cpuid_mod_id": raw[0x189], "cpuid_step": raw[0x18A], "chip_id": octets(0x1A0, 64),
        "committed_tcb": tcb(0x1E0), "current": build(0x1E8), "committed": build(0x1EC),
        "launch_tcb": tcb(0x1F0), "launch_mit_vector": number(0x1F8, 8) if turin else None,
        "current_mit_vector": number(0x200, 8) if turin else None,
        "signature": {"r": octets(0x2A0, 72), "s": octets(0x2E8, 72)},
    }  # fmt: skip


def kbs_snp(product: str = "Milan") -> dict[str, Any]:
    chain = [{"cert_type": "VCEK", "data": list(vcek(product))}]
    return {"attestation_report": snp_fields(snp(product)), "cert_chain": chain}


def tpm_quote() -> dict[str, Any]:
    return {"signature": "aa" * 256, "message": "ff54434780180022", "pcrs": ["00" * 32] * 24}


def az_snp(version: int = 2, **change: Any) -> dict[str, Any]:
    blob = hcl(snp("Milan", runtime_hash()), "snp")
    padded = base64.urlsafe_b64encode(blob).decode()
    return {"version": version, "hcl_report": padded, "tpm_quote": tpm_quote(), "vcek": b64u(vcek())} | change


def az_snp_v0() -> dict[str, Any]:
    pem = (
        "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(vcek()).decode() + "-----END CERTIFICATE-----\n"
    )
    quote = {"signature": [1] * 256, "message": [0xFF] * 122, "pcrs": [[0] * 32] * 24}
    return {"report": list(hcl(snp("Milan", runtime_hash()), "snp")), "quote": quote, "vcek": pem}


def az_tdx(**change: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "hcl_report": b64u(hcl(tdreport(), "tdx")),
        "tpm_quote": tpm_quote(),
        "td_quote": b64u(tdx(runtime_hash())),
    } | change


def tsm(**change: Any) -> dict[str, Any]:
    return {"auxblob": b64u(table()), "outblob": b64u(snp()), "provider": "sev_guest\n"} | change


def tsm_cbor(**change: Any) -> bytes:
    return cbor2.dumps({"auxblob": table(), "outblob": snp(), "provider": "sev_guest\n"} | change)


def everything() -> Mapping[str, tuple[bytes, str]]:
    """Name to (bytes, the carrier it must be opened as)."""
    record = ["application/vnd.veraison.tsm-report+cbor", tsm_cbor(), 4]
    number = 1668546817 + 10000 // 255 * 256 + 10000 % 255
    out: dict[str, tuple[bytes, str]] = {
        "snp-report": (snp(), "sev-snp-report"),
        "snp-extended": (snp() + table(), "sev-snp-extended"),
        "tdx-quote": (tdx(), "quote"),
        "tdx-quote-padded": (tdx().ljust(8000, b"\0"), "quote"),
        "sgx-quote": (sgx(), "quote"),
        "hcl-snp": (hcl(snp("Milan", runtime_hash()), "snp"), "azure-hcl"),
        "tsm-cbor": (tsm_cbor(), "tsm-report"),
        "cmw-cbor-record": (cbor2.dumps(record), "cmw"),
        "cmw-cbor-tag": (cbor2.dumps(cbor2.CBORTag(number, snp())), "cmw"),
        "cmw-cbor-collection": (cbor2.dumps({"cpu": record}), "cmw"),
    }
    value = b64u(json.dumps(tsm()).encode())
    typed: dict[str, tuple[Any, str]] = {
        "tsm-json": (tsm(), "tsm-report"),
        "tsm-json-tdx": ({"outblob": b64u(tdx()), "provider": "tdx_guest\n"}, "tsm-report"),
        "kbs-snp": (kbs_snp(), "kbs-snp"),
        "kbs-snp-turin": (kbs_snp("Turin"), "kbs-snp"),
        "kbs-tdx": ({"quote": b64(tdx()), "cc_eventlog": b64(b"log")}, "kbs-tdx"),
        "kbs-tdx-no-log": ({"quote": b64(tdx()), "cc_eventlog": None}, "kbs-tdx"),
        "kbs-sgx": ({"quote": b64(sgx())}, "kbs-sgx"),
        "kbs-primary": ({"primary_evidence": kbs_snp(), "additional_evidence": ""}, "kbs-snp"),
        "az-snp-v0": (az_snp_v0(), "az-snp-vtpm"),
        "az-snp-v1": (az_snp(1), "az-snp-vtpm"),
        "az-snp-v2": (az_snp(2), "az-snp-vtpm"),
        "az-tdx-v1": (az_tdx(), "az-tdx-vtpm"),
        "envelope-snp": (
            {"type": "sev-snp", "report": b64u(snp()), "certificates": [b64u(vcek())]},
            "envelope",
        ),
        "envelope-tdx": ({"type": "tdx", "quote": b64u(tdx()), "event_log": b64u(b"log")}, "envelope"),
        "envelope-sgx": ({"type": "sgx", "quote": b64u(sgx())}, "envelope"),
        "cmw-json-record": (["application/vnd.veraison.tsm-report+json", value], "cmw"),
        "cmw-json-collection": (
            {
                "__cmwc_t": "tag:acme.example,2026:one",
                "cpu": {"inner": ["Application/VND.example.snp; v=1", b64u(snp()), 4]},
                "tcb": ["application/example", "AAAA", 2],
            },
            "cmw",
        ),
    }
    out |= {name: (json.dumps(obj).encode(), carrier) for name, (obj, carrier) in typed.items()}
    return out
