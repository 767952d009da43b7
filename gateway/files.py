"""Folders and files that belong to one user and to nobody else."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from gateway.errors import GatewayError, GatewayReason

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_OTHERS = 0o077


def make_private_folder(folder: Path, reason: GatewayReason) -> None:
    """Create `folder`, and the parents that are missing, with mode 0700 however wide the umask, unless it is
    there; then it must be private already. Parents that exist are left as they are.

    Raises GatewayError(reason) for another owner, for access by group or others, for what is no folder.
    """
    try:
        for each in reversed((folder, *folder.parents)):
            if not each.exists():
                with contextlib.suppress(FileExistsError):
                    each.mkdir(mode=FOLDER_MODE)
    except OSError as error:
        raise _refuse(reason, folder, "a folder that can be created", error.strerror or "an error") from None
    require_private(folder, reason, folder=True)


def require_private(path: Path, reason: GatewayReason, *, folder: bool = False) -> None:
    """Raises GatewayError(reason) unless `path` is a real folder or file that only its owner can use, and
    the owner is who runs this or root. Links are not followed."""
    try:
        found = path.lstat()
    except OSError as error:
        raise _refuse(reason, path, "a file or folder", error.strerror or "an error") from None
    check_private(found, path, reason, folder=folder)


def check_private(found: os.stat_result, path: Path, reason: GatewayReason, *, folder: bool = False) -> None:
    """The rule itself, on what `stat` told."""
    right_type = stat.S_ISDIR(found.st_mode) if folder else stat.S_ISREG(found.st_mode)
    if not right_type:
        raise _refuse(reason, path, "a folder" if folder else "a regular file", "something else")
    if found.st_uid not in (os.geteuid(), 0):
        raise _refuse(reason, path, f"owner {os.geteuid()} or root", f"owner {found.st_uid}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS:
        wanted = FOLDER_MODE if folder else FILE_MODE
        raise _refuse(reason, path, f"mode {wanted:04o} (chmod {wanted:o} {path})", f"mode {mode:04o}")


def read_private(path: Path, reason: GatewayReason, *, limit: int) -> bytes:
    """The whole of a private file of at most `limit` bytes. Raises GatewayError(reason) as `require_private`.

    What is checked is the file that is read: it is opened first, without following a link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refuse(reason, path, "a private file", error.strerror or "an error") from None
    with open(descriptor, "rb") as file:
        check_private(os.fstat(descriptor), path, reason)
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise _refuse(reason, path, f"at most {limit} bytes", "more")
    return raw


def write_new(path: Path, content: bytes) -> None:
    """Create `path` (mode 0600), which must not exist, and sync it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` at once: readers see the old or the new, also after a crash. Raises OSError.
    The caller makes sure that nobody else replaces it at the same time."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    write_new(fresh, content)
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def default_data() -> Path:
    """$XDG_DATA_HOME/sealgate, or ~/.local/share/sealgate."""
    base = os.environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "sealgate"


def require_apart(one: Path, other: Path, reason: GatewayReason) -> None:
    """Raises GatewayError(reason) when a folder is the same as the other or inside it, by whatever name."""
    for inner, outer in ((one, other), (other, one)):
        resolved = inner.resolve()
        for ancestor in (resolved, *resolved.parents):
            if ancestor == outer.resolve() or _same(ancestor, outer):
                raise GatewayError(
                    reason,
                    "keys and database lie in one folder; whoever copies one then has both",
                    where=str(one),
                    expected=f"a folder apart from {other}",
                    found=str(resolved),
                )


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False


def _refuse(reason: GatewayReason, path: Path, expected: str, found: str) -> GatewayError:
    return GatewayError(
        reason,
        "a file or folder of the gateway is not private",
        where=str(path),
        expected=expected,
        found=found,
    )
