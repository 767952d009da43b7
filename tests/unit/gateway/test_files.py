"""Folders and files that belong to one user: also those on the way to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import GatewayError, GatewayReason
from gateway.files import make_private_folder

REASON = GatewayReason.STORE_PERMISSIONS


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_folders_on_the_way_are_as_private_as_the_last_one(tmp_path: Path, umask: int) -> None:
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    before = os.umask(umask)
    try:
        make_private_folder(there / "a" / "b" / "c", REASON)
        make_private_folder(there / "a" / "b" / "c", REASON)
    finally:
        os.umask(before)
    modes = [folder.stat().st_mode & 0o777 for folder in (there / "a", there / "a/b", there / "a/b/c")]
    assert modes == [0o700] * 3
    assert there.stat().st_mode & 0o777 == 0o755


def test_what_is_there_and_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for wrong in ("open", "file", "file/under", "link", "link/under"):
        with pytest.raises(GatewayError) as caught:
            make_private_folder(tmp_path / wrong, REASON)
        assert caught.value.reason is REASON
