"""AMD's Key Distribution Service: VCEKs by chip and TCB, and the CRLs of the ARKs.

Source: AMD 57230, chapter 4. VLEKs are handed out to providers only, and come with the evidence. Chains are
not asked for: ARK, ASK and ASVK are pinned as keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.collateral import slots
from gateway.collateral.dial import Reply, Request
from gateway.collateral.vendors import fitting
from verifiers import vetting
from verifiers.errors import Reason, VettingError
from verifiers.model import AnchorSet, Need
from verifiers.vetting import Vetted

MAX_CERTIFICATE = 8 * 1024
MAX_CRL = 256 * 1024
_SPL = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_COMMON = {"blSPL": _SPL, "teeSPL": _SPL, "snpSPL": _SPL, "ucodeSPL": _SPL}
_LONG, _SHORT = re.compile(r"[0-9a-f]{128}", re.ASCII), re.compile(r"[0-9a-f]{16}", re.ASCII)
_SEVERAL = re.compile(r"Milan|Genoa", re.ASCII)
_SHAPES: tuple[dict[str, re.Pattern[str]], ...] = (
    {**_COMMON, "chip_id": _LONG, "product": _SEVERAL},
    {**_COMMON, "chip_id": _SHORT, "product": re.compile(r"Turin", re.ASCII), "fmcSPL": _SPL},
    {**_COMMON, "chip_id": _LONG},
)
"""What a VCEK may be asked by: the last is a report of version 2, which does not say its product."""
_CRL = {
    "product": re.compile(r"Milan|Genoa|Turin", re.ASCII),
    "kind": re.compile(r"vcek|vlek", re.ASCII),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kds:
    """base: URL without a slash at the end."""

    base: str
    name: str = "amd"

    def requests(self, need: Need, channel: str) -> tuple[Request, ...]:
        if need.kind == "amd.crl":
            found = fitting(need, _CRL)
            if found is None:
                return ()
            url = f"{self.base}/{found['kind']}/v1/{found['product']}/crl"
            return (Request(url=url, cap=MAX_CRL),)
        if need.kind != "amd.vcek":
            return ()
        values = next((found for shape in _SHAPES if (found := fitting(need, shape)) is not None), None)
        if values is None or any(int(values[name]) > 255 for name in values if name.endswith("SPL")):
            return ()
        lines = [values["product"]] if "product" in values else ["Milan", "Genoa"]
        return tuple(Request(url=self._vcek(line, values), cap=MAX_CERTIFICATE) for line in lines)

    def read(
        self, need: Need, reply: Reply, where: str, pool: Sequence[bytes], anchors: AnchorSet
    ) -> tuple[Vetted, ...]:
        if need.kind == "amd.crl":
            found = vetting.amd_crl(reply.body, where, dict(need.key)["kind"], anchors)
            made: tuple[Vetted, ...] = (found,)
        else:
            made = vetting.certificate(reply.body, where, (), anchors)
        if len(made) != 1 or made[0].kind != need.kind or not _answers(need, made[0]):
            raise VettingError(
                Reason.COLLATERAL_UNRECOGNISED,
                where,
                expected=str(need)[:200],
                found=" ".join(f"{v.kind} {dict(v.key)}" for v in made)[:300] or "nothing that is needed",
            )
        return made

    def _vcek(self, line: str, values: dict[str, str]) -> str:
        names = ("fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL")
        query = "&".join(f"{name}={int(values[name]):02d}" for name in names if name in values)
        return f"{self.base}/vcek/v1/{line}/{values['chip_id']}?{query}"


def _answers(need: Need, found: Vetted) -> bool:
    """About the chip, TCB and product that were asked for, and about nothing else."""
    asked = dict(need.key)
    same = slots.key_of(found.kind, found.key) == slots.answers(need)
    return same and asked.get("product", found.get("product")) == found.get("product")
