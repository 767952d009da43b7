"""A simulated SEV-SNP machine: reports, the certificates for them, the tables guests hand over.

Every default is good: what a patched machine of that product says. Whoever wants something else names it,
so that a test or a demonstration shows only the difference:

    machine = SnpMachine(product="Milan")
    machine.report(data)                       # verifies under VENDOR_AND_SIMULATED
    machine.report(data, policy=0xB0000)       # a debug guest, properly signed
    machine.report(data, patch={0x18B: b"\\1"})  # a reserved byte that is not zero
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.simulator import amdcerts, certtable, keys, seeds, snpreport
from gateway.simulator.x509build import Extension
from verifiers.model import AnchorSet, ChainCache, Endorsements, NoCache, TcbVersion

CURRENT_TCB: Mapping[str, TcbVersion] = MappingProxyType(
    {
        "Milan": TcbVersion(bootloader=4, tee=0, snp=24, microcode=219),
        "Genoa": TcbVersion(bootloader=10, tee=0, snp=25, microcode=84),
        "Turin": TcbVersion(fmc=1, bootloader=3, tee=2, snp=5, microcode=97),
    }
)
"""What patched machines of each product reported in the middle of 2026."""

MEASUREMENT = seeds.octets("", "SNP launch measurement", 48)
"""MEASUREMENT of the simulated guest image, the same on every machine."""

DAY = timedelta(days=1)

_CPUID = {"Milan": (0x19, 0x01, 1), "Genoa": (0x19, 0x11, 1), "Turin": (0x1A, 0x02, 1)}
_VERSION = {"Milan": 3, "Genoa": 3, "Turin": 5}
_FIRMWARE = {"Milan": (1, 55, 29), "Genoa": (1, 55, 43), "Turin": (1, 58, 3)}
_MITIGATIONS = {"Milan": 0x0B, "Genoa": 0x01, "Turin": 0x3F}
_PRODUCT_NAME = {"Milan": "Milan-B0", "Genoa": "Genoa", "Turin": "Turin"}
HWID_SIZE: Mapping[str, int] = MappingProxyType({"Milan": 64, "Genoa": 64, "Turin": 8})
"""Bytes of a chip id that KDS and VCEK certificates take."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SnpMachine:
    """One machine and the guest on it.

    product: Milan, Genoa or Turin. signing_key: VCEK or VLEK. seed: which machine; its chip id follows from
    it. chip: its hwID, for whoever knows only that, as KDS does; keys follow from it. at: the moment around
    which certificates and CRLs are valid. version: of the reports; None means what the product's firmware
    gives out. tcb: all four TCBs of the report and the one certified. csp_id: whose VLEK. fields: values that
    every report of this guest carries, by claim name.
    """

    product: str = "Genoa"
    signing_key: str = "VCEK"
    seed: str = seeds.SEED
    chip: bytes | None = None
    at: datetime = seeds.EPOCH
    version: int | None = None
    tcb: TcbVersion | None = None
    csp_id: str = "CN=cc-simulated.example"
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.product not in keys.PRODUCTS or self.signing_key not in ("VCEK", "VLEK"):
            raise ValueError(f"no product {self.product!r} with key {self.signing_key!r} to simulate")
        if self.chip is not None and len(self.chip) != HWID_SIZE[self.product]:
            raise ValueError(
                f"{HWID_SIZE[self.product]} bytes of hwID on {self.product}, not {len(self.chip)}"
            )

    # --- identity ------------------------------------------------------------------------------

    @functools.cached_property
    def hwid(self) -> bytes:
        """What the VCEK certificate calls hwID: 64 bytes, 8 on Turin."""
        if self.chip is not None:
            return self.chip
        return seeds.octets(self.seed, f"chip id {self.product}", HWID_SIZE[self.product])

    @functools.cached_property
    def certified_tcb(self) -> TcbVersion:
        return self.tcb or CURRENT_TCB[self.product]

    @functools.cached_property
    def leaf_key(self) -> ec.EllipticCurvePrivateKey:
        """VCEKs belong to chip and TCB, VLEKs to provider and TCB, as on real hardware."""
        owner = self.hwid.hex() if self.signing_key == "VCEK" else self.csp_id
        tcb = snpreport.tcb_bytes(self.certified_tcb).hex()
        return seeds.p384(owner, f"{self.signing_key} {self.product} {tcb}")

    # --- reports -------------------------------------------------------------------------------

    @functools.cached_property
    def good(self) -> Mapping[str, object]:
        """Every field of a good report but REPORT_DATA, by claim name."""
        version = self.version or _VERSION[self.product]
        vlek = self.signing_key == "VLEK"
        out: dict[str, object] = {
            "version": version,
            "policy": 0x30000,
            "signature_algo": 1,
            "platform_info": 0x01 if version < 3 else 0x65 if self.product == "Turin" else 0x25,
            "key_info": 0b00100 if vlek else 0,
            "measurement": MEASUREMENT,
            "report_id": seeds.octets(self.seed, "report id", 32),
            "report_id_ma": b"\xff" * 32,
            # Providers that use a VLEK hide the chip.
            "chip_id": bytes(64) if vlek else self.hwid.ljust(64, b"\0"),
            "current_version": _FIRMWARE[self.product],
            "committed_version": _FIRMWARE[self.product],
        }
        for name in ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"):
            out[name] = self.certified_tcb
        if version >= 3:
            out["cpuid_fms"] = _CPUID[self.product]
        if version >= 5:
            out["launch_mit_vector"] = out["current_mit_vector"] = _MITIGATIONS[self.product]
        return MappingProxyType(out | dict(self.fields))

    def report(
        self,
        report_data: bytes,
        *,
        patch: Mapping[int, bytes] = MappingProxyType({}),
        sign_with: ec.EllipticCurvePrivateKey | None = None,
        **overrides: object,
    ) -> bytes:
        """A signed report, 1184 bytes, over 64 bytes of report data.

        overrides: by claim name (`snpreport.FIELDS`). patch: offset to bytes, put in before signing (in the
        signature field: after). reported_tcb alone leaves the certificate behind, which is a mismatch; for
        an old machine give `tcb` to the machine.
        """
        unknown = overrides.keys() - snpreport.FIELDS.keys()
        if unknown:
            raise TypeError(f"no such report field: {', '.join(sorted(unknown))}")
        values = {**self.good, "report_data": report_data, **overrides}
        return snpreport.sign(snpreport.assemble(values, patch), sign_with or self.leaf_key, patch)

    # --- certificates --------------------------------------------------------------------------

    def vcek(self, **overrides: object) -> bytes:
        """DER of the VCEK certificate; overrides as `certificate`."""
        return self.certificate("VCEK", **overrides)  # type: ignore[arg-type]

    def vlek(self, **overrides: object) -> bytes:
        """DER of the VLEK certificate; overrides as `certificate`."""
        return self.certificate("VLEK", **overrides)  # type: ignore[arg-type]

    def certificate(
        self,
        kind: str,
        *,
        hwid: bytes | None = None,
        csp_id: str | None = None,
        tcb: TcbVersion | None = None,
        struct_version: int | None = None,
        product_name: str | None = None,
        common_name: str | None = None,
        issued_by: str | None = None,
        sign_with: rsa.RSAPrivateKey | None = None,
        public_key: ec.EllipticCurvePublicKey | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        serial: int = 0,
        contents: Mapping[str, bytes] = MappingProxyType({}),
        drop: Collection[str] = (),
        duplicate: Collection[str] = (),
        extra: Iterable[Extension] = (),
        trailer_field: bool = False,
    ) -> bytes:
        """DER of a leaf of `kind` VCEK or VLEK for this machine's key.

        issued_by: CN of the issuer. contents: extension name (`amdcerts.OIDS`) to raw content octets, over
        or beside the right ones; drop, duplicate: names; extra: whole extensions at the end.
        """
        vcek = kind == "VCEK"
        role = "ASK" if vcek else "ASVK"
        start = not_before or self.at - 30 * DAY
        right = amdcerts.leaf_extensions(
            struct_version=(1 if self.product == "Turin" else 0)
            if struct_version is None
            else struct_version,
            product_name=product_name or (_PRODUCT_NAME[self.product] if vcek else self.product),
            tcb=tcb or self.certified_tcb,
            hwid=(self.hwid if hwid is None else hwid) if vcek else hwid,
            csp_id=csp_id if vcek else csp_id or self.csp_id,
        )
        return amdcerts.leaf(
            contents=right | dict(contents),
            key=public_key or self.leaf_key.public_key(),
            common_name=common_name or f"SEV-{kind}",
            issued_by=issued_by or amdcerts.common_name(self.product, role),
            sign_with=sign_with or keys.amd(self.product, role),
            not_before=start,
            not_after=not_after or start + (7 * 365 if vcek else 365) * DAY,
            serial=serial,
            drop=drop,
            duplicate=duplicate,
            extra=extra,
            trailer_field=trailer_field,
        )

    @functools.cached_property
    def leaf(self) -> bytes:
        """DER of the good certificate for the key this machine signs with."""
        return self.certificate(self.signing_key)

    def ark(self) -> bytes:
        return amdcerts.issuer(self.product, "ARK")

    def ask(self) -> bytes:
        return amdcerts.issuer(self.product, "ASK")

    def asvk(self) -> bytes:
        return amdcerts.issuer(self.product, "ASVK")

    def intermediate(self) -> bytes:
        """The ASK or the ASVK, whichever signed this machine's leaf."""
        return self.ask() if self.signing_key == "VCEK" else self.asvk()

    def crl(
        self,
        kind: str | None = None,
        *,
        revoked: Collection[int] = (),
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        number: int = 1,
        sign_with: rsa.RSAPrivateKey | None = None,
        issued_by: str | None = None,
        drop: Collection[str] = (),
        extra: Iterable[Extension] = (),
    ) -> bytes:
        """DER of the CRL at KDS for `kind` ("vcek", "vlek"); both name the same issuer, the ARK.

        revoked: serials, see `amdcerts.serial`. drop: "nextUpdate", "cRLNumber". The CRL says nothing that
        depends on `kind`; the argument keeps call sites readable.
        """
        if kind not in (None, "vcek", "vlek"):
            raise ValueError(f"no CRL for {kind!r}: vcek or vlek")
        issued = this_update or self.at - DAY
        return amdcerts.crl(
            self.product,
            revoked=revoked,
            this_update=issued,
            next_update=None if "nextUpdate" in drop else next_update or issued + 30 * DAY,
            number=None if "cRLNumber" in drop else number,
            sign_with=sign_with,
            issued_by=issued_by,
            extra=extra,
        )

    @functools.cached_property
    def good_crl(self) -> bytes:
        return self.crl()

    # --- what guests hand over, what verifiers are given ------------------------------------------

    def certificate_table(self, certificates: Mapping[str, bytes] | None = None) -> bytes:
        """ARK, intermediate and leaf as `certtable.write` lays them out; or the `certificates` given."""
        if certificates is None:
            certificates = {"ARK": self.ark(), "ASK": self.intermediate(), self.signing_key: self.leaf}
        return certtable.write(certificates)

    def extended_report(self, report_data: bytes, **overrides: object) -> bytes:
        """Report and certificate table, one after the other; overrides as `report`."""
        return self.report(report_data, **overrides) + self.certificate_table()  # type: ignore[arg-type]

    def endorsements(
        self,
        *,
        anchors: AnchorSet = AnchorSet.VENDOR_AND_SIMULATED,
        certificates: tuple[bytes, ...] | None = None,
        crls: tuple[bytes, ...] | None = None,
        cache: ChainCache | None = None,
    ) -> Endorsements:
        """Leaf and CRL, as bytes to be verified; the issuers' keys are pinned and need not come along."""
        return Endorsements(
            anchors=anchors,
            certificates=(self.leaf,) if certificates is None else certificates,
            crls=(self.good_crl,) if crls is None else crls,
            cache=NoCache() if cache is None else cache,
        )
