from __future__ import annotations

import pytest

from daemon.errors import TickdError, UsageError
from daemon.journal_lock import hold_journal, lock_journal
from daemon.memory_disk import MemoryDisk
from tests.daemon.test_direct_ccxt import CONFIG


def test_one_process_holds_a_journal_and_each_other_is_told_what_it_can_do():
    disk = MemoryDisk()
    hold_journal(CONFIG, disk)
    with pytest.raises(TickdError, match=r"another daemon is running on the journal .*; stop it, or give"):
        hold_journal(CONFIG, disk)
    with pytest.raises(UsageError, match=r"a daemon holds the journal .*; use tickd flatten --name test"):
        lock_journal(CONFIG, disk)
    assert lock_journal(CONFIG, MemoryDisk()) == ""


def test_a_folder_that_cannot_be_used_ends_a_daemon_and_is_told_to_who_flattens():
    class Broken(MemoryDisk):
        def lock(self, path):
            raise OSError(30, "Read-only file system")

    with pytest.raises(TickdError, match=r"folder .* cannot be used \(Read-only file system\)"):
        hold_journal(CONFIG, Broken())
    assert "cannot be locked (Read-only file system): start no daemon now" in lock_journal(CONFIG, Broken())
