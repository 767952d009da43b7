"""The edges of HTTP: body limits, problems, metrics, the routes table and its description."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gateway.errors import ABOUT, GatewayError, GatewayReason
from gateway.http import answer, body, openapi, problem
from gateway.http.body import ARRIVED, Arrived
from gateway.http.metrics import MAX_SERIES, Metrics
from gateway.http.routes import ROUTES
from gateway.http.schemas import SCHEMAS
from gateway.ports import LedgerUnavailable
from gateway.refusal import Denied, PathRefusal, Why
from verifiers.errors import EvidenceFormatError
from verifiers.model import Verdict

# --- bodies --------------------------------------------------------------------------------------------


class Counting(io.BytesIO):
    """Counts what was taken from it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


def environ(stream: Any, length: object = None, *, chunked: bool = False) -> dict[str, Any]:
    out: dict[str, Any] = {"wsgi.input": stream}
    if length is not None:
        out["CONTENT_LENGTH"] = str(length)
    if chunked:
        out["HTTP_TRANSFER_ENCODING"] = "chunked"
    return out


@pytest.mark.parametrize(("size", "accepted"), [(9, True), (10, True), (11, False)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_holds_declared_or_not(size: int, accepted: bool, chunked: bool) -> None:
    given = environ(Counting(b"x" * size), None if chunked else size, chunked=chunked)
    if accepted:
        assert body.read(given, 10) == b"x" * size
    else:
        with pytest.raises(GatewayError) as caught:
            body.read(given, 10)
        assert caught.value.reason == "request.too-large"


def test_nothing_is_read_of_a_body_that_is_declared_too_large() -> None:
    stream = Counting(b"x" * 100)
    with pytest.raises(GatewayError):
        body.read(environ(stream, 100_000_000), 10)
    assert stream.taken == 0


def test_an_endless_body_is_read_up_to_the_limit() -> None:
    stream = Counting(b"x" * 1_000_000)
    with pytest.raises(GatewayError):
        body.read(environ(stream, chunked=True), 1000)
    assert stream.taken == 1001


@pytest.mark.parametrize("length", ["-1", "1e3", "+5", "0x10", " 5", "٣", "1" * 19])
def test_a_length_is_decimal(length: str) -> None:
    with pytest.raises(GatewayError) as caught:
        body.read(environ(Counting(b""), length), 10)
    assert caught.value.reason == "request.malformed"


def test_a_truncated_body_is_malformed() -> None:
    with pytest.raises(GatewayError) as caught:
        body.read(environ(Counting(b"abc"), 5), 10)
    assert caught.value.reason == "request.malformed"
    assert caught.value.found == "3 bytes"


def test_no_body_is_empty() -> None:
    assert body.read(environ(Counting(b"ignored")), 10) == b""
    assert body.read(environ(Counting(b"ignored"), 0), 10) == b""


@pytest.mark.parametrize(
    ("arrived", "reason"),
    [
        pytest.param(Arrived(b"abc", 5, late=True), "request.malformed", id="late"),
        pytest.param(Arrived(b"abcde", broken=True), "request.malformed", id="broken"),
        pytest.param(Arrived(b"abcde", crowded=True), "request.rate-limited", id="crowded"),
        pytest.param(Arrived(b"abcdefghijk", late=True), "request.too-large", id="too large already"),
        pytest.param(Arrived(b"abc"), "request.malformed", id="short"),
    ],
)
def test_what_went_wrong_on_the_way_is_said(arrived: Arrived, reason: str) -> None:
    with pytest.raises(GatewayError) as caught:
        body.read({**environ(Counting(b"never read"), 5), ARRIVED: arrived}, 10)
    assert caught.value.reason == reason


def test_what_arrived_is_the_body() -> None:
    assert body.read({**environ(Counting(b"never read"), 5), ARRIVED: Arrived(b"abcde")}, 10) == b"abcde"


def test_of_a_query_the_first_value_counts() -> None:
    assert answer._query({"QUERY_STRING": "a=1&a=2&b=&c=%20x&d=%ff"}) == {
        "a": "1",
        "b": "",
        "c": " x",
        "d": "\ufffd",
    }
    assert answer._query({}) == {}


# --- problems ------------------------------------------------------------------------------------------


def told(error: BaseException) -> dict[str, Any]:
    found = problem.of(error).reply()
    assert found.media_type == "application/problem+json"
    value: dict[str, Any] = json.loads(found.body)
    assert value["status"] == found.status
    return value


@pytest.mark.parametrize("reason", list(GatewayReason))
def test_every_reason_of_ours_becomes_its_status(reason: GatewayReason) -> None:
    value = told(GatewayError(reason, "what to say", where="w", expected="top", found="hunter2"))
    assert (value["status"], value["reason"]) == (ABOUT[reason].status, str(reason))
    assert "hunter2" not in json.dumps(value)
    assert ("detail" in value) == (ABOUT[reason].status < 500)


def test_a_bug_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    value = told(ValueError("the key is hunter2"))
    assert (value["status"], value["reason"]) == (500, "internal.error")
    assert "hunter2" not in json.dumps(value)
    assert caplog.records


def test_an_unavailable_ledger_is_said_so() -> None:
    value = told(LedgerUnavailable("disk full"))
    assert (value["status"], value["reason"]) == (503, "ledger.unavailable")
    assert "disk" not in json.dumps(value)


def test_what_a_peer_sent_cannot_write_control_codes() -> None:
    error = EvidenceFormatError(
        "evidence.bad-value", "evidence\x1b[2J", expected="a", found="\x1b]0;x\x07\u202e"
    )
    value = told(error)
    assert value["status"] == 400
    assert value["detail"].isprintable() and value["where"].isprintable()


def test_a_refusal_tells_reason_place_and_attempt() -> None:
    why = Why(reason="snp.debug-off", where="snp.debug-off", verdict=Verdict.REFUSED)
    value = told(Denied(why, attempt="A7Q2", refusals=(PathRefusal("a/b", why),)))
    assert value["status"] == 403
    assert value["refusals"] == [{"path": "a/b", "reason": "snp.debug-off", "where": "snp.debug-off"}]
    assert (value["verdict"], value["attempt"]) == ("refused", "A7Q2")


# --- metrics -------------------------------------------------------------------------------------------


def test_counters_are_written_in_the_text_format() -> None:
    metrics = Metrics()
    metrics.count("sealgate_decisions_total", outcome="refused", reason='a"b\\c\nd')
    metrics.count("sealgate_decisions_total", outcome="refused", reason='a"b\\c\nd')
    text = metrics.text({"sealgate_development_mode": 1.0})
    assert 'outcome="refused",reason="a\\"b\\\\c\\nd",worker="' in text
    assert text.count("\n") == len(text.splitlines())
    assert "} 2\n" in text
    assert "sealgate_development_mode{" in text


def test_peers_cannot_grow_the_series() -> None:
    metrics = Metrics()
    for number in range(MAX_SERIES + 50):
        metrics.count("sealgate_decisions_total", outcome="refused", reason=f"r{number}")
    lines = [line for line in metrics.text({}).splitlines() if line.startswith("sealgate_decisions_total{")]
    assert len(lines) == MAX_SERIES + 1
    assert next(line for line in lines if 'reason="other"' in line).endswith(" 50")


def test_an_unknown_counter_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Metrics().count("sealgate_other_total")


# --- routes --------------------------------------------------------------------------------------------


def test_everything_under_admin_needs_an_administrator_and_nothing_else_does() -> None:
    for route in ROUTES:
        assert (not route.access.open) == route.path.startswith("/v1/admin/"), route.path


def test_a_body_has_a_limit_and_media_types() -> None:
    for route in ROUTES:
        sends = route.method in ("POST", "PUT")
        assert bool(route.body) == bool(route.accepts) == sends, route.path
        assert route.body <= 4 * 1024 * 1024


def test_no_route_is_there_twice() -> None:
    names = [(route.method, route.path) for route in ROUTES]
    assert len(names) == len(set(names))


def test_the_description_has_every_route_and_no_dangling_reference() -> None:
    raw = openapi.describe(ROUTES, issuer="https://g.example")
    document = json.loads(raw)
    for route in ROUTES:
        for path in openapi.paths_of(route):
            shown = path.replace("<path:path>", "{path}").replace("<", "{").replace(">", "}")
            assert route.method.lower() in document["paths"][shown]
    for part in raw.decode().split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in SCHEMAS
    protected = document["paths"]["/v1/admin/secrets"]["get"]
    assert protected["security"] == [{"administrator": ["auditor", "operator", "owner", "secret-owner"]}]
    assert (protected["x-sealgate-roles"], protected["x-sealgate-scope"]) == (
        ["auditor", "operator", "owner", "secret-owner"], "tenant",
    )  # fmt: skip


def test_requests_and_replies_name_the_ear() -> None:
    for name in ("Release", "AttestReply", "VerifyReply"):
        assert "ear" in SCHEMAS[name]["required"] and "ear" in SCHEMAS[name]["properties"], name
