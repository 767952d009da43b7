"""The shape of Trustee's default policies (Rego) as conditions of a release policy.

Lines are recognised one by one, exactly; Rego is not interpreted. A line that is not recognised is reported
with its number and why. Of alternatives (`else`) the first is taken, which is the stricter one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from policies.errors import quote
from verifiers.model import TeeKind

MAX_BYTES = 256 * 1024

_REF = r'query_reference_value\("([A-Za-z0-9_]+)"\)'
_FALSE = {"debug_allowed": "snp.policy.debug", "migrate_ma_allowed": "snp.policy.migrate_ma"}
_FLAGS = {
    "plat_info.smt_enabled": "snp.platform_info.smt_en",
    "plat_info.tsme_enabled": "snp.platform_info.tsme_en",
    "policy.single_socket_required": "snp.policy.single_socket",
    "policy.smt_allowed": "snp.policy.smt",
}
_STRUCTURE = re.compile(
    r"package policy|import rego\.v1|default [a-z_]+ :?= (?:false|[0-9]+)|\}|trust_claims := \{"
    r'|"[a-z-]+": [a-z_]+,|plugin = data\.plugin|allow if \{|any_not_affirming if \{'
)
_AFFIRMING = re.compile(
    r'not any_not_affirming|input\.submods\.cpu0\["ear\.status"\] == "affirming"'
    r"|input\.trust_context\.attestation_summary\.verification_result == true"
)
_RESOURCE = re.compile(
    r'(?:data\.)?plugin == "resource"|count\(input\.submods\) > 0|some _, submod in input\.submods'
    r'|submod\["ear\.status"\] != "affirming"'
)
_HELD = {
    'input.tdx.quote.header.tee_type == "81000000"',
    'input.tdx.quote.header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"',
    'input.tdx.collateral_expiration_status == "0"',
}
"""What the verifier asks of every TDX quote, whatever a policy says."""


@dataclass(slots=True)
class Shape:
    """What was recognised. rules: conditions by kind, as YAML. unmapped: (file:line, text, why)."""

    rules: dict[TeeKind, list[str]] = field(default_factory=dict)
    unmapped: list[tuple[str, str, str]] = field(default_factory=list)
    affirming: bool = False
    """Whether a resource policy asks for an affirming result."""


@dataclass(slots=True)
class _Block:
    kind: TeeKind | None = None
    skip: str | None = None
    """Why nothing of this block is taken over."""
    abi: dict[str, int] = field(default_factory=dict)


def read(files: Sequence[tuple[str, str]], references: str, values: Mapping[str, Sequence[object]]) -> Shape:
    """files: (name, text). references: name of the set with the launch measurements. values: Trustee's
    reference values, for those that are no measurements."""
    found = Shape()
    for name, text in files:
        block = _Block()
        for number, line in enumerate(text.split("\n"), 1):
            said = line.strip()
            if not said or said.startswith("#"):
                continue
            if not line[:1].isspace():
                block = _begun(said, block, found)
            why = _line(said, block, found, references, values)
            if why is not None:
                found.unmapped.append((f"{name}:{number}", said, why))
    return found


def _begun(said: str, before: _Block, found: Shape) -> _Block:
    """A line without indent begins or ends a block; `else` is another way to what the one before asks."""
    if said.startswith("else"):
        return _Block(before.kind, "the alternative above it is taken, which asks for more")
    return before if said == "}" else _Block()


def _line(
    said: str, block: _Block, found: Shape, references: str, values: Mapping[str, Sequence[object]]
) -> str | None:
    """Take one line over; why not, when it has no counterpart."""
    if block.skip is not None:
        return None if said == "}" else block.skip
    if re.fullmatch(r"(?:executables|hardware|configuration) := [234] if \{", said):
        return None
    opened = re.fullmatch(r'input(?:\.([a-z]+)|\["([a-z-]+)"\])', said)
    if opened:
        return _opened(opened[1] or opened[2], block, found)
    if _STRUCTURE.fullmatch(said) or _RESOURCE.fullmatch(said):
        return None
    if _AFFIRMING.fullmatch(said):
        found.affirming = True
        return None
    if block.kind is TeeKind.SEV_SNP:
        return _snp(said, block, found.rules[TeeKind.SEV_SNP], references, values)
    if block.kind is TeeKind.TDX:
        return _tdx(said, found.rules[TeeKind.TDX], references, values)
    return "not part of the shapes that are known"


def _opened(tee: str, block: _Block, found: Shape) -> str | None:
    kinds = {"snp": TeeKind.SEV_SNP, "tdx": TeeKind.TDX}
    if tee in kinds:
        block.kind = kinds[tee]
        found.rules.setdefault(block.kind, [])
        return None
    block.skip = "sample evidence proves nothing" if tee == "sample" else f"there is no evidence {tee} here"
    return block.skip


def _snp(
    said: str, block: _Block, rule: list[str], references: str, values: Mapping[str, Sequence[object]]
) -> str | None:
    field_of = r"input\.snp\.(?:evidence\.)?"
    if re.fullmatch(field_of + r'measurement in query_reference_value\("snp_launch_measurement"\)', said):
        return _add(rule, f"guest: {{in_set: {references}}}")
    closed = re.fullmatch(field_of + r"policy\.([a-z_]+) == false", said)
    if closed and closed[1] in _FALSE:
        return _add(rule, f"{_FALSE[closed[1]]}: {{equals: false}}")
    if re.match(field_of + r"reported_tcb\.", said):
        return "a list of exact TCB components; state a floor: snp.reported_tcb: {at_least: …}"
    compared = re.fullmatch(field_of + r"([a-z_.]+) == " + _REF, said)
    if compared is None:
        return "not part of the shapes that are known"
    if compared[1] in _FLAGS:
        value = _single(values, compared[2])
        if not isinstance(value, bool):
            return f"needs {compared[2]}, one true or false, in --values"
        return _add(rule, f"{_FLAGS[compared[1]]}: {{equals: {str(value).lower()}}}")
    if compared[1] in ("policy.abi_major", "policy.abi_minor"):
        number = _single(values, compared[2])
        if type(number) is not int or not 0 <= number <= 255:
            return f"needs {compared[2]}, one number, in --values"
        block.abi[compared[1]] = number
        if len(block.abi) == 2:
            major, minor = block.abi["policy.abi_major"], block.abi["policy.abi_minor"]
            _add(rule, f"snp.policy.abi: {{equals: {major}.{minor}}}")
        return None
    return "not part of the shapes that are known"


def _tdx(said: str, rule: list[str], references: str, values: Mapping[str, Sequence[object]]) -> str | None:
    if said in _HELD:
        return None
    measured = re.fullmatch(r"input\.tdx\.quote\.body\.(mr_td|rtmr_1|rtmr_2) in " + _REF, said)
    if measured and measured[1] == measured[2]:
        return _add(rule, f"guest: {{in_set: {references}}}")
    if said == "input.tdx.td_attributes.debug == false":
        return _add(rule, "tdx.td_attributes.debug: {equals: false}")
    if said == 'input.tdx.tcb_status == "UpToDate"':
        return _add(rule, "tdx.tcb.status: {equals: UpToDate}")
    if said == 'input.tdx.quote.body.xfam in query_reference_value("xfam")':
        listed = values.get("xfam", ())
        if not listed or not all(isinstance(v, str) and re.fullmatch("[0-9a-fA-F]{16}", v) for v in listed):
            return "needs xfam, a list of 16 hexadecimal digits each, in --values"
        return _add(rule, f"tdx.xfam: {{in: [{', '.join(f'hex:{str(v).lower()}' for v in listed)}]}}")
    if re.fullmatch(r"tdx_uefi_event_[a-z]+_ok", said):
        return "digests of single events; RTMR1 and RTMR2 cover them"
    return "not part of the shapes that are known"


def _single(values: Mapping[str, Sequence[object]], name: str) -> object:
    found = values.get(name, ())
    return found[0] if len(found) == 1 else None


def _add(rule: list[str], condition: str) -> str | None:
    """Once is enough; returns what `_line` returns of a line that was taken over."""
    if condition not in rule:
        rule.append(condition)
    return None


def report(found: Shape) -> list[str]:
    """One line for each that did not map, and what the originals leave to chance."""
    lines = [f"{where}: {quote(text)}: {why}" for where, text, why in found.unmapped]
    if not found.affirming:
        lines.append(
            "no resource policy among these asks for an affirming result: there, any genuine TEE passes"
        )
    return lines
