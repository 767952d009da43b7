"""Whatever is asked of the vendor lab, and whatever fault is spelled, it answers or says what it expected."""

from __future__ import annotations

import contextlib

from gateway.adapters import SystemClock
from gateway.lab import names
from gateway.lab.answer import Asked, Reply, Request
from gateway.lab.faults import FaultBook, FaultError, parse
from gateway.lab.kds import Kds
from gateway.lab.pcs import Pcs
from gateway.lab.press import Press

PRESS = Press(SystemClock())
KDS, PCS = Kds(PRESS), Pcs(PRESS, "key")
STATUSES = {200, 400, 401, 404, 405, 410, 461}


def seeds() -> list[bytes]:
    return [
        b"/vcek/v1/Genoa/" + b"ab" * 64 + b"?blSPL=10&teeSPL=00&snpSPL=25&ucodeSPL=84",
        b"/vcek/v1/Turin/" + b"ab" * 8 + b"?fmcSPL=1&blSPL=3",
        b"/vlek/v1/Milan/cert_chain",
        b"/tdx/certification/v4/tcb?fmspc=5EA16A7E0000&update=early",
        b"/sgx/certification/v4/qe/identity?tcbEvaluationDataNumber=20",
        b"/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        b"/sgx/certification/v4/pckcert?encrypted_ppid=00&cpusvn=00&pcesvn=0b00&pceid=0000",
        b"/IntelSGXRootCA.der",
        b"amd.vcek:throttled,retry_after=30,product=Genoa,times=2",
        b"*:revoked,who=tcb-signer",
    ]


def target(data: bytes) -> None:
    text = data.decode("latin-1")
    for host in names.HOSTS:
        with contextlib.suppress(ValueError):
            request = Request.read(host, text, [("Ocp-Apim-Subscription-Key", "key")])
            found = KDS.route(request) if host == names.KDS else PCS.route(request)
            reply = found.answer({}) if isinstance(found, Asked) else found
            assert isinstance(reply, Reply) and reply.status in STATUSES
            assert all(value.isprintable() for header in reply.headers for value in header)
    with contextlib.suppress(FaultError):
        endpoint, fault, settings = parse(text)
        rule = FaultBook().add(endpoint, fault, settings)
        assert rule.fault == fault
