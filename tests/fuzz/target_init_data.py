"""Any bytes are an init-data document or an annotation with one, or refused by one of our errors."""

from __future__ import annotations

import base64
import gzip

from policies.foundry import initdata
from tests.fuzz.common import only_our_errors

DOCUMENT = b'version = "0.1.0"\nalgorithm = "sha384"\n[data]\n"aa.toml" = "x"\n'


def seeds() -> list[bytes]:
    return [DOCUMENT, base64.b64encode(gzip.compress(DOCUMENT, mtime=0))]


def target(data: bytes) -> None:
    only_our_errors(initdata.read, data)
    only_our_errors(lambda raw: initdata.from_annotation(raw.decode("latin-1")), data)
