"""Which of an event's data is bound to its digest, and so true once the digest has replayed.

    any type                        all of the data, when SHA-384(data) is the digest
    EV_EFI_VARIABLE_BOOT, BOOT2     the variable's value alone: its name is not measured
    EV_IPL "grub_cmd: " and such    the text behind that label: the label is not measured
    dstack runtime event            type, name and payload

Everything else (images, firmware volumes, ACPI tables, files, the text of some boot loaders) was measured
from bytes that are not in the log: what the log says of it is anybody's text. An event's *type* is in no
digest but dstack's. So nothing here may rest on a type or a label: they choose which rule is tried, and data
that is bound names itself.

Source: TCG PC Client Platform Firmware Profile 1.05, 10.4.1; each rule holds for recorded logs.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from hashlib import sha384

from verifiers.eventlog import dstack
from verifiers.eventlog.log import (
    DSTACK_RUNTIME,
    EVENT_TAG,
    IPL,
    VARIABLE_AUTHORITY,
    VARIABLE_BOOT,
    VARIABLE_BOOT2,
    VARIABLE_DRIVER_CONFIG,
    Event,
)

LABELS = (b"grub_cmd: ", b"kernel_cmdline: ", b"module_cmdline: ")
"""What GRUB puts before the text that it measures."""
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Variable:
    """UEFI_VARIABLE_DATA (TCG PC Client Platform Firmware Profile, 10.2.6)."""

    guid: bytes
    name: str
    value: bytes


def variable(data: bytes) -> Variable | None:
    """`data` as a variable, when it is exactly one."""
    if len(data) < 32:
        return None
    name_size = 2 * int.from_bytes(data[16:24], "little")
    value_size = int.from_bytes(data[24:32], "little")
    if len(data) != 32 + name_size + value_size:
        return None
    try:
        name = data[32 : 32 + name_size].decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    return Variable(data[:16], name, data[32 + name_size :])


def bound(event: Event) -> bytes | None:
    """The part of `event.data` that its digest is the digest of, by the rules above; None when there is none.

    Entries that extend nothing are bound to nothing.
    """
    if not event.extends:
        return None
    digest, data = event.digest, event.data
    if sha384(data).digest() == digest:
        return data
    if event.type in (VARIABLE_BOOT, VARIABLE_BOOT2):
        found = variable(data)
        return found.value if found is not None and sha384(found.value).digest() == digest else None
    if event.type == IPL:
        return _labelled(data, digest)
    return data if is_runtime(event) else None


def _labelled(data: bytes, digest: bytes) -> bytes | None:
    label = next((label for label in LABELS if data.startswith(label)), None)
    if label is None:
        return None
    text = data[len(label) :]
    candidates = (text, text[:-1]) if text.endswith(b"\0") else (text,)
    return next((one for one in candidates if sha384(one).digest() == digest), None)


def is_runtime(event: Event) -> bool:
    """Whether the event is dstack's own, digest and all.

    A name with a colon could be cut in two places and mean two things; it is never taken for bound.
    """
    return (
        event.type == DSTACK_RUNTIME
        and event.name != ""
        and ":" not in event.name
        and event.digest == dstack.runtime_digest(event.type, event.name, event.data)
    )


def shown(event: Event) -> str:
    """For people: what is bound, as text; or "not verified" and what the log says."""
    content = bound(event)
    if content is None:
        claimed = f"{event.name} {_text(event.data)}".strip()
        return f"not verified: {claimed}" if claimed else "not verified"
    if event.type in (VARIABLE_DRIVER_CONFIG, VARIABLE_AUTHORITY) and content is event.data:
        found = variable(content)
        if found is not None:
            guid = uuid.UUID(bytes_le=found.guid)
            return f"{found.name} = {_text(found.value) or 'nothing'} ({guid})"
    if event.type == EVENT_TAG and len(content) > 8:
        return f"{_text(content[:4])} {_text(content[8:])}"
    if content is not event.data:
        label = event.data[: len(event.data) - len(content)].partition(b": ")[0]
        named = _text(label) if event.type == IPL else getattr(variable(event.data), "name", "")
        return f"{_text(content) or 'nothing'} (label {named!r} not verified)"
    return f"{event.name} {_text(content)}".strip()


def _text(data: bytes) -> str:
    """Printable ASCII on one line, NUL at the end dropped; other bytes as hex; cut where it gets long."""
    bare = data.rstrip(b"\0").replace(b"\n", b" ")
    if bare and all(0x20 <= byte < 0x7F for byte in bare):
        text = bare.decode("ascii")
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(data)} bytes)"
    return data.hex() if len(data) <= _SHOWN // 4 else f"{data[: _SHOWN // 4].hex()}… ({len(data)} bytes)"
