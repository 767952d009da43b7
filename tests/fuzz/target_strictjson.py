"""Any bytes are JSON with one reading, the standard parser's, or are refused by one of our errors."""

from __future__ import annotations

import json

from tests.fuzz.common import only_our_errors
from verifiers.codec import strictjson


def seeds() -> list[bytes]:
    return [b'{"a":[1,2.5,"x",null,true],"b":{"c":"\\u00e9"}}', b'{"a":1,"a":2}', b"[[[[]]]]", b"NaN"]


def target(data: bytes) -> None:
    value = only_our_errors(lambda raw: strictjson.loads(raw, "fuzz", limit=20_000), data)
    if value is not None:
        assert json.loads(data) == value
