"""Any bytes are a CSV or JSON of reference values or refused by one of our errors."""

from __future__ import annotations

from datetime import UTC, datetime

from policies import tables
from policies.drafts import About
from tests.fuzz.common import only_our_errors
from verifiers.claims import BY_NAME

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ABOUT = About(name="a", version=1, owner="a@b.example", valid_from=NOW, valid_until=NOW.replace(year=2027))


def seeds() -> list[bytes]:
    text = f'id,snp.measurement,note\na,{"ab" * 48},"x ""y"""\n'.encode()
    found = tables.from_csv(text, "seed", ABOUT, BY_NAME)
    return [text, tables.to_json(found, BY_NAME), b'[{"id": "a", "snp.policy": "0x30000"}]']


def target(data: bytes) -> None:
    only_our_errors(lambda raw: tables.from_csv(raw, "fuzz", ABOUT, BY_NAME), data)
    only_our_errors(lambda raw: tables.from_json(raw, "fuzz", ABOUT, BY_NAME), data)
