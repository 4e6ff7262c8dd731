"""Locks between processes: who holds a folder is said, and a killed holder holds nothing."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from medbench.errors import StorageError
from medbench.locks import FolderLock, try_lock

HOLDER = """
import sys, time
from pathlib import Path
from medbench.locks import FolderLock
with FolderLock(Path(sys.argv[1])) as lock:
    assert not lock.try_take()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_it_and_gets_it_when_that_one_is_killed(tmp_path, holder):
    with FolderLock(tmp_path) as lock:
        assert lock.try_take().startswith(f"process {holder.pid} on ")
        waiting = threading.Thread(target=lock.wait)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        holder.kill()
        waiting.join(10)
        assert not waiting.is_alive()
    assert (tmp_path / ".lock").read_bytes() == b""


def test_it_is_free_again_after_use(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path) as lock:
            assert lock.try_take() == ""
            with FolderLock(tmp_path) as second:
                assert second.try_take().startswith("process ")


def test_the_end_of_one_that_waited_in_vain_leaves_the_holders_name(tmp_path):
    with FolderLock(tmp_path) as lock:
        lock.try_take()
        with FolderLock(tmp_path) as second:
            second.try_take()
        assert (tmp_path / ".lock").read_bytes().startswith(b"process ")


def test_an_open_file_can_be_locked_once(tmp_path):
    with (tmp_path / "x").open("wb") as one, (tmp_path / "x").open("rb") as other:
        assert try_lock(one)
        assert not try_lock(other)


def test_a_folder_that_cannot_be_written_is_a_message(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        FolderLock(tmp_path / "gone")
