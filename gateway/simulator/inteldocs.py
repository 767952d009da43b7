"""TCB infos and enclave identities as Intel's PCS serves them: compact JSON, signed byte for byte.

Source: Intel PCS API v4, "Get TDX TCB Info" (TCB Info version 3) and "Get TD QE Identity" (version 2). Keys
stand in Intel's order. The numbers are those of a platform that was current in the middle of 2026.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Json = dict[str, object]

SGX_SVNS: Mapping[str, tuple[int, ...]] = {
    "Next": (9, 9, 2, 2, 4, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0),
    "UpToDate": (8, 8, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0),
    "OutOfDate": (7, 7, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0),
    "Revoked": (5, 5, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0),
}
"""SGX TCB components of each level of the simulated platform, highest first; by the level's status in
`EVALUATION`, and "Next" for what the evaluation after it will ask for."""
TDX_SVNS: Mapping[str, tuple[int, ...]] = {
    "Next": (7, 0, 9, *(0,) * 13),
    "UpToDate": (5, 0, 8, *(0,) * 13),
    "OutOfDate": (5, 0, 7, *(0,) * 13),
    "Revoked": (3, 0, 5, *(0,) * 13),
}
TEE_TCB_SVN: Mapping[str, bytes] = {
    "Next": bytes((7, 1, 9)).ljust(16, b"\0"),
    "UpToDate": bytes((6, 1, 8)).ljust(16, b"\0"),
    "OutOfDate": bytes((4, 1, 7)).ljust(16, b"\0"),
    "Revoked": bytes((2, 1, 5)).ljust(16, b"\0"),
}
"""TEE_TCB_SVN of a TD launched at that level: module SVN, module series 1, late microcode."""
PCE_SVN = 11
QE_SVN: Mapping[str, int] = {"Next": 9, "UpToDate": 8, "OutOfDate": 6, "Revoked": 2}

EVALUATION = 20
"""tcbEvaluationDataNumber of a document unless told otherwise."""
EVALUATIONS: Mapping[int, Mapping[str, str]] = {
    18: {"OutOfDate": "UpToDate", "Revoked": "OutOfDate"},
    19: {"OutOfDate": "UpToDate", "Revoked": "Revoked"},
    20: {"UpToDate": "UpToDate", "OutOfDate": "OutOfDate", "Revoked": "Revoked"},
    21: {"Next": "UpToDate", "UpToDate": "OutOfDate", "OutOfDate": "OutOfDate", "Revoked": "Revoked"},
}
"""Evaluation number to the levels that its documents list, each with the status it has there.

Earlier ones know less: 19 calls up to date what 20 calls out of date, which is why a rollback is an attack.
21 is a TCB recovery: a platform that was current under 20 is out of date until it gets what "Next" has."""
RECOVERIES: Mapping[int, tuple[str, str]] = {
    18: ("2024-11-12", "2024-11-13"),
    19: ("2025-05-13", "2025-05-14"),
    20: ("2025-08-12", "2025-08-13"),
    21: ("2026-05-12", "2026-05-13"),
}
"""Evaluation number to tcbRecoveryEventDate and tcbDate, as in Intel's list of the numbers."""

_DATES = {"Next": "2026-05-13", "UpToDate": "2025-05-14", "OutOfDate": "2024-03-13", "Revoked": "2023-08-09"}
_ADVISORIES = {
    "UpToDate": ("INTEL-SA-09901",),
    "OutOfDate": ("INTEL-SA-01036", "INTEL-SA-01079"),
    "Revoked": ("INTEL-SA-00960",),
}
_MODULE_ADVISORIES = {
    "UpToDate": ("INTEL-SA-09902",),
    "OutOfDate": ("INTEL-SA-01099",),
    "Revoked": ("INTEL-SA-01099",),
}
"""By level; one that is up to date has none."""

_SGX_LABELS: Mapping[int, Json] = {
    0: {"category": "BIOS", "type": "Early Microcode Update"},
    1: {"category": "OS/VMM", "type": "SGX Late Microcode Update"},
    2: {"category": "OS/VMM", "type": "TXT SINIT"},
    3: {"category": "BIOS"},
    4: {"category": "BIOS"},
    5: {"category": "BIOS"},
    7: {"category": "OS/VMM", "type": "SEAMLDR ACM"},
}
_TDX_LABELS: Mapping[int, Json] = {
    0: {"category": "OS/VMM", "type": "TDX Module"},
    1: {"category": "OS/VMM", "type": "TDX Module"},
    2: {"category": "OS/VMM", "type": "TDX Late Microcode Update"},
}


def stamp(moment: datetime) -> str:
    """A time as Intel writes it: whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tcb_level(
    status: str,
    *,
    sgx: Sequence[int],
    pcesvn: int = PCE_SVN,
    tdx: Sequence[int] | None = None,
    date: str = "2025-05-14",
    advisories: Collection[str] = (),
) -> Json:
    """One entry of tcbLevels. tdx None leaves the TDX components out, as SGX documents do."""
    tcb: Json = {"sgxtcbcomponents": _components(sgx, _SGX_LABELS), "pcesvn": pcesvn}
    if tdx is not None:
        tcb["tdxtcbcomponents"] = _components(tdx, _TDX_LABELS)
    return {"tcb": tcb} | _level_end(status, date, advisories)


def svn_level(
    status: str, isvsvn: int, *, date: str = "2025-05-14", advisories: Collection[str] = ()
) -> Json:
    """One level of a TDX module identity or of an enclave identity."""
    return {"tcb": {"isvsvn": isvsvn}} | _level_end(status, date, advisories)


def module_identity(
    series: str, levels: Sequence[Json], *, mrsigner: str = "00" * 48, attributes: str = "00" * 8
) -> Json:
    """One entry of tdxModuleIdentities; `series` is its id, "TDX_01"."""
    return {"id": series} | _module(mrsigner, attributes) | {"tcbLevels": list(levels)}


def tcb_levels(tee: str, evaluation: int = EVALUATION) -> list[Json]:
    """Good tcbLevels: those of the evaluation, with the SVNs above."""
    return [
        tcb_level(
            status,
            sgx=SGX_SVNS[level],
            tdx=TDX_SVNS[level] if tee == "TDX" else None,
            date=_DATES[level],
            advisories=() if status == "UpToDate" else _ADVISORIES[level],
        )
        for level, status in EVALUATIONS[evaluation].items()
    ]


def module_identities(evaluation: int = EVALUATION) -> list[Json]:
    """Good tdxModuleIdentities: TDX_03 with one level, TDX_01 with those of the evaluation."""
    levels = [
        svn_level(
            status,
            TEE_TCB_SVN[level][0],
            date=_DATES[level],
            advisories=() if status == "UpToDate" else _MODULE_ADVISORIES[level],
        )
        for level, status in EVALUATIONS[evaluation].items()
    ]
    return [
        module_identity("TDX_03", [svn_level("UpToDate", 3)]),
        module_identity("TDX_01", levels),
    ]


def tcb_info(
    tee: str,
    *,
    fmspc: bytes,
    pce_id: bytes,
    issued: datetime,
    until: datetime,
    evaluation: int = EVALUATION,
) -> Json:
    """The inner object of a good TCB info for "TDX" or "SGX"."""
    out: Json = {
        "id": tee,
        "version": 3,
        "issueDate": stamp(issued),
        "nextUpdate": stamp(until),
        "fmspc": fmspc.hex().upper(),
        "pceId": pce_id.hex().upper(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": evaluation,
    }
    if tee == "TDX":
        out["tdxModule"] = _module("00" * 48, "00" * 8)
        out["tdxModuleIdentities"] = module_identities(evaluation)
    out["tcbLevels"] = tcb_levels(tee, evaluation)
    return out


def qe_identity(
    tee: str,
    *,
    mr_signer: bytes,
    isv_prod_id: int,
    issued: datetime,
    until: datetime,
    evaluation: int = EVALUATION,
) -> Json:
    """The inner object of a good enclave identity for the quoting enclave of "TDX" or "SGX"."""
    return {
        "id": "TD_QE" if tee == "TDX" else "QE",
        "version": 2,
        "issueDate": stamp(issued),
        "nextUpdate": stamp(until),
        "tcbEvaluationDataNumber": evaluation,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11" + "00" * 15,
        "attributesMask": "FBFFFFFFFFFFFFFF" + "00" * 8,
        "mrsigner": mr_signer.hex().upper(),
        "isvprodid": isv_prod_id,
        "tcbLevels": [
            svn_level(status, QE_SVN[level], date=_DATES[level])
            for level, status in EVALUATIONS[evaluation].items()
        ],
    }


def evaluation_numbers(tee: str, numbers: Collection[int], *, issued: datetime, until: datetime) -> Json:
    """The inner object of the list of evaluation numbers that are served, newest first."""
    return {
        "id": tee,
        "version": 1,
        "issueDate": stamp(issued),
        "nextUpdate": stamp(until),
        "tcbEvalNumbers": [
            {
                "tcbEvaluationDataNumber": number,
                "tcbRecoveryEventDate": f"{RECOVERIES[number][0]}T00:00:00Z",
                "tcbDate": f"{RECOVERIES[number][1]}T00:00:00Z",
            }
            for number in sorted(numbers, reverse=True)
        ],
    }


def signed(member: str, body: Json, key: ec.EllipticCurvePrivateKey, *, twice: Collection[str] = ()) -> bytes:
    """The response {"<member>": body, "signature": r ‖ s in hex}, the signature over the body's own bytes.

    twice: members of the body that stand in it a second time, which a careful reader refuses.
    """
    text = json.dumps(body, separators=(",", ":"))
    again = "".join(f",{json.dumps(name)}:{json.dumps(body[name])}" for name in twice)
    text = f"{text[:-1]}{again}}}"
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f'{{"{member}":{text},"signature":"{r:064x}{s:064x}"}}'.encode()


def _level_end(status: str, date: str, advisories: Collection[str]) -> Json:
    end: Json = {"tcbDate": f"{date}T00:00:00Z", "tcbStatus": status}
    return end | ({"advisoryIDs": list(advisories)} if advisories else {})


def _module(mrsigner: str, attributes: str) -> Json:
    return {"mrsigner": mrsigner, "attributes": attributes, "attributesMask": "FF" * 8}


def _components(svns: Sequence[int], labels: Mapping[int, Json]) -> list[Json]:
    return [{"svn": svn} | labels.get(index, {}) for index, svn in enumerate(svns)]
