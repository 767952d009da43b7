"""What simulated TDX and SGX machines share: a platform with its PCK, and PCS's documents about it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from gateway.simulator import intelcerts, inteldocs, keys, seeds
from gateway.simulator.inteldocs import Json
from gateway.simulator.x509build import Extension
from verifiers.model import AnchorSet, ChainCache, Endorsements, NoCache

DAY = timedelta(days=1)
FMSPC = bytes.fromhex("5EA16A7E0000")
"""The simulated processor family. No Intel platform has it."""
PPID_PADDING = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


@dataclass(frozen=True, kw_only=True, eq=False)
class IntelMachine:
    """One platform. Made as a TdxMachine or an SgxMachine.

    seed: which machine; its PPID follows from it. platform: its PPID, for whoever knows only that, as PCS
    does; instance id, PCK and serial number follow from it. at: the moment around which certificates
    and collateral are valid. level: TCB level that the platform is at, a key of `inteldocs.SGX_SVNS`;
    components overrides its 16 SVNs. ca: issuer of the PCK, "platform" or "processor". fields: values that
    every quote of this guest carries, by claim name.
    """

    TEE: ClassVar[str]
    QE_PROD_ID: ClassVar[int]

    seed: str = seeds.SEED
    platform: bytes | None = None
    at: datetime = seeds.EPOCH
    level: str = "UpToDate"
    components: tuple[int, ...] | None = None
    pce_svn: int = inteldocs.PCE_SVN
    pce_id: bytes = bytes(2)
    fmspc: bytes = FMSPC
    ca: str = "platform"
    fields: Mapping[str, bytes | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.level not in inteldocs.SGX_SVNS or self.ca not in intelcerts.CA_NAMES:
            raise ValueError(f"no level {self.level!r} under CA {self.ca!r} to simulate")

    # --- the platform --------------------------------------------------------------------------

    @functools.cached_property
    def svns(self) -> tuple[int, ...]:
        """The 16 SGX TCB components that the PCK certifies."""
        return inteldocs.SGX_SVNS[self.level] if self.components is None else self.components

    @property
    def ppid(self) -> bytes:
        return seeds.octets(self.seed, "PPID", 16) if self.platform is None else self.platform

    def encrypted_ppid(self) -> bytes:
        """The PPID as the PCE gives it out: RSA-3072, OAEP with SHA-256; 384 bytes, other ones each time."""
        return keys.ppid_key().public_key().encrypt(self.ppid, PPID_PADDING)

    @property
    def platform_instance_id(self) -> bytes:
        return seeds.octets(self.ppid.hex(), "platform instance id", 16)

    @functools.cached_property
    def pck_key(self) -> ec.EllipticCurvePrivateKey:
        """A PCK belongs to platform and TCB, as on real hardware."""
        return seeds.p256(self.ppid.hex(), f"PCK {self.ca} {self.svns} {self.pce_svn}")

    @functools.cached_property
    def attestation_key(self) -> ec.EllipticCurvePrivateKey:
        """The quoting enclave's key for quotes."""
        return seeds.p256(self.seed, f"attestation key {self.TEE}")

    @property
    def pck_serial(self) -> int:
        """Serial number of the PCK certificate: what a PCK CRL names to revoke it."""
        return int.from_bytes(b"\x01" + seeds.octets(self.ppid.hex(), f"PCK serial {self.svns}", 19), "big")

    @property
    def qe_mr_signer(self) -> bytes:
        """MRSIGNER of the quoting enclave, as the identity document states it."""
        return seeds.octets("", f"{self.TEE} quoting enclave signer", 32)

    # --- certificates --------------------------------------------------------------------------

    def pck(
        self,
        *,
        elements: Mapping[str, bytes] = MappingProxyType({}),
        drop: Collection[str] = (),
        extra: Iterable[Extension] = (),
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        issued_by: str | None = None,
        common_name: str = intelcerts.PCK_NAME,
        serial: int | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> bytes:
        """DER of the PCK certificate.

        elements: suffix of the SGX extension's OID ("4" is the FMSPC) to the DER of another value, over or
        beside the right ones; drop: suffixes to leave out, "" for the whole extension.
        """
        multi = self.ca == "platform"
        right = intelcerts.sgx_elements(
            ppid=self.ppid,
            components=self.svns,
            pce_svn=self.pce_svn,
            cpu_svn=bytes(self.svns),
            pce_id=self.pce_id,
            fmspc=self.fmspc,
            sgx_type=1 if multi else 0,
            instance=self.platform_instance_id if multi else None,
            configuration={1: True, 2: False, 3: True} if multi else {},
        )
        start = not_before or self.at - 30 * DAY
        return intelcerts.pck_certificate(
            ca=self.ca,
            key=self.pck_key.public_key(),
            elements=right | dict(elements),
            serial=self.pck_serial if serial is None else serial,
            not_before=start,
            not_after=not_after or start + 7 * 365 * DAY,
            sign_with=sign_with,
            issued_by=issued_by,
            common_name=common_name,
            drop=drop,
            extra=extra,
        )

    @functools.cached_property
    def pck_chain(self) -> tuple[bytes, bytes, bytes]:
        """PCK leaf, its CA, root: what the quote carries."""
        return self.pck(), intelcerts.ca_certificate(self.ca), keys.intel_root_certificate()

    def tcb_signing_chain(self) -> tuple[bytes, bytes]:
        """TCB Signing leaf, root: the issuer chain of both documents."""
        return intelcerts.tcb_signing_certificate(), keys.intel_root_certificate()

    # --- collateral ----------------------------------------------------------------------------

    def tcb_info(
        self,
        *,
        evaluation: int = inteldocs.EVALUATION,
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        drop: Collection[str] = (),
        twice: Collection[str] = (),
        **overrides: object,
    ) -> bytes:
        """The TCB info response for this platform; overrides and drop by JSON member ("fmspc", "tcbLevels").

        evaluation: whose levels it lists, a key of `inteldocs.EVALUATIONS`. twice: members that it repeats.
        A datetime is written as Intel does. `id="SGX"` alone changes only the word: for the other TEE's
        document ask a machine of that kind.
        """
        body = inteldocs.tcb_info(
            self.TEE,
            fmspc=self.fmspc,
            pce_id=self.pce_id,
            issued=self.at - DAY,
            until=self.at + 29 * DAY,
            evaluation=evaluation,
        )
        return _sign("tcbInfo", body, overrides, drop, sign_with, twice)

    def qe_identity(
        self,
        *,
        evaluation: int = inteldocs.EVALUATION,
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        drop: Collection[str] = (),
        twice: Collection[str] = (),
        **overrides: object,
    ) -> bytes:
        """The identity response for the quoting enclave; arguments as `tcb_info`."""
        body = inteldocs.qe_identity(
            self.TEE,
            mr_signer=self.qe_mr_signer,
            isv_prod_id=self.QE_PROD_ID,
            issued=self.at - DAY,
            until=self.at + 29 * DAY,
            evaluation=evaluation,
        )
        return _sign("enclaveIdentity", body, overrides, drop, sign_with, twice)

    def evaluation_numbers(
        self,
        numbers: Collection[int] = tuple(inteldocs.EVALUATIONS),
        *,
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        drop: Collection[str] = (),
        twice: Collection[str] = (),
        **overrides: object,
    ) -> bytes:
        """The list of evaluation numbers that PCS serves; arguments as `tcb_info`."""
        issued, until = self.at - DAY, self.at + 29 * DAY
        body = inteldocs.evaluation_numbers(self.TEE, numbers, issued=issued, until=until)
        return _sign("tcbEvaluationDataNumbers", body, overrides, drop, sign_with, twice)

    def crl(
        self,
        ca: str,
        *,
        revoked: Collection[int] = (),
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        number: int = 1,
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        issued_by: str | None = None,
        drop: Collection[str] = (),
        extra: Iterable[Extension] = (),
    ) -> bytes:
        """DER of the CRL of "platform", "processor" or "root"; drop: "nextUpdate", "cRLNumber"."""
        issued = this_update or self.at - DAY
        until = next_update or issued + (365 if ca == "root" else 30) * DAY
        return intelcerts.crl(
            ca,
            revoked=revoked,
            this_update=issued,
            next_update=None if "nextUpdate" in drop else until,
            number=None if "cRLNumber" in drop else number,
            sign_with=sign_with,
            issued_by=issued_by,
            extra=extra,
        )

    def pck_crl(self, **overrides: object) -> bytes:
        """The CRL of the CA that issued this machine's PCK; overrides as `crl`."""
        return self.crl(self.ca, **overrides)  # type: ignore[arg-type]

    def root_crl(self, **overrides: object) -> bytes:
        """The root's CRL; overrides as `crl`."""
        return self.crl("root", **overrides)  # type: ignore[arg-type]

    @functools.cached_property
    def good_collateral(self) -> Mapping[str, bytes]:
        return MappingProxyType(
            {
                "tcb_info": self.tcb_info(),
                "qe_identity": self.qe_identity(),
                "pck_crl": self.pck_crl(),
                "root_crl": self.root_crl(),
            }
        )

    def endorsements(
        self,
        *,
        anchors: AnchorSet = AnchorSet.VENDOR_AND_SIMULATED,
        certificates: tuple[bytes, ...] | None = None,
        drop: Collection[str] = (),
        cache: ChainCache | None = None,
        **collateral: bytes,
    ) -> Endorsements:
        """Everything PCS would serve for this machine, as bytes to be verified; the quote brings the PCK.

        collateral: tcb_info, qe_identity, pck_crl or root_crl in place of the good one; drop: without it.
        """
        unknown = (collateral.keys() | set(drop)) - self.good_collateral.keys()
        if unknown:
            raise TypeError(f"no such collateral: {', '.join(sorted(unknown))}")
        have = {k: v for k, v in {**self.good_collateral, **collateral}.items() if k not in drop}

        def pick(*names: str) -> tuple[bytes, ...]:
            return tuple(have[name] for name in names if name in have)

        return Endorsements(
            anchors=anchors,
            certificates=self.tcb_signing_chain() if certificates is None else certificates,
            crls=pick("pck_crl", "root_crl"),
            tcb_infos=pick("tcb_info"),
            qe_identities=pick("qe_identity"),
            cache=NoCache() if cache is None else cache,
        )


def _sign(
    member: str,
    body: Json,
    overrides: Mapping[str, object],
    drop: Collection[str],
    key: ec.EllipticCurvePrivateKey | None,
    twice: Collection[str],
) -> bytes:
    changed = {k: inteldocs.stamp(v) if isinstance(v, datetime) else v for k, v in overrides.items()}
    kept = {name: value for name, value in (body | changed).items() if name not in drop}
    return inteldocs.signed(member, kept, key or intelcerts.tcb_signing_key(), twice=twice)
