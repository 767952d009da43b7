"""Any bytes are TDX firmware with sections that a TD can have, or refused by one of our errors."""

from __future__ import annotations

from policies.foundry import tdvf
from tests import firmware as fw
from tests.fuzz.common import only_our_errors


def seeds() -> list[bytes]:
    return [fw.tdvf(), fw.tdvf([(0, 100, 0x1000, 4096, 0, 1)], size=4096)]


def target(data: bytes) -> None:
    raw = data.rjust(-(-len(data) // 4096) * 4096, b"\0")
    found = only_our_errors(tdvf.parse, raw)
    if isinstance(found, tuple) and sum(section.memory_size for section in found) < 1 << 20:
        assert len(tdvf.mr_td(found, tdvf.PageOrder.TWO_PASS)) == 48
