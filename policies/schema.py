"""JSON Schemas (draft 7) of the documents, for editors: generated from the same tables that the readers use.

An editor that knows the schema completes keys and claim names, shows what a claim is, and marks most mistakes
while they are typed. It is a help and no judge: what it cannot express (does a set exist? does a rule leave
something open?) `sealgate policy check` says. `policies/schema/*.json` is what this module makes; a test
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from policies import baseline_document, cases_document, reference_document, release_document
from policies.claimtable import Row, describe, rows
from policies.model import Profile, Requirement
from policies.operators import OPERATORS, Form
from policies.scalars import DIGEST_SIZES
from policies.values import TCB_COMPONENTS
from policies.vocabulary import ADMISSIBLE, INIT_DATA, INIT_DATA_SIZES, Role
from verifiers.claimtypes import ClaimSpec, ClaimType
from verifiers.model import TeeKind, Verdict

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_WORD: Schema = {"type": ["string", "number"]}
"""What may look like a number to YAML, and is text here: hex digits, versions."""
_ID: Schema = {"type": "string", "pattern": "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"}
_TIME: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})$",
    "description": "RFC 3339 with a zone: 2026-07-01T00:00:00Z",
}
_DURATION: Schema = {
    "type": "string",
    "pattern": "^(0|[1-9][0-9]{0,8})[dhms]$",
    "description": "7d, 12h, 30m or 90s",
}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_PERSON: Schema = {"type": "string", "description": "one address, such as asha@acme.example"}
_SECRET: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._*-]{1,64}(/[A-Za-z0-9._*-]{1,64}){0,7}$"}
_BYTE: Schema = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"const": "any"}]}


def schemas(claims: Mapping[str, ClaimSpec]) -> Mapping[str, Schema]:
    """Name ("release-policy") to schema. claims: the published table (`verifiers.claims.BY_NAME`)."""
    table = {row.name: row for row in rows(claims)}
    made: Mapping[str, Callable[[Mapping[str, Row]], Schema]] = {
        baseline_document.KIND: _baseline,
        reference_document.KIND: _references,
        release_document.KIND: _release,
        cases_document.KIND: _cases,
    }
    out = {}
    for kind, build in made.items():
        name = kind.partition("/")[0]
        head: Schema = {"$schema": DRAFT, "title": f"sealgate {kind}"}
        body = build(table)
        body["properties"]["sealgate"] = {"const": kind}
        conditions = {} if kind == reference_document.KIND else _condition(table)
        out[name] = head | body | {"definitions": conditions | _constants(table)}
    return MappingProxyType(out)


# --- parts -----------------------------------------------------------------------------------------


def _object(
    properties: Mapping[str, Schema], required: Sequence[str] = (), *, exactly_one: bool = False
) -> Schema:
    out: Schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    if required:
        out["required"] = list(required)
    if exactly_one:
        out |= {"minProperties": 1, "maxProperties": 1}
    return out


def _of(keys: Sequence[str], known: Mapping[str, Schema]) -> dict[str, Schema]:
    """The schema of every key that a reader knows. A KeyError: somebody forgot to describe a key."""
    return {key: known[key] for key in keys}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


_ANY_CONDITION = {"anyOf": [_ref("condition"), _list(_ref("condition"))]}


def _condition(table: Mapping[str, Row]) -> dict[str, Schema]:
    """`definitions`: one condition, with every claim and role as a key."""
    properties: dict[str, Schema] = {
        "all": {"description": "true when each of these is"} | _list(_ref("condition")),
        "any": {"description": "true when one of these is"} | _list(_ref("condition")),
        "not": {"description": "true when this is false", "allOf": [_ref("condition")]},
    }
    for role in Role:
        about = OPERATORS["in_set"].meaning
        properties[role.value] = {"description": about} | _object({"in_set": _ID}, exactly_one=True)
    for row in table.values():
        operators = {}
        for name in row.operators:
            constant = {"description": OPERATORS[name].meaning, "allOf": [_ref(_constant(row, name))]}
            operators[name] = constant
        properties[row.name] = {"description": describe(row)} | _object(operators, exactly_one=True)
    return {"condition": _object(properties, exactly_one=True)}


def _constant(row: Row, operator: str) -> str:
    """Name of the definition of what stands behind `operator`."""
    many = OPERATORS[operator].form is Form.LIST or (row.type == ClaimType.SET and operator == "equals")
    if row.type == ClaimType.MASK and operator in {"subset_of", "includes"}:
        many = False
    return _single(row) + ("-list" if many else "")


def _single(row: Row) -> str:
    if row.name == INIT_DATA:
        return "init-data"
    if row.values or row.pattern:
        return f"words-{row.name}"
    return row.type if row.length is None else f"{row.type}-{row.length}"


def _constants(table: Mapping[str, Row]) -> dict[str, Schema]:
    """`definitions`: every form that a constant can have, and a list of each."""
    out: dict[str, Schema] = {}
    for row in table.values():
        one = _value(row)
        out[_single(row)] = one
        out[f"{_single(row)}-list"] = _list(one)
    return dict(sorted(out.items()))


def _value(row: Row) -> Schema:
    if row.name == INIT_DATA:
        return _octets(INIT_DATA_SIZES, digest=True)
    if row.values:
        return {"enum": list(row.values)}
    if row.pattern:
        return _WORD | {"pattern": f"^(?:{row.pattern})$"}
    simple: Mapping[ClaimType, Schema] = {
        ClaimType.FLAG: {"type": "boolean"},
        ClaimType.INTEGER: {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1},
        ClaimType.MASK: {"anyOf": [{"type": "integer", "minimum": 0}, {"pattern": "^0x[0-9a-fA-F]{1,16}$"}]},
        ClaimType.TEXT: _WORD,
        ClaimType.VERSION: _WORD | {"pattern": r"^\d+(\.\d+){1,3}$"},
        ClaimType.LIST: _list(_BYTE),
        ClaimType.TCB: _object(dict.fromkeys(TCB_COMPONENTS, _BYTE), TCB_COMPONENTS[1:]),
        ClaimType.TIME: _TIME,
        ClaimType.DURATION: _DURATION,
        ClaimType.SET: {"type": "string"},
    }
    kind = ClaimType(row.type)
    if kind in simple:
        return simple[kind]
    sizes = (row.length,) if row.length is not None else ()
    return _octets(sizes, digest=kind is ClaimType.DIGEST)


def _octets(sizes: Sequence[int], *, digest: bool) -> Schema:
    """Hex with or without prefix, base64: with one, or zero; bare digits alone may be a number to YAML."""
    digits = "|".join(f"[0-9a-fA-F]{{{2 * size}}}" for size in sizes) or "(?:[0-9a-fA-F]{2})+"
    forms = ["base64:[A-Za-z0-9+/]+={0,2}", f"(?:hex:)?(?:{digits})"]
    forms += ["zero"] if sizes else []
    if digest:
        fitting = [name for name, size in DIGEST_SIZES.items() if size in sizes or not sizes]
        forms += [f"{name}:[0-9a-fA-F]{{{2 * DIGEST_SIZES[name]}}}" for name in fitting]
    return _WORD | {"pattern": f"^(?:{'|'.join(forms)})$"}


# --- documents -------------------------------------------------------------------------------------


def _baseline(table: Mapping[str, Row]) -> Schema:
    reason = {"anyOf": [_TEXT, _object(dict.fromkeys(baseline_document.BECAUSE, _TEXT))]}
    known: Mapping[str, Schema] = {
        "id": _ID,
        "waivable": {"anyOf": [{"const": "never"}, _object({"up_to": _DURATION}, ("up_to",))]},
        "when": _ANY_CONDITION | {"description": "the machines that this is about; all when left out"},
        "require": _ANY_CONDITION | {"description": "what must be true of them"},
        "because": {"anyOf": [reason, _list(reason)]},
        "fix": _TEXT | {"description": "what would make a machine pass"},
        "asks": {"enum": [requirement.value for requirement in Requirement]},
        "floor": {"enum": [True, "none"], "description": "a TCB floor, or openly none"},
    }
    keys = (*baseline_document.RULE_REQUIRED, *baseline_document.RULE_OPTIONAL)
    rule = _object(_of(keys, known), baseline_document.RULE_REQUIRED)
    top: Mapping[str, Schema] = {
        "sealgate": {},
        "name": _ID,
        "version": _POSITIVE,
        "issued": _TIME,
        "review_by": _TIME | {"description": "later, tools warn; verdicts do not change by themselves"},
        "applies_to": _ref("condition"),
        "admits": _list({"enum": list(ADMISSIBLE)})
        | {"description": "what is refused otherwise, let through"},
        "rules": _list(rule),
    }
    keys = (*baseline_document.REQUIRED, *baseline_document.OPTIONAL)
    return _object(_of(keys, top), baseline_document.REQUIRED)


def _references(table: Mapping[str, Row]) -> Schema:
    specs = [row for row in table.values() if row.length is not None or row.type not in _NOT_IN_ENTRIES]
    stated = {
        row.name: {"description": describe(row), "allOf": [_ref(_single(row))]}
        for row in specs
        if len(row.kinds) < len(TeeKind)
    }
    entry = _of(
        reference_document.ENTRY,
        {
            "id": _ID,
            "origin": {"enum": list(reference_document.ORIGINS)},
            "note": _TEXT,
            "from_file": _TEXT,
        },
    )
    gone = _of(
        reference_document.REVOKED,
        {"entry": {"type": "string"}, "since": _TIME, "reason": _TEXT},
    )
    top: Mapping[str, Schema] = {
        "sealgate": {},
        "name": _ID,
        "version": _POSITIVE,
        "owner": _TEXT,
        "valid": _object(dict.fromkeys(reference_document.VALID, _TIME), reference_document.VALID),
        "entries": _list(_object({**entry, **stated}, ("id",))),
        "provenance": {"type": "object", "additionalProperties": _WORD},
        "revoked": _list(_object({**gone, **stated}, reference_document.REVOKED)),
    }
    keys = (*reference_document.REQUIRED, *reference_document.OPTIONAL)
    return _object(_of(keys, top), reference_document.REQUIRED)


_NOT_IN_ENTRIES = frozenset(
    {ClaimType.LIST, ClaimType.TCB, ClaimType.TIME, ClaimType.DURATION, ClaimType.SET}
)


def _release(table: Mapping[str, Row]) -> Schema:
    d = release_document
    versions = {"type": "object", "additionalProperties": _POSITIVE}
    lease: Mapping[str, Schema] = {
        "lasts": _DURATION,
        "renew_every": _DURATION,
        "on_change": {"const": "re-evaluate"},
        "holders": _object({"at_most": _POSITIVE}, ("at_most",)),
    }
    allow: Mapping[str, Schema] = {
        "id": _ID,
        "when": _ANY_CONDITION,
        "require": _ANY_CONDITION,
        "profiles": _list({"enum": [profile.value for profile in Profile]}),
    }
    deny: Mapping[str, Schema] = {"id": _ID, "when": _ANY_CONDITION, "because": _TEXT}
    risk: Mapping[str, Schema] = {
        "id": _ID,
        "finding": _ID | {"description": "one baseline rule, or minimum.…"},
        "only_in": _ID | {"description": "one allow rule"},
        "only_when": _ANY_CONDITION,
        "reason": _TEXT,
        "ticket": _TEXT,
        "owner": _PERSON,
        "approved_by": _list(_PERSON),
        "from": _TIME,
        "expires": _TIME | {"description": "the first instant at which it no longer holds"},
    }
    top: Mapping[str, Schema] = {
        "sealgate": {},
        "name": _ID,
        "version": _POSITIVE,
        "tenant": _ID,
        "owner": _TEXT,
        "secrets": _list(_SECRET),
        "uses": _object(dict.fromkeys(d.USES, versions), d.USES[:1]),
        "lease": _object(_of((*d.LEASE_REQUIRED, *d.LEASE_OPTIONAL), lease), d.LEASE_REQUIRED),
        "allow": _list(_object(_of((*d.ALLOW_REQUIRED, *d.ALLOW_OPTIONAL), allow), d.ALLOW_REQUIRED)),
        "deny": _list(_object(_of((*d.DENY_REQUIRED, *d.DENY_OPTIONAL), deny), d.DENY_REQUIRED)),
        "accept_risk": _list(_object(_of((*d.RISK_REQUIRED, *d.RISK_OPTIONAL), risk), d.RISK_REQUIRED)),
    }
    return _object(_of((*d.REQUIRED, *d.OPTIONAL), top), d.REQUIRED)


def _cases(table: Mapping[str, Row]) -> Schema:
    d = cases_document
    claims = {
        row.name: {"description": describe(row), "allOf": [_ref(_constant(row, "equals"))]}
        if "equals" in row.operators
        else {"description": describe(row), "allOf": [_ref(_single(row))]}
        for row in table.values()
    }
    path: Schema = {"type": "string"}
    names = _list(_TEXT)
    evidence: Mapping[str, Schema] = {
        "simulate": {"enum": [kind.value for kind in TeeKind]},
        "file": path,
        "like": _TEXT | {"description": "the evidence of another case"},
        "claims": {"enum": [kind.value for kind in TeeKind]},
        "product": _TEXT,
        "signing_key": {"enum": ["VCEK", "VLEK"]},
        "level": _TEXT,
        "format": {"type": "integer"},
        "set": {"type": "object", "additionalProperties": _WORD},
        "collateral": _list(path),
        "entries": _list(path) | {"description": "SET/ENTRY of the policy's reference values"},
        "but": _object(claims),
        "without": _list({"enum": list(table)}),
        "assume": _list({"enum": list(d.ASSUMPTIONS)}),
    }
    expect: Mapping[str, Schema] = {
        "verdict": {"enum": [verdict.value for verdict in Verdict if verdict is not Verdict.MALFORMED]},
        "reason": _TEXT | {"description": "the first reason, exactly"},
        "reasons": names | {"description": "each is the code or id of a check that stands in the way"},
        "rule": _ID,
        "waived": {"type": "array", "items": _ID},
        "lease": _DURATION,
        "unchecked": {"type": "array", "items": _ID},
        "releases": _list(path),
        "withholds": _list(path),
    }
    case: Mapping[str, Schema] = {
        "name": _TEXT,
        "evidence": _object(_of((*d.SOURCES, *d.EVIDENCE_OPTIONAL), evidence)),
        "expect": _object(_of((*d.EXPECT_REQUIRED, *d.EXPECT_OPTIONAL), expect), d.EXPECT_REQUIRED),
        "at": _TIME,
        "profile": {"enum": [profile.value for profile in Profile]},
    }
    top: Mapping[str, Schema] = {
        "sealgate": {},
        "policy": path,
        "documents": _list(path),
        "at": _TIME,
        "cases": _list(_object(_of((*d.CASE_REQUIRED, *d.CASE_OPTIONAL), case), d.CASE_REQUIRED)),
    }
    return _object(_of((*d.REQUIRED, *d.OPTIONAL), top), d.REQUIRED)


__all__ = ["schemas"]
