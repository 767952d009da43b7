"""The guide's session, run again: every command prints what the page shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

PAGE = (ROOT / "policies" / "GUIDE.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
VECTORS = ROOT.parent / "shared" / "vectors" / "tdx"
COLLATERAL = {
    "tcb_info.json": "tcbinfo-tdx-00806f050000-ev17-20250213-040f.json",
    "qe_identity.json": "qeid-td_qe-ev17-20250213-2ba1.json",
    "pck_crl.der": "crl-platform-20250213-00ef.der",
    "root_crl.der": "crl-root-20240320-6b9f.der",
    "tcb_signing_chain.pem": "tcb-signing-chain-20180521.pem",
}


def session() -> list[tuple[str, str]]:
    """(command, output) of the page, in order."""
    out = []
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            out.append((command, shown))
    return out


@pytest.mark.skipif(not VECTORS.is_dir(), reason="no vectors of real hardware here")
def test_the_session_is_real(tmp_path: Path) -> None:
    (tmp_path / "collateral").mkdir()
    shutil.copy(VECTORS / "quotes" / "tdx4-gcp-cos113.bin", tmp_path / "quote.bin")
    for name, source in COLLATERAL.items():
        shutil.copy(VECTORS / "collateral" / source, tmp_path / "collateral" / name)
    bin_folder = Path(sys.executable).parent
    environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    commands = session()
    assert len(commands) > 15
    for command, shown in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert (done.stdout + done.stderr).strip() == shown.strip(), command


def test_the_page_names_what_there_is() -> None:
    for name in re.findall(r"`(templates/[a-z-]+)`", PAGE):
        assert (ROOT / "policies" / name).is_dir(), name
    from policies.cases_document import EVIDENCE_OPTIONAL, EXPECT_OPTIONAL, EXPECT_REQUIRED, SOURCES

    for key in (*SOURCES, *EVIDENCE_OPTIONAL, *EXPECT_REQUIRED, *EXPECT_OPTIONAL):
        assert re.search(rf"`{key}\b", PAGE), key
