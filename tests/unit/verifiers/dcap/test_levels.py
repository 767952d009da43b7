"""The TCB level algorithm: the manifest's synthetic cases, and the shortfall that people are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import load_manifest, needs_vectors
from verifiers.dcap import levels, tcbinfo
from verifiers.dcap.document import Status, SvnLevel
from verifiers.dcap.levels import Evaluation, Platform, TdxTcb
from verifiers.errors import EndorsementFormatError, Reason
from verifiers.model import TcbShort, TeeKind

CASES = {case["id"]: case for case in load_manifest("tdx").get("tcb_algorithm_cases", [])}
DATE = datetime(2025, 1, 1, tzinfo=UTC)

REFUSED = {
    "reject: module mismatch": (Status.NOT_SUPPORTED, Reason.DCAP_MODULE_MISMATCH),
    "reject: Revoked": (Status.REVOKED, Reason.DCAP_TCB_REVOKED),
    "reject: NotSupported": (Status.NOT_SUPPORTED, Reason.DCAP_TCB_NOT_SUPPORTED),
    # Intel's library goes on to the lower level; the stricter reading that the case recommends is ours.
    "UpToDate per Intel QVL; recommended stricter: Revoked": (Status.REVOKED, Reason.DCAP_TCB_REVOKED),
}
MALFORMED = {"reject: unrecognised status", "reject: malformed"}


def platform(case: dict[str, Any]) -> Platform:
    return Platform(
        components=tuple(case["pck_components"]),
        pce_svn=case["pcesvn"],
        pce_id=bytes.fromhex(case["pck_pceid"]),
        fmspc=bytes.fromhex(case["tcb_info"]["fmspc"]),
    )


def evaluate(case: dict[str, Any]) -> Evaluation:
    info = tcbinfo.parse_body(json.dumps(case["tcb_info"]).encode(), "TCB info")
    svn2 = case["tee_tcb_svn2"]
    tdx = TdxTcb(
        svn=bytes.fromhex(case["tee_tcb_svn"]),
        svn2=bytes.fromhex(svn2) if svn2 and case["body"] != "TD report 1.0" else None,
        mr_signer_seam=bytes(48),
        seam_attributes=bytes(8),
    )
    qe = tuple(
        SvnLevel(isv_svn=level["isvsvn"], status=Status(level["tcbStatus"]), date=DATE, advisory_ids=())
        for level in sorted(case["qe_tcb_levels"], key=lambda level: -level["isvsvn"])
    )
    return levels.evaluate(info, platform(case), tdx, qe, case["qe_isvsvn"])


@needs_vectors("tdx")
def test_no_case_has_gone() -> None:
    assert len(CASES) == 31


@needs_vectors("tdx")
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_algorithm(case: dict[str, Any]) -> None:
    expected = case["expected"]
    if expected in MALFORMED:
        with pytest.raises(EndorsementFormatError) as caught:
            evaluate(case)
        assert caught.value.reason == Reason.COLLATERAL_MALFORMED
        return
    info = tcbinfo.parse_body(json.dumps(case["tcb_info"]).encode(), "TCB info")
    if expected.startswith("reject: PCEID"):
        assert levels.mismatch(info, platform(case), TeeKind.TDX) is Reason.DCAP_PCEID_MISMATCH
        return
    assert levels.mismatch(info, platform(case), TeeKind.TDX) is None
    found = evaluate(case)
    assert (found.status, found.reason) == REFUSED.get(expected, (expected, None))
    advisories = case["oracle"].rpartition("[")[2].rstrip("]")
    if case["oracle"].startswith("OK") and found.reason is None:
        assert {f"'{name}'" for name in found.advisory_ids} == set(filter(None, advisories.split(", ")))


# --- without vectors: one platform, one document, one thing changed -------------------------------

ZERO = "00" * 48


def level(status: str, sgx: int, tdx: int, *, pcesvn: int = 11, date: str = "2025-01-01") -> dict[str, Any]:
    return {
        "tcb": {
            "sgxtcbcomponents": [{"svn": sgx, "category": "BIOS", "type": "Early"}, *[{"svn": 0}] * 15],
            "pcesvn": pcesvn,
            "tdxtcbcomponents": [{"svn": 0}, {"svn": 0}, {"svn": tdx}, *[{"svn": 0}] * 13],
        },
        "tcbDate": f"{date}T00:00:00Z",
        "tcbStatus": status,
        "advisoryIDs": [f"P-{status}"] if status != "UpToDate" else [],
    }


def document(*rows: dict[str, Any], module: dict[str, Any] | None = None, **changed: Any) -> tcbinfo.TcbInfo:
    good = {
        "id": "TDX",
        "version": 3,
        "issueDate": "2025-01-01T00:00:00Z",
        "nextUpdate": "2025-02-01T00:00:00Z",
        "fmspc": "00806F050000",
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": 19,
        "tdxModule": {"mrsigner": ZERO, "attributes": "00" * 8, "attributesMask": "FF" * 8},
        "tdxModuleIdentities": [
            {
                "id": "TDX_01",
                "mrsigner": ZERO,
                "attributes": "00" * 8,
                "attributesMask": "FF" * 8,
                "tcbLevels": [
                    {"tcb": {"isvsvn": 6}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"},
                    {
                        "tcb": {"isvsvn": 4},
                        "tcbDate": "2024-01-01T00:00:00Z",
                        "tcbStatus": "OutOfDate",
                        "advisoryIDs": ["M-1", "P-OutOfDate"],
                    },
                ],
            }
            | (module or {})
        ],
        "tcbLevels": list(rows) or [level("UpToDate", 8, 8), level("OutOfDate", 7, 7, date="2024-06-01")],
    }
    return tcbinfo.parse_body(json.dumps(good | changed).encode(), "TCB info")


GOOD_QE = (SvnLevel(isv_svn=4, status=Status.UP_TO_DATE, date=DATE, advisory_ids=()),)


def run(
    info: tcbinfo.TcbInfo,
    *,
    sgx: int = 8,
    pce: int = 11,
    svn: tuple[int, int, int] = (6, 1, 8),
    qe: tuple[SvnLevel, ...] = GOOD_QE,
    qe_svn: int = 4,
    **changed: Any,
) -> Evaluation:
    has = Platform(components=(sgx, *[0] * 15), pce_svn=pce, pce_id=bytes(2), fmspc=info.fmspc)
    tdx = {
        "svn": bytes(svn).ljust(16, b"\0"),
        "svn2": None,
        "mr_signer_seam": bytes(48),
        "seam_attributes": bytes(8),
    }
    return levels.evaluate(info, has, TdxTcb(**{**tdx, **changed}), qe, qe_svn)


def test_good() -> None:
    found = run(document())
    assert (found.status, found.reason, found.short) == (Status.UP_TO_DATE, None, ())
    assert (found.module_id, found.module_status) == ("TDX_01", Status.UP_TO_DATE)
    assert found.date == DATE


@pytest.mark.parametrize(("sgx", "status"), [(9, "UpToDate"), (8, "UpToDate"), (7, "OutOfDate")])
def test_an_sgx_component_at_its_bound(sgx: int, status: str) -> None:
    assert run(document(), sgx=sgx).status == status


@pytest.mark.parametrize(("pce", "status"), [(12, "UpToDate"), (11, "UpToDate"), (10, "NotSupported")])
def test_pcesvn_at_its_bound(pce: int, status: str) -> None:
    assert run(document(), pce=pce).status == status


@pytest.mark.parametrize(
    ("svn", "status"),
    [((7, 1, 8), "UpToDate"), ((6, 1, 8), "UpToDate"), ((5, 1, 8), "OutOfDate"), ((3, 1, 8), "NotSupported")],
)
def test_the_module_svn_at_its_bounds(svn: tuple[int, int, int], status: str) -> None:
    assert run(document(), svn=svn).status == status


@pytest.mark.parametrize(("qe_svn", "status"), [(5, "UpToDate"), (4, "UpToDate"), (3, "NotSupported")])
def test_the_qe_svn_at_its_bound(qe_svn: int, status: str) -> None:
    assert run(document(), qe_svn=qe_svn).status == status


def test_advisories_are_a_union_in_order_of_appearance() -> None:
    qe = (SvnLevel(isv_svn=4, status=Status.OUT_OF_DATE, date=DATE, advisory_ids=("Q-1", "M-1")),)
    found = run(document(), sgx=7, svn=(4, 1, 7), qe=qe)
    assert found.status is Status.OUT_OF_DATE
    assert found.advisory_ids == ("P-OutOfDate", "M-1", "Q-1")


def test_the_date_is_that_of_the_older_of_platform_and_module() -> None:
    assert run(document(), sgx=7, svn=(6, 1, 7)).date == datetime(2024, 6, 1, tzinfo=UTC)
    assert run(document(), sgx=8, svn=(4, 1, 8)).date == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"mr_signer_seam": b"\1" + bytes(47)}, id="mrsignerseam"),
        pytest.param({"seam_attributes": b"\1" + bytes(7)}, id="seamattributes"),
        pytest.param({"svn": bytes((6, 2, 8)).ljust(16, b"\0")}, id="unknown-series"),
    ],
)
def test_a_module_that_is_not_the_one(changed: dict[str, bytes]) -> None:
    found = run(document(), **changed)
    assert (found.status, found.reason) == (Status.NOT_SUPPORTED, Reason.DCAP_MODULE_MISMATCH)


def test_attributes_outside_the_mask_must_be_zero() -> None:
    info = document(module={"attributes": "0100000000000000", "attributesMask": "0000000000000000"})
    found = run(info, seam_attributes=b"\1" + bytes(7))
    assert found.reason is Reason.DCAP_MODULE_MISMATCH


def test_a_module_identity_in_lower_case_counts() -> None:
    assert run(document(module={"id": "TDX_0a"}), svn=(6, 10, 8)).module_id == "TDX_0A"


def test_revoked_anywhere_is_revoked() -> None:
    revoked = level("Revoked", 8, 9)
    found = run(document(revoked, level("UpToDate", 7, 7)))
    assert found.sgx_level is not None and found.sgx_level.status is Status.REVOKED
    assert found.tdx_level is not None and found.tdx_level.status is Status.UP_TO_DATE
    assert (found.status, found.reason) == (Status.REVOKED, Reason.DCAP_TCB_REVOKED)


def test_shortfall_names_component_and_who_raises_it() -> None:
    found = run(document(), sgx=7, svn=(4, 1, 7), qe_svn=4)
    assert found.short == (
        TcbShort(component="SGX 1 Early", has=7, needs=8, raised_by="BIOS"),
        TcbShort(component="TDX 3", has=7, needs=8, raised_by="not said"),
        TcbShort(
            component="TDX module (TDX_01)", has=4, needs=6, raised_by="OS/VMM, then relaunch the guest"
        ),
    )


def test_shortfall_of_pce_and_qe() -> None:
    qe = (
        SvnLevel(isv_svn=8, status=Status.UP_TO_DATE, date=DATE, advisory_ids=()),
        SvnLevel(isv_svn=4, status=Status.OUT_OF_DATE, date=DATE, advisory_ids=()),
    )
    found = run(document(), pce=9, qe=qe)
    assert [(s.component, s.has, s.needs) for s in found.short] == [
        ("PCESVN", 9, 11),
        ("quoting enclave", 4, 8),
    ]


def test_the_nearest_good_level_is_the_one_to_reach() -> None:
    """Two UpToDate levels: the one that lacks fewer components is shown."""
    info = document(level("UpToDate", 9, 9), level("UpToDate", 8, 8), level("OutOfDate", 7, 7))
    assert [(s.component, s.needs) for s in run(info, sgx=8, svn=(6, 1, 7)).short] == [("TDX 3", 8)]


@pytest.mark.parametrize(
    ("changed", "tee", "reason"),
    [
        ({}, TeeKind.TDX, None),
        ({}, TeeKind.SGX, Reason.DCAP_WRONG_TEE),
        ({"fmspc": "00806F050001"}, TeeKind.TDX, Reason.DCAP_FMSPC_MISMATCH),
        ({"fmspc": "00806f050000"}, TeeKind.TDX, None),
        ({"pceId": "0100"}, TeeKind.TDX, Reason.DCAP_PCEID_MISMATCH),
    ],
)
def test_what_a_document_is_about(changed: dict[str, str], tee: TeeKind, reason: Reason | None) -> None:
    about = Platform(components=(0,) * 16, pce_svn=0, pce_id=bytes(2), fmspc=bytes.fromhex("00806F050000"))
    assert levels.mismatch(document(**changed), about, tee) is reason
