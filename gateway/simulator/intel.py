"""Simulated TDX and SGX guests: quotes, and through `IntelMachine` everything needed to verify them.

Every default is good: what a patched machine says. Whoever wants something else names it:

    machine = TdxMachine()
    machine.quote(data)                                # UpToDate under VENDOR_AND_SIMULATED
    machine.quote(data, td_attributes=0x10000001)      # a debug TD, properly signed
    TdxMachine(level="OutOfDate").quote(data)          # an old platform, whose PCK says so
    machine.endorsements(tcb_info=machine.tcb_info(tcbEvaluationDataNumber=3))
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.simulator import inteldocs, logwrite, seeds
from gateway.simulator import quotewrite as q
from gateway.simulator.intelmachine import IntelMachine
from gateway.simulator.logwrite import LogEntry

QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
"""Intel's, as in every real quote."""
AUTH_DATA = bytes(range(32))
"""What real quoting enclaves put there."""
MR_TD = seeds.octets("", "TD launch measurement", 48)
MR_ENCLAVE = seeds.octets("", "SGX enclave measurement", 32)
"""MRTD and MRENCLAVE of the simulated images, the same on every machine."""
RTMRS = logwrite.registers(logwrite.BOOT)[:3]
"""RTMR0 to RTMR2 of the simulated guest; RTMR3 is zero, as long as nobody extends it."""
SEPT_VE_DISABLE = 1 << 28

NO_PATCH: Mapping[int, bytes] = MappingProxyType({})
Value = bytes | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How the quoting enclave goes about it; None and the defaults mean properly.

    key: signs the body. attestation_key: 64 bytes, put in and bound. bound_key: 64 bytes that the QE report
    binds instead. qe: fields of the QE report, by claim name; qe_patch: offset to bytes in it, before it is
    signed. pck_key: signs the QE report. chain: DER certificates of the PEM chain. certification: other
    content of the certification data. padding: zero bytes behind the quote.
    """

    key: ec.EllipticCurvePrivateKey | None = None
    attestation_key: bytes | None = None
    bound_key: bytes | None = None
    auth_data: bytes = AUTH_DATA
    qe: Mapping[str, Value] = field(default_factory=dict)
    qe_patch: Mapping[int, bytes] = field(default_factory=dict)
    pck_key: ec.EllipticCurvePrivateKey | None = None
    chain: Sequence[bytes] | None = None
    certification: bytes | None = None
    certification_type: int = q.PCK_CHAIN
    outer_type: int = q.QE_REPORT_CERTIFICATION_DATA
    padding: int = 0


PROPERLY = Signing()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Quoting(IntelMachine):
    """The quoting enclave of a machine: always a current one, and the next one where the level is "Next"."""

    @property
    def qe_svn(self) -> int:
        return inteldocs.QE_SVN["Next" if self.level == "Next" else "UpToDate"]

    def _qe_part(self, signing: Signing, *, nested: bool) -> bytes:
        """Attestation key, QE report and its certification: the same in every quote of one enclave."""
        key = signing.attestation_key or point(self.attestation_key)
        binding = hashlib.sha256((signing.bound_key or key) + signing.auth_data).digest()
        good: dict[str, Value] = {
            "cpu_svn": bytes(self.svns),
            "attributes": bytes.fromhex("1500000000000000e700000000000000"),
            "mr_enclave": seeds.octets("", f"{self.TEE} quoting enclave", 32),
            "mr_signer": self.qe_mr_signer,
            "isv_prod_id": self.QE_PROD_ID,
            "isv_svn": self.qe_svn,
            "report_data": binding + bytes(32),
        }
        report = q.fill(q.ENCLAVE, q.ENCLAVE_SIZE, good | dict(signing.qe), signing.qe_patch)
        signed = report + signature(signing.pck_key or self.pck_key, report)
        chain = q.pem(signing.chain or self.pck_chain) + b"\0"
        inner = q.certification_data(
            signing.certification_type, chain if signing.certification is None else signing.certification
        )
        rest = signed + q.sized_auth_data(signing.auth_data) + inner
        return key + (q.certification_data(signing.outer_type, rest) if nested else rest)

    @functools.cached_property
    def _good_qe_part(self) -> bytes:
        return self._qe_part(PROPERLY, nested=self.TEE == "TDX")

    def _finish(self, signed: bytes, signing: Signing, *, nested: bool) -> bytes:
        part = self._good_qe_part if signing is PROPERLY else self._qe_part(signing, nested=nested)
        own = signature(signing.key or self.attestation_key, signed)
        return signed + q.with_length(own + part) + bytes(signing.padding)


@dataclass(frozen=True, kw_only=True, eq=False)
class TdxMachine(_Quoting):
    """A TDX host with one TD. version: 4 or 5. body: TD report "1.0", "1.5" or "1.5ex"; version 4 carries
    1.0 only. log: what was measured since launch; the RTMRs follow from it, unless `fields` differs."""

    TEE = "TDX"
    QE_PROD_ID = 2

    version: int = 4
    body: str | None = None
    log: tuple[LogEntry, ...] = logwrite.BOOT

    def event_log(self, *, size: int | None = logwrite.PADDED_SIZE) -> bytes:
        """The log as the guest finds it behind its CCEL table, which replays to the quoted RTMRs."""
        return logwrite.write(self.log, size=size)

    @functools.cached_property
    def good(self) -> Mapping[str, Value]:
        """Every field of a good TD report but REPORTDATA, by claim name; zero where none is named."""
        launched = inteldocs.TEE_TCB_SVN[self.level]
        return MappingProxyType(
            {
                "tee_tcb_svn": launched,
                "mr_seam": seeds.octets("", "TDX module", 48),
                "td_attributes": SEPT_VE_DISABLE,
                "xfam": 0x600E7,
                "mr_td": MR_TD,
                **{f"rtmr{n}": value for n, value in enumerate(logwrite.registers(self.log))},
                "tee_tcb_svn2": launched,
                **self.fields,
            }
        )

    def quote(
        self,
        report_data: bytes,
        *,
        patch: Mapping[int, bytes] = NO_PATCH,
        signing: Signing = PROPERLY,
        **overrides: Value,
    ) -> bytes:
        """A quote over 64 bytes of report data.

        overrides: fields of header and TD report, by claim name. patch: offset in the quote to bytes, put
        into the signed part before signing.
        """
        framed = self.version == 5
        kind, size, layout = q.TD_BODIES[self.body or ("1.5" if framed else "1.0")]
        # What an older report lacks is not there to be filled in, unless somebody asks for it by name.
        good = {name: value for name, value in self.good.items() if name in layout}
        header, body = split(layout, good | {"report_data": report_data}, overrides)
        head: dict[str, Value] = {
            "version": self.version,
            "key_type": q.ECDSA_P256,
            "tee_type": 0x81,
            "qe_vendor_id": QE_VENDOR_ID,
            "user_data": user_data(self.seed),
        }
        signed = (
            q.fill(q.HEADER, q.HEADER_SIZE, head | header, NO_PATCH)
            + (q.body_descriptor(kind, size) if framed else b"")
            + q.fill(layout, size, body, NO_PATCH)
        )
        return self._finish(patched(signed, patch), signing, nested=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class SgxMachine(_Quoting):
    """An SGX host with one enclave; quotes are version 3."""

    TEE = "SGX"
    QE_PROD_ID = 1

    @functools.cached_property
    def good(self) -> Mapping[str, Value]:
        """Every field of a good enclave report but REPORTDATA, by claim name; zero where none is named."""
        return MappingProxyType(
            {
                "cpu_svn": bytes(self.svns),
                "attributes": bytes.fromhex("0500000000000000e700000000000000"),
                "mr_enclave": MR_ENCLAVE,
                "mr_signer": seeds.octets("", "SGX enclave signer", 32),
                "isv_prod_id": 1,
                "isv_svn": 1,
                **self.fields,
            }
        )

    def quote(
        self,
        report_data: bytes,
        *,
        patch: Mapping[int, bytes] = NO_PATCH,
        signing: Signing = PROPERLY,
        **overrides: Value,
    ) -> bytes:
        """A quote over 64 bytes of report data; arguments as for TDX."""
        header, body = split(q.ENCLAVE, {**self.good, "report_data": report_data}, overrides)
        head: dict[str, Value] = {
            "version": 3,
            "key_type": q.ECDSA_P256,
            "qe_svn": self.qe_svn,
            "pce_svn": self.pce_svn,
            "qe_vendor_id": QE_VENDOR_ID,
            "user_data": user_data(self.seed),
        }
        signed = q.fill(q.HEADER, q.HEADER_SIZE, head | header, NO_PATCH) + q.fill(
            q.ENCLAVE, q.ENCLAVE_SIZE, body, NO_PATCH
        )
        return self._finish(patched(signed, patch), signing, nested=False)


def split(
    layout: q.Layout, good: Mapping[str, Value], overrides: Mapping[str, Value]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Header overrides, and the body's values with theirs. Raises TypeError for a field in neither."""
    unknown = overrides.keys() - q.HEADER.keys() - layout.keys()
    if unknown:
        raise TypeError(f"no such field in header or body: {', '.join(sorted(unknown))}")
    header = {name: value for name, value in overrides.items() if name in q.HEADER}
    return header, {**good, **{name: value for name, value in overrides.items() if name in layout}}


def patched(signed: bytes, patch: Mapping[int, bytes]) -> bytes:
    """`signed` with each patch, offset to bytes, written over it."""
    out = bytearray(signed)
    for offset, raw in patch.items():
        if offset + len(raw) > len(signed):
            raise ValueError(f"patch at {offset}: {len(raw)} bytes do not fit into {len(signed)} signed ones")
        out[offset : offset + len(raw)] = raw
    return bytes(out)


def user_data(seed: str) -> bytes:
    """20 bytes: the platform's id for quoting, then zeros."""
    return seeds.octets(seed, "QE id", 16) + bytes(4)


def signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA with SHA-256 as r ‖ s, 64 bytes."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as x ‖ y, 64 bytes."""
    encoded = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return encoded[1:]
