"""Any bytes are a kernel with a digest as it is started, or refused by one of our errors."""

from __future__ import annotations

from policies.foundry import linuxkernel, rtmr
from tests import kernels
from tests.fuzz.common import only_our_errors


def seeds() -> list[bytes]:
    return [kernels.kernel(), kernels.kernel(certificates=b"c" * 64), kernels.kernel(xloadflags=2)]


def target(data: bytes) -> None:
    only_our_errors(linuxkernel.authenticode, data)
    only_our_errors(lambda raw: rtmr.predicted_rtmr1(raw, 4096, 1 << 30), data)
