"""AMD's Key Distribution Service (AMD 57230, chapter 4): certificates and CRLs, raw.

What the document leaves open: media types (none was recorded; clients must not rely on them) and the status
of a malformed request (400 here).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from gateway.lab import names
from gateway.lab.answer import PEM_FILE, PKIX_CERT, PKIX_CRL, Asked, Reply, Request, is_hex
from gateway.lab.press import Press, Spoil
from gateway.simulator import keys
from gateway.simulator.amd import HWID_SIZE
from gateway.simulator.quotewrite import pem
from verifiers.model import TcbVersion

_SPL = {"blSPL": "bootloader", "teeSPL": "tee", "snpSPL": "snp", "ucodeSPL": "microcode", "fmcSPL": "fmc"}
_DECIMAL = re.compile(r"[0-9]{1,3}\Z", re.ASCII)


class Kds:
    """chips: hwIDs that the vendor sold, others are 404; None: every chip asked for."""

    def __init__(self, press: Press, chips: frozenset[bytes] | None = None) -> None:
        self._press, self.chips = press, chips

    def route(self, request: Request) -> Asked | Reply:
        """`/{vcek|vlek}/v1/{product}/{cert_chain|crl|cert|hwid}`."""
        parts = request.path.split("/")
        if len(parts) != 5 or parts[0] or parts[1] not in ("vcek", "vlek") or parts[2] != "v1":
            return Reply(status=404)
        kind, product, last = parts[1], parts[3], parts[4]
        if product not in keys.PRODUCTS:
            return Reply(status=404)
        key = {"product": product, "kind": kind, "host": request.host}
        if last == "cert_chain":
            return Asked(endpoint=names.CHAIN, key=key, answer=functools.partial(self._chain, product, kind))
        if last == "crl":
            return Asked(endpoint=names.AMD_CRL, key=key, answer=functools.partial(self._crl, product))
        if kind == "vlek":
            # Providers only, who prove who they are by means that AMD agrees with each of them.
            return Asked(endpoint=names.VLEK, key=key, answer=lambda _: Reply(status=401))
        size = HWID_SIZE[product]
        key = {"product": product, "chip_id": last.lower(), "host": request.host}
        return Asked(
            endpoint=names.VCEK,
            key=key,
            answer=functools.partial(self._vcek, product, size, last, request.query),
        )

    def _chain(self, product: str, kind: str, spoil: Spoil) -> Reply:
        chain = self._press.amd_chain(product, kind, spoil)
        return Reply(status=200, body=pem(chain), headers=(("Content-Type", PEM_FILE),))

    def _crl(self, product: str, spoil: Spoil) -> Reply:
        body = self._press.amd_crl(product, spoil).body
        return Reply(status=200, body=body, headers=(("Content-Type", PKIX_CRL),))

    def _vcek(self, product: str, size: int, hwid: str, query: Mapping[str, str], spoil: Spoil) -> Reply:
        if not is_hex(hwid, 2 * size):
            return Reply(status=404)
        tcb = _tcb(product, query)
        if tcb is None:
            return Reply(status=400)
        chip = bytes.fromhex(hwid)
        if self.chips is not None and chip not in self.chips:
            return Reply(status=404)
        body = self._press.vcek(product, chip, tcb, spoil).body
        return Reply(status=200, body=body, headers=(("Content-Type", PKIX_CERT),))


def _tcb(product: str, query: Mapping[str, str]) -> TcbVersion | None:
    """SPLs in decimal, absent ones zero; None for an unknown name or a value that is no SPL."""
    allowed = set(_SPL) - (set() if product == "Turin" else {"fmcSPL"})
    if query.keys() - allowed or any(not _DECIMAL.match(v) or int(v) > 255 for v in query.values()):
        return None
    parts = {_SPL[name]: int(query.get(name, "0")) for name in allowed}
    return TcbVersion(**parts)
