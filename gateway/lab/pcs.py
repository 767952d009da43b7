"""Intel's Provisioning Certification Service, API version 4, its certificate host, and a PCCS before it.

Sources: Intel PCS API v4; the caching service's published sources where a PCCS differs: CRLs in hex unless
DER is asked for, the root's CRL under `rootcacrl`, no evaluation numbers, 461 for a platform it has not seen.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping

from gateway.lab import names
from gateway.lab.answer import (
    JSON,
    PEM_FILE,
    PKIX_CRL,
    Asked,
    Reply,
    Request,
    chain_header,
    crl_pem,
    is_hex,
)
from gateway.lab.press import Press, Printed, Spoil
from gateway.simulator import inteldocs, keys
from gateway.simulator.intel import SgxMachine, TdxMachine
from gateway.simulator.intelmachine import FMSPC, PPID_PADDING
from gateway.simulator.quotewrite import pem

ROOT_CRL_PATH = "/IntelSGXRootCA.der"
_PATH = re.compile(r"/(sgx|tdx)/certification/v4/([a-z/]+)\Z", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_HEADERS = {
    names.TCB_INFO: "TCB-Info-Issuer-Chain",
    names.QE_IDENTITY: "SGX-Enclave-Identity-Issuer-Chain",
    names.NUMBERS: "TCB-Evaluation-Data-Numbers-Issuer-Chain",
    names.PCK_CRL: "SGX-PCK-CRL-Issuer-Chain",
    names.PCK: "SGX-PCK-Certificate-Issuer-Chain",
}
"""Endpoint to the header with its issuer chain."""


class Pcs:
    """platforms: machines that Intel knows otherwise than as the simulator's usual one, by PPID. fmspcs: the
    processor families there are. subscription_key: what PCK certificates are given for; None: to anybody."""

    def __init__(self, press: Press, subscription_key: str | None) -> None:
        self._press, self.subscription_key = press, subscription_key
        self.platforms: dict[bytes, TdxMachine | SgxMachine] = {}
        self.fmspcs: set[bytes] = {FMSPC}

    def know(self, machine: TdxMachine | SgxMachine) -> None:
        """Add a platform whose family or CA is not the usual one."""
        self.platforms[machine.ppid] = machine
        self.fmspcs.add(machine.fmspc)

    def route(self, request: Request) -> Asked | Reply:
        """Every path of the three hosts."""
        host = request.host
        if host == names.CERTIFICATES:
            if request.path != ROOT_CRL_PATH:
                return Reply(status=404)
            return Asked(endpoint=names.ROOT_CRL, key={"host": host}, answer=self._root_crl_der)
        found = _PATH.match(request.path)
        if found is None:
            return Reply(status=404)
        tee, what = found[1], found[2]
        if what in ("tcb", "qe/identity"):
            return self._document(request, tee, what)
        if what == "tcbevaluationdatanumbers" and host == names.PCS:
            newest = max(self._press.served)
            answer = functools.partial(self._signed, names.NUMBERS, tee, FMSPC, newest)
            return Asked(endpoint=names.NUMBERS, key={"tee": tee, "host": host}, answer=answer)
        if tee == "tdx":
            return Reply(status=404)
        return self._sgx_only(request, what)

    def _sgx_only(self, request: Request, what: str) -> Asked | Reply:
        key = {"host": request.host}
        match what:
            case "pckcrl":
                ca = request.query.get("ca", "").lower()
                answer = functools.partial(self._pck_crl, request, ca)
                return Asked(endpoint=names.PCK_CRL, key=key | {"ca": ca}, answer=answer)
            case "pckcert":
                return self._pck(request)
            case "rootcacrl" if request.host == names.PCCS:
                return Asked(endpoint=names.ROOT_CRL, key=key, answer=self._root_crl_hex)
            case "fmspcs" if request.host == names.PCS:
                return Asked(endpoint=names.FMSPCS, key=key, answer=self._fmspcs)
        return Reply(status=404)

    # --- signed documents --------------------------------------------------------------------------

    def _document(self, request: Request, tee: str, what: str) -> Asked | Reply:
        query, endpoint = request.query, names.TCB_INFO if what == "tcb" else names.QE_IDENTITY
        # A PCCS knows channels only; it does not look at the number.
        number = query.get("tcbEvaluationDataNumber") if request.host == names.PCS else None
        update = query.get("update", "standard").lower()
        key = {"tee": tee, "update": update if number is None else number, "host": request.host}
        fmspc = query.get("fmspc")
        if endpoint == names.TCB_INFO:
            key["fmspc"] = (fmspc or "").upper()
        answer = functools.partial(self._judge, request, endpoint, tee, fmspc, update, number)
        return Asked(endpoint=endpoint, key=key, answer=answer)

    def _judge(
        self,
        request: Request,
        endpoint: str,
        tee: str,
        fmspc: str | None,
        update: str,
        number: str | None,
        spoil: Spoil,
    ) -> Reply:
        """400, 404 and 410 as the API says, else the document."""
        if endpoint == names.TCB_INFO and not is_hex(fmspc, 12):
            return _refusal(request, 400)
        if update not in ("early", "standard") or (number is not None and "update" in request.query):
            return _refusal(request, 400)
        if number is not None and not _NUMBER.match(number):
            return _refusal(request, 400)
        family = bytes.fromhex(fmspc) if endpoint == names.TCB_INFO and fmspc else FMSPC
        if family not in self.fmspcs:
            return _refusal(request, 404)
        evaluation = self._press.early if update == "early" else self._press.standard
        if number is not None:
            evaluation = int(number)
            if evaluation not in self._press.served:
                return _refusal(request, 410 if evaluation < min(self._press.served) else 404)
        return self._signed(endpoint, tee, family, evaluation, spoil)

    def _signed(self, endpoint: str, tee: str, fmspc: bytes, evaluation: int, spoil: Spoil) -> Reply:
        printed = self._press.document(endpoint, tee, fmspc, evaluation, spoil)
        return _with_chain(endpoint, printed, printed.body, JSON)

    # --- CRLs --------------------------------------------------------------------------------------

    def _pck_crl(self, request: Request, ca: str, spoil: Spoil) -> Reply:
        encoding = request.query.get("encoding", "pem").lower()
        if ca not in ("platform", "processor") or encoding not in ("pem", "der"):
            return _refusal(request, 400)
        printed = self._press.intel_crl(ca, spoil)
        if encoding == "der":
            return _with_chain(names.PCK_CRL, printed, printed.body, PKIX_CRL)
        body = printed.body.hex().encode() if request.host == names.PCCS else crl_pem(printed.body)
        return _with_chain(names.PCK_CRL, printed, body, PEM_FILE)

    def _root_crl_der(self, spoil: Spoil) -> Reply:
        body = self._press.intel_crl("root", spoil).body
        return Reply(status=200, body=body, headers=(("Content-Type", "application/x-x509-ca-cert"),))

    def _root_crl_hex(self, spoil: Spoil) -> Reply:
        body = self._press.intel_crl("root", spoil).body.hex().encode()
        return Reply(status=200, body=body, headers=(("Content-Type", PKIX_CRL),))

    # --- platforms ---------------------------------------------------------------------------------

    def _fmspcs(self, _: Spoil) -> Reply:
        listed = [{"fmspc": fmspc.hex().upper(), "platform": "E5"} for fmspc in sorted(self.fmspcs)]
        body = json.dumps(listed, separators=(",", ":")).encode()
        return Reply(status=200, body=body, headers=(("Content-Type", JSON),))

    def _pck(self, request: Request) -> Asked:
        ppid = _decrypted(request.query.get("encrypted_ppid"))
        key = {"ppid": "" if ppid is None else ppid.hex(), "host": request.host}
        answer = functools.partial(self._pck_reply, request, ppid)
        return Asked(endpoint=names.PCK, key=key, answer=answer)

    def _pck_reply(self, request: Request, ppid: bytes | None, spoil: Spoil) -> Reply:
        query, pccs = request.query, request.host == names.PCCS
        given = request.headers.get("ocp-apim-subscription-key")
        if not pccs and self.subscription_key is not None and given != self.subscription_key:
            return _refusal(request, 401)
        sizes = {"encrypted_ppid": 768, "cpusvn": 32, "pcesvn": 4, "pceid": 4} | (
            {"qeid": 32} if pccs else {}
        )
        if any(not is_hex(query.get(name), digits) for name, digits in sizes.items()):
            return _refusal(request, 400)
        machine = None if ppid is None else self._platform(ppid, query)
        if machine is None:
            return _refusal(request, 461 if pccs else 404)
        printed = self._press.pck(machine, spoil)
        tcbm = bytes(machine.svns).hex() + machine.pce_svn.to_bytes(2, "little").hex()
        about = (
            ("SGX-TCBm", tcbm.upper()),
            ("SGX-FMSPC", machine.fmspc.hex().upper()),
            ("SGX-PCK-Certificate-CA-Type", machine.ca),
        )
        return _with_chain(names.PCK, printed, pem([printed.body]), PEM_FILE, about)

    def _platform(self, ppid: bytes, query: Mapping[str, str]) -> TdxMachine | SgxMachine | None:
        """The platform at the level that its raw SVNs reach; None below the lowest level."""
        usual = self.platforms.get(ppid)
        svns = tuple(bytes.fromhex(query["cpusvn"]))
        pce_svn = int.from_bytes(bytes.fromhex(query["pcesvn"]), "little")
        lowest = inteldocs.SGX_SVNS["Revoked"]
        if query["pceid"] != "0000" or any(have < low for have, low in zip(svns, lowest, strict=True)):
            return None
        return TdxMachine(
            platform=ppid,
            components=svns,
            pce_svn=pce_svn,
            fmspc=usual.fmspc if usual else FMSPC,
            ca=usual.ca if usual else "platform",
            at=self._press.clock.now().replace(microsecond=0),
        )


def _with_chain(
    endpoint: str,
    printed: Printed,
    body: bytes,
    content_type: str,
    more: tuple[tuple[str, str], ...] = (),
) -> Reply:
    chain = chain_header(_HEADERS[endpoint], printed.chain)
    return Reply(status=200, body=body, headers=(("Content-Type", content_type), chain, *more))


def _refusal(request: Request, status: int) -> Reply:
    """PCS answers with an empty body; a PCCS with a sentence, which clients have no use for."""
    if request.host != names.PCCS:
        return Reply(status=status)
    headers = (("Content-Type", "text/html; charset=utf-8"),)
    return Reply(status=status, body=b"The request was not answered.", headers=headers)


def _decrypted(text: str | None) -> bytes | None:
    """The PPID, or None for what no PCE of the simulator's encrypted."""
    if not is_hex(text, 768):
        return None
    try:
        ppid = keys.ppid_key().decrypt(bytes.fromhex(str(text)), PPID_PADDING)
    except ValueError:
        return None
    return ppid if len(ppid) == 16 else None
