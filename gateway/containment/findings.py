"""The second question to a reader: everything that is wrong with evidence that nobody vouches for.

    question  "explain" │ evidence as JSON │ settings │ certificate … │ CRL … │ TCB info … │ QE identity …
    answer    "found" │ a Verification as JSON

What must stay true: an answer is text. `appraiser` takes it only for evidence that it refuses already, and
only when it is a refusal itself; claims in it are never evaluated, because nothing in it is authentic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from gateway.containment import texts
from gateway.containment.errors import ReplyError
from gateway.containment.packing import FOUND
from verifiers import verdict
from verifiers.codec import strictjson
from verifiers.model import (
    AnchorSet,
    Binding,
    ClaimValue,
    Endorsements,
    EvidenceSummary,
    ReportData,
    Tcb,
    TcbShort,
    TcbVersion,
    TeeKind,
    Unbound,
    Verification,
)

EXPLAIN = b"explain"
MAX_ANSWER = 1024 * 1024
_MAX_ITEMS = 512
_MAX_SETTINGS = 16 * 1024
_HEX = re.compile(r"(?:[0-9a-f]{2}){0,1024}", re.ASCII)
_TOKEN = re.compile(r"[ -~]{0,256}", re.ASCII)
_COUNTS = ("certificates", "crls", "tcb_infos", "qe_identities")
_MEMBERS = (
    "evidence", "signature_valid", "chain_valid", "simulated", "tcb", "claims", "checks", "used", "missing",
    "expires",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    message: bytes
    endorsements: Endorsements
    binding: Binding
    now: datetime


def ask(question: Question) -> tuple[bytes, ...]:
    """All of it is public: what vendors publish, and what our challenge makes of the report data."""
    given, binding = question.endorsements, question.binding
    bound = isinstance(binding, ReportData)
    settings = {
        "anchors": given.anchors.value,
        "bound": bound,
        "binding": binding.expected.hex() if isinstance(binding, ReportData) else binding.why,
        "now": question.now.isoformat(),
        "counts": [len(getattr(given, name)) for name in _COUNTS],
    }
    pieces = [raw for name in _COUNTS for raw in getattr(given, name)]
    return (EXPLAIN, question.message, texts.compact(settings), *pieces)


def asked(parts: Sequence[bytes]) -> Question:
    """In a reader; what the gateway sends is trusted."""
    settings = strictjson.loads(parts[2], "settings", limit=_MAX_SETTINGS)
    left, sorted_ = list(parts[3:]), []
    for count in settings["counts"]:
        sorted_.append(tuple(left[:count]))
        left = left[count:]
    certificates, crls, tcb_infos, qe_identities = sorted_
    told = settings["binding"]
    return Question(
        message=parts[1],
        endorsements=Endorsements(
            anchors=AnchorSet(settings["anchors"]),
            certificates=certificates,
            crls=crls,
            tcb_infos=tcb_infos,
            qe_identities=qe_identities,
        ),
        binding=ReportData(bytes.fromhex(told)) if settings["bound"] else Unbound(told),
        now=datetime.fromisoformat(settings["now"]),
    )


def answer(found: Verification) -> tuple[bytes, ...]:
    summary = found.evidence
    value = {
        "evidence": [
            summary.kind.value, summary.version, summary.signing_key, summary.digest.hex(), summary.product,
            summary.fmspc,
        ],
        "signature_valid": found.signature_valid,
        "chain_valid": found.chain_valid,
        "simulated": found.simulated,
        "tcb": [
            found.tcb.status,
            list(found.tcb.advisory_ids),
            _iso(found.tcb.date),
            [[short.component, short.has, short.needs, short.raised_by] for short in found.tcb.short],
        ],
        "claims": [[name, *_tagged(claim)] for name, claim in found.claims.items()],
        "checks": [texts.check(each) for each in found.checks],
        "used": [list(pair) for pair in found.used.items()],
        "missing": [texts.need(each) for each in found.missing],
        "expires": _iso(found.expires),
    }  # fmt: skip
    return FOUND, texts.compact(value)


def answered(parts: Sequence[bytes], now: datetime) -> Verification:
    """Raises ReplyError."""
    if len(parts) != 2 or parts[0] != FOUND:
        raise ReplyError("answer", "findings", f"{len(parts)} parts")
    value = texts.members(texts.json(parts[1], MAX_ANSWER), _MEMBERS)
    try:
        expires = _time(value["expires"])
        return verdict.conclude(
            evidence=_summary(value["evidence"]),
            signature_valid=_flag(value["signature_valid"]),
            chain_valid=_flag(value["chain_valid"]),
            simulated=_flag(value["simulated"]),
            tcb=_tcb(value["tcb"]),
            claims=MappingProxyType(dict(_claim(each) for each in _listed(value["claims"]))),
            checks=[texts.read_check(each) for each in _listed(value["checks"])],
            used=dict(_pair(each) for each in _listed(value["used"])),
            missing=[texts.read_need(each) for each in _listed(value["missing"])],
            ends=() if expires is None else (expires,),
            now=now,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ReplyError("findings", "values of their types", type(error).__name__) from None


def _summary(value: object) -> EvidenceSummary:
    kind, version, signing_key, digest, product, fmspc = _listed(value)
    return EvidenceSummary(
        kind=TeeKind(texts.text(kind, "evidence")),
        version=_integer(version),
        signing_key=_word(signing_key),
        digest=_bytes(digest),
        product=None if product is None else _word(product),
        fmspc=None if fmspc is None else _word(fmspc),
    )


def _tcb(value: object) -> Tcb:
    status, advisories, date, short = _listed(value)
    return Tcb(
        status=None if status is None else _word(status),
        advisory_ids=tuple(map(_word, _listed(advisories))),
        date=_time(date),
        short=tuple(_short(each) for each in _listed(short)),
    )


def _short(value: object) -> TcbShort:
    component, has, needs, raised_by = _listed(value)
    return TcbShort(
        component=_word(component),
        has=_integer(has),
        needs=_integer(needs),
        raised_by=texts.text(raised_by, "raised_by"),
    )


def _pair(value: object) -> tuple[str, str]:
    name, said = _listed(value)
    return _word(name), _word(said)


# --- claims --------------------------------------------------------------------------------------------


def _tagged(value: ClaimValue) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int):
        return "number", value
    if isinstance(value, bytes):
        return "bytes", value.hex()
    if isinstance(value, str):
        return "text", value[: texts.MAX_TEXT]
    if isinstance(value, TcbVersion):
        return "tcb", [value.fmc, value.bootloader, value.tee, value.snp, value.microcode]
    if isinstance(value, datetime):
        return "time", value.isoformat()
    if isinstance(value, timedelta):
        return "duration", round(value / timedelta(microseconds=1))
    if isinstance(value, frozenset):
        return "set", sorted(value)
    return "numbers", list(value)


def _tcb_version(value: object) -> TcbVersion:
    fmc, *rest = _listed(value)
    bootloader, tee, snp, microcode = map(_integer, rest)
    return TcbVersion(
        fmc=None if fmc is None else _integer(fmc),
        bootloader=bootloader,
        tee=tee,
        snp=snp,
        microcode=microcode,
    )


def _moment(value: object) -> datetime:
    found = _time(value)
    if found is None:
        raise ValueError("a time")
    return found


_UNTAG: Mapping[str, Callable[[Any], ClaimValue]] = MappingProxyType(
    {
        "flag": lambda value: _flag(value),
        "number": lambda value: _integer(value),
        "bytes": lambda value: _bytes(value),
        "text": lambda value: texts.text(value, "claim"),
        "tcb": _tcb_version,
        "time": _moment,
        "duration": lambda value: timedelta(microseconds=_integer(value)),
        "set": lambda value: frozenset(map(_word, _listed(value))),
        "numbers": lambda value: tuple(map(_integer, _listed(value))),
    }
)


def _claim(value: object) -> tuple[str, ClaimValue]:
    name, tag, said = _listed(value)
    if tag not in _UNTAG:
        raise ReplyError("claim", "a type of claim", repr(tag)[:32])
    return _word(name), _UNTAG[tag](said)


# --- values --------------------------------------------------------------------------------------------


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise ReplyError("findings", f"a list of at most {_MAX_ITEMS}", type(value).__name__)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ReplyError("findings", "true or false", type(value).__name__)
    return value


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) >= 2**64:
        raise ReplyError("findings", "an integer of 64 bits", type(value).__name__)
    return value


def _word(value: object) -> str:
    return texts.text(value, "findings", _TOKEN)


def _bytes(value: object) -> bytes:
    return bytes.fromhex(texts.text(value, "findings", _HEX))


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    found = datetime.fromisoformat(texts.text(value, "findings"))
    if found.utcoffset() != timedelta(0):
        raise ReplyError("findings", "a time in UTC", repr(value)[:40])
    return found


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
