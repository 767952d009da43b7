"""Any bytes are an IGVM file with a launch digest, or refused by one of our errors."""

from __future__ import annotations

from policies.foundry import igvm, igvmfile
from policies.foundry.igvm import Loader
from tests import igvmfiles
from tests.fuzz.common import only_our_errors


def seeds() -> list[bytes]:
    small = [item for item in igvmfiles.guest() if not item.data or item.kind == igvmfiles.VP_CONTEXT]
    return [igvmfiles.build(small), igvmfiles.build([*small[:-1], igvmfiles.id_block(bytes(48)), small[-1]])]


def both(raw: bytes) -> None:
    image = only_our_errors(igvmfile.parse, raw)
    if isinstance(image, igvmfile.SnpImage):
        for loader in (None, *Loader):
            only_our_errors(lambda _, by=loader: igvm.measure(image, by, range(1, 2)), raw)


def target(data: bytes) -> None:
    both(data)
    if len(data) >= 24:  # length and checksum put right: what else is wrong must be found too
        both(igvmfiles.sealed(data[:16] + len(data).to_bytes(4, "little") + data[20:]))
