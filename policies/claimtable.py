"""The claim table as authors need it: type, unit, source, how a value is written here and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.operators import for_type
from policies.vocabulary import Vocabulary, kinds_of
from verifiers.claimtypes import ClaimSpec, ClaimType

# How a constant is written in a document, and how the claim stands in JSON (`verify --json`, EAR).
_WRITTEN: Mapping[ClaimType, tuple[str, str]] = MappingProxyType(
    {
        ClaimType.DIGEST: ("hex; sha384:, sha256: or sha512: and hex; base64:; zero", "lower-case hex"),
        ClaimType.BYTES: ("hex; hex: and hex; base64:; zero", "lower-case hex"),
        ClaimType.FLAG: ("true or false", "true or false"),
        ClaimType.INTEGER: ("decimal, 0 to 2^64-1", "number"),
        ClaimType.MASK: ("0x… or decimal", "text, 0x…"),
        ClaimType.TEXT: ("text, exactly as spelled", "text"),
        ClaimType.VERSION: ("2 to 4 numbers and dots: 1.55.29", "text, 1.55.29"),
        ClaimType.LIST: ("list of numbers, `any` where there is no bound", "array of numbers"),
        ClaimType.TCB: (
            "{bootloader: N, tee: N, snp: N, microcode: N}, fmc where the product has one; any for no floor",
            "object: bl, tee, snp, ucode, and fmc where the product has one",
        ),
        ClaimType.TIME: ("RFC 3339 with a zone: 2026-07-01T00:00:00Z", "RFC 3339 text, UTC"),
        ClaimType.DURATION: ("7d, 12h, 30m or 90s", "number of seconds"),
        ClaimType.SET: ("list of tokens", "sorted array of texts"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim. kinds: the evidence that can carry it. written, in_json: its encodings; in_json is None when
    results do not carry it among the claims. values: the closed list of words, or (). provenance: whose word
    it is (`claimtypes.Provenance`)."""

    name: str
    type: str
    length: int | None
    unit: str
    kinds: tuple[str, ...]
    operators: tuple[str, ...]
    written: str
    json: str | None
    in_json: str | None
    values: tuple[str, ...]
    pattern: str
    provenance: str
    trustee: str | None
    trust_authority: str | None
    doc: str
    source: str

    @property
    def size(self) -> str:
        """Type and length, or unit, in a few words: "digest, 48 bytes"."""
        if self.length is not None:
            return f"{self.type}, {self.length} bytes"
        return f"{self.type}, {self.unit}" if self.unit else self.type


def rows(claims: Mapping[str, ClaimSpec]) -> Iterator[Row]:
    """Every claim that a document may name, those of this language included, in the order of the table.

    claims: the published table (`verifiers.claims.BY_NAME`).
    """
    specs = Vocabulary.of(claims).specs
    for name in (*claims, *(name for name in specs if name not in claims)):
        spec = specs[name]
        written, in_json = _WRITTEN[spec.type]
        yield Row(
            name=name,
            type=spec.type.value,
            length=spec.length,
            unit=spec.unit,
            kinds=tuple(sorted(kind.value for kind in kinds_of(name))),
            operators=for_type(spec.type),
            written=written,
            json=spec.json,
            in_json=None if spec.json is None else in_json,
            values=spec.values,
            pattern=spec.pattern,
            provenance=spec.provenance.value,
            trustee=spec.trustee,
            trust_authority=spec.trust_authority,
            doc=spec.doc,
            source=spec.source,
        )


def describe(row: Row) -> str:
    """One paragraph, for an editor that completes the name."""
    parts = [f"{row.doc[:1].upper()}{row.doc[1:]}. Type: {row.size}. Written: {row.written}."]
    if row.in_json is not None:
        parts.append(f"In JSON: {row.json}, {row.in_json}.")
    parts.append(f"Evidence: {', '.join(row.kinds)}. Source: {row.source}.")
    names = [
        f"{who} calls it {name}"
        for who, name in (("Trustee", row.trustee), ("Trust Authority", row.trust_authority))
        if name
    ]
    if names:
        parts.append(f"{'; '.join(names)}.")
    return " ".join(parts)
