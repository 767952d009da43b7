"""The page about verification lists the checks that are made, in their order, and codes that exist."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT
from tests.unit.verifiers.test_claims import verified
from verifiers.errors import Reason

PAGE = (ROOT / "verifiers" / "README.md").read_text()


def table(head: str) -> list[list[str]]:
    """Code words by row, of the table whose first column is headed `head`."""
    rows = PAGE[PAGE.index(f"| {head} | asks |") :].split("\n\n")[0].splitlines()[2:]
    return [re.findall(r"`([\w.-]+)`", row) for row in rows]


@pytest.mark.parametrize(
    ("machine", "head", "others"),
    [
        ("turin", "SEV-SNP", ()),
        ("tdx-5", "TDX, SGX", ("sgx.attributes",)),
        ("sgx", "TDX, SGX", ("tdx.attributes", "tdx.xfam", "tdx.seam", "tdx.event-log")),
    ],
)
def test_the_checks_and_their_order(machine: str, head: str, others: tuple[str, ...]) -> None:
    made = [check.id for check in verified(machine).checks if check.id != "evidence.simulated"]
    assert [row[0] for row in table(head) if row[0] not in others] == made


def test_every_code_exists() -> None:
    known = {str(reason) for reason in Reason}
    codes = {code for head in ("SEV-SNP", "TDX, SGX") for row in table(head) for code in row[1:]}
    assert len(codes) > 10
    assert codes <= known


def test_every_place_exists() -> None:
    here = ROOT / "verifiers"
    for name in re.findall(r"`((?:[a-z]+/)*[a-z_]+(?:\.py|/))`", PAGE):
        if name not in ("abi.py", "verify.py", "needs.py"):
            assert (here / name).exists() or (ROOT / name).exists(), name
    folders = {path.parent.name for path in here.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `([a-z]+)/` \|", PAGE, re.MULTILINE)) == folders


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 150
