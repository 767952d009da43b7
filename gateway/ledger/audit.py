"""Whether a ledger is what it was: every entry read again, the tree made anew, and held against checkpoints.

Pure, and needs no key but the public one. An entry that is not readable here (another tenant's) is only its
leaf hash: it counts in the tree all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, GatewayReason
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, decode
from gateway.ledger.merkle import Frontier, leaf_hash
from gateway.ledger.receipt import leaf


@dataclass(frozen=True, slots=True)
class Item:
    """What is there at one index. leaf: the leaf hash that was found there. opening: salt and entry, where
    they may be read. listed: tenant and kind under which the entry is found, where it is: an entry that is
    listed as another tenant's, or as something else, is hidden from those who look for it."""

    leaf: bytes
    opening: tuple[bytes, bytes] | None = None
    listed: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An intent without an outcome: the secret was possibly released."""

    index: int
    attempt: str
    path: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """frontier: of the tree. read: how many entries could be read. doubtful: intents without outcome among
    those that were read."""

    frontier: Frontier
    read: int
    doubtful: tuple[Doubtful, ...]


def audit(items: Iterable[Item], checkpoints: Sequence[Checkpoint] = ()) -> Found:
    """Make the tree anew and hold it against every checkpoint, in whatever order they come.

    Raises GatewayError(LEDGER_BROKEN) that names the first entry which is changed, missing or out of place,
    as far as that can be told; else the checkpoint that does not fit: by its size where entries were cut off,
    by its root where they are other entries than those it was signed over.
    """
    frontier, read, doubtful = Frontier(), 0, _Intents()
    wanted: dict[int, list[Checkpoint]] = {}
    for each in checkpoints:
        wanted.setdefault(each.size, []).append(each)
    _hold(frontier, wanted.pop(0, []))
    for index, item in enumerate(items):
        if item.opening is not None:
            doubtful.see(_open(item, index))
            read += 1
        frontier = frontier.append(item.leaf)
        _hold(frontier, wanted.pop(frontier.size, ()))
    if wanted:
        raise broken(frontier.size, f"entries up to {max(wanted) - 1}", f"{frontier.size} entries")
    return Found(frontier=frontier, read=read, doubtful=doubtful.left())


def _open(item: Item, index: int) -> Entry:
    """The entry of an opening that belongs to its leaf and stands at its place."""
    salt, raw = item.opening or (b"", b"")
    try:
        entry = decode(raw)
        own = leaf_hash(leaf(salt, raw))
    except ValueError as error:
        raise broken(index, "an entry and its salt", str(error)) from None
    if entry.index != index:
        raise broken(index, f"index {index}", f"index {entry.index}")
    if own != item.leaf:
        raise broken(index, f"leaf {own.hex()}, which salt and entry give", item.leaf.hex())
    if item.listed not in (None, (entry.tenant, entry.kind)):
        raise broken(index, f"tenant and kind {(entry.tenant, entry.kind)}", f"{item.listed}")
    return entry


def _hold(frontier: Frontier, checkpoints: Sequence[Checkpoint]) -> None:
    for each in checkpoints:
        if frontier.root() != each.root:
            raise GatewayError(
                GatewayReason.LEDGER_BROKEN,
                f"the first {each.size} entries are not those that the checkpoint was signed over",
                where=f"checkpoint {each.size}",
                expected=each.root.hex(),
                found=frontier.root().hex(),
            )


class _Intents:
    """Which intents have no outcome yet."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Doubtful] = {}

    def see(self, entry: Entry) -> None:
        if entry.kind not in ("release.intent", "release.outcome"):
            return
        name = (str(entry.body.get("attempt")), str(entry.body.get("path")))
        if entry.kind == "release.outcome":
            self._open.pop(name, None)
        else:
            self._open[name] = Doubtful(entry.index, *name, str(entry.body.get("jkt")))

    def left(self) -> tuple[Doubtful, ...]:
        return tuple(self._open.values())


def broken(position: int, expected: str, found: str) -> GatewayError:
    return GatewayError(
        GatewayReason.LEDGER_BROKEN,
        f"the ledger does not hold together at entry {position}",
        where=f"ledger[{position}]",
        expected=expected,
        found=found,
    )
