"""Which sets a scrape names: those that end first, a bounded number, read again only after a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway.expiry import MAX_SETS, Endings
from gateway.http.metrics import Gauge, Metrics
from gateway.policybook import Sources
from gateway.ports import StoredDocument

START = datetime(2026, 6, 1, tzinfo=UTC)


def stored(number: int, days: int, text: str | None = None) -> StoredDocument:
    until = (START + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = text or (
        f"sealgate: reference-values/1\nname: set-{number}\nversion: 1\nowner: a@acme.example\n"
        f"valid: {{from: 2026-06-01T00:00:00Z, until: {until}}}\n"
        f"entries:\n  - id: a\n    snp.measurement: {'ab' * 48}\n"
    )
    return StoredDocument(
        tenant="acme",
        kind="reference",
        name=f"set-{number}",
        version=1,
        digest="",
        source=source.encode(),
        activated=START,
    )


class Store:
    """The part of `DocumentStore` that is asked."""

    def __init__(self, rows: Sequence[StoredDocument]) -> None:
        self.rows, self.number, self.asked = rows, 1, 0

    def epoch(self) -> int:
        return self.number

    def everything(self) -> tuple[int, Sequence[StoredDocument]]:
        self.asked += 1
        return self.number, self.rows


def first(endings: Endings, store: Store) -> list[str]:
    return [each.name for each in endings.first(store, Sources())]  # type: ignore[arg-type]


def test_the_first_to_end_are_named_and_no_more_than_the_limit() -> None:
    store = Store([stored(n, 200 - n) for n in range(MAX_SETS + 2)])
    found = first(Endings(), store)
    assert len(found) == MAX_SETS
    assert found[0] == f"set-{MAX_SETS + 1}" and "set-0" not in found


def test_a_set_that_cannot_be_read_hides_no_other() -> None:
    assert first(Endings(), Store([stored(1, 10, "nonsense: ["), stored(2, 20)])) == ["set-2"]


def test_documents_are_read_again_only_after_a_change() -> None:
    store, endings = Store([stored(1, 10)]), Endings()
    assert first(endings, store) == first(endings, store) == ["set-1"] and store.asked == 1
    store.rows, store.number = [stored(2, 10)], 2
    assert first(endings, store) == ["set-2"]


def test_a_gauge_with_labels() -> None:
    series = [((("tenant", "a"), ("set", 'x"y')), -5.0)]
    text = Metrics().text({}, [Gauge("sealgate_reference_expires_seconds", "Seconds.", series)])
    assert "# TYPE sealgate_reference_expires_seconds gauge\n" in text
    assert 'sealgate_reference_expires_seconds{tenant="a",set="x\\"y",worker="' in text and "} -5\n" in text
