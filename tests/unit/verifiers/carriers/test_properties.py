"""Whatever comes in, `open_evidence` gives evidence or our own error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.verifiers.carriers import samples
from verifiers.carriers import TYPES, Opened, open_evidence
from verifiers.collateral import classify
from verifiers.errors import AttestationError, EvidenceFormatError

EVERYTHING = [raw for raw, _ in samples.everything().values()]
FORCED = st.none() | st.sampled_from(TYPES)


def opens(raw: bytes, forced: str | None = None) -> None:
    try:
        assert isinstance(open_evidence(raw, forced=forced), Opened)
    except EvidenceFormatError as error:
        assert error.reason and error.where and error.expected and error.found
        assert "\n" not in str(error)


@given(st.binary(max_size=3000), FORCED)
def test_any_bytes(raw: bytes, forced: str | None) -> None:
    opens(raw, forced)


@settings(max_examples=300)
@given(st.data())
def test_damaged_evidence(data: Any) -> None:
    raw = bytearray(data.draw(st.sampled_from(EVERYTHING)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "repeat"])):
            case "set":
                raw[at] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 64))]
            case "insert":
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=16))
            case "repeat":
                raw[at:at] = raw[at : at + 64]
        if not raw:
            break
    opens(bytes(raw), data.draw(FORCED))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["type", "report", "quote", "outblob", "auxblob", "provider", "attestation_report", "cert_chain",
     "version",
     "hcl_report", "td_quote", "tpm_quote", "vcek", "cc_eventlog", "certificates", "primary_evidence",
     "additional_evidence", "tee-evidence", "__cmwc_t", "svn", "report_data"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.dictionaries(MEMBERS, JSON, max_size=6))
def test_any_json_with_members_that_mean_something(obj: dict[str, object]) -> None:
    opens(json.dumps(obj).encode())


@settings(max_examples=200)
@given(st.data())
def test_good_json_with_one_member_replaced(data: Any) -> None:
    obj = json.loads(data.draw(st.sampled_from([raw for raw in EVERYTHING if raw[:1] in b"{["])))
    place = obj
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(JSON)
            break
        place = place[key]
    opens(json.dumps(obj).encode())


@given(st.binary(max_size=2000))
def test_any_collateral(raw: bytes) -> None:
    try:
        classify(raw, "file")
    except AttestationError as error:
        assert error.where.startswith("file")
