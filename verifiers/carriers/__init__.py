"""The envelopes that evidence travels in, told apart by content, opened to the bytes that were signed."""

from verifiers.carriers.binary import with_event_log
from verifiers.carriers.detect import CARRIERS, KINDS, TYPES, open_evidence, open_message
from verifiers.carriers.envelope import open_envelope
from verifiers.carriers.opened import MAX_EVIDENCE, Opened, kind_of
from verifiers.carriers.tsm import FOLDER_FILES, open_folder

__all__ = [
    "CARRIERS",
    "FOLDER_FILES",
    "KINDS",
    "MAX_EVIDENCE",
    "TYPES",
    "Opened",
    "kind_of",
    "open_envelope",
    "open_evidence",
    "open_folder",
    "open_message",
    "with_event_log",
]
