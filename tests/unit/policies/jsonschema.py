"""The part of JSON Schema that the published schemas use: enough to try them on documents.

Values come from YAML as editors read it (core schema): numbers, true and false have their types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies import strictyaml
from policies.strictyaml import Map, Node, Seq

KNOWN = {
    "$schema", "title", "definitions", "description", "type", "properties", "required",
    "additionalProperties", "minProperties", "maxProperties", "items", "minItems", "enum", "const",
    "pattern", "minLength", "maxLength", "minimum", "maximum", "anyOf", "allOf", "$ref",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def plain(node: Node) -> Any:
    """A node as an editor sees it."""
    if isinstance(node, Map):
        return {key.text: plain(value) for key, value in node.pairs}
    if isinstance(node, Seq):
        return [plain(item) for item in node.items]
    text = node.text
    if node.quoted:
        return text
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return text


def documents(raw: bytes) -> list[Any]:
    return [plain(node) for node in strictyaml.parse(raw, "test.yaml")]


def faults(schema: dict[str, Any], value: Any, root: dict[str, Any], where: str = "$") -> Iterator[str]:
    """Everything about `value` that `schema` does not allow."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        yield from faults(
            root["definitions"][schema["$ref"].removeprefix("#/definitions/")], value, root, where
        )
    for part in schema.get("allOf", ()):
        yield from faults(part, value, root, where)
    if "anyOf" in schema and all(list(faults(part, value, root, where)) for part in schema["anyOf"]):
        yield f"{where}: fits none"
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        yield f"{where}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} not in enum"
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        fitting = [name for name in names if isinstance(value, TYPES[name])]
        if not fitting or (isinstance(value, bool) and "boolean" not in names):
            yield f"{where}: {value!r} is no {names}"
            return
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{where}: {value!r} does not match"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30):
            yield f"{where}: length"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where}: size"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{where}: too few"
        for number, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, root, f"{where}[{number}]")
    if isinstance(value, dict):
        yield from _members(schema, value, root, where)


def _members(
    schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any], where: str
) -> Iterator[str]:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 1 << 30):
        yield f"{where}: {len(value)} keys"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}: lacks {name}"
    extra = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in schema.get("properties", {}):
            yield from faults(schema["properties"][name], inner, root, f"{where}.{name}")
        elif extra is False:
            yield f"{where}: no key {name}"
        elif isinstance(extra, dict):
            yield from faults(extra, inner, root, f"{where}.{name}")
