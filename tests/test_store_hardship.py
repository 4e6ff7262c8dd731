"""The store under hardship: full disks, two writers at once, readers beside writers, killed writers."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time

import pytest

from medbench.errors import StorageError
from medbench.identity import digest
from medbench.store import Store, _Writer
from medbench.types import Text


def key(name):
    return digest(str(name))


def reopened(folder):
    notes = []
    return Store(folder, note=notes.append), notes


def texts(store, count):
    return [store.get(key(number)).text if key(number) in store else None for number in range(count)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs"


class TestFullDisk:
    def test_what_was_appended_is_kept_and_the_message_says_so(self, folder, monkeypatch):
        room = 400
        write = _Writer._write

        def limited(file, data):
            nonlocal room
            write(file, data[:room])
            if len(data) > room:
                room = 0
                raise OSError(errno.ENOSPC, "No space left on device")
            room -= len(data)

        monkeypatch.setattr(_Writer, "_write", staticmethod(limited))
        store = Store(folder)
        kept = 0
        with pytest.raises(StorageError, match="the disk is full") as caught:  # noqa: PT012 - how many fit is not known before
            for number in range(100):
                store.append(key(number), Text(text=f"answer {number}"))
                kept += 1
        assert "what was done is kept" in caught.value.hint
        store.close()
        monkeypatch.undo()
        assert kept >= 2
        assert texts(reopened(folder)[0], kept + 1) == [f"answer {n}" for n in range(kept)] + [None]

    def test_on_a_disk_that_is_really_full(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("a small disk cannot be mounted here")
        try:
            store = Store(disk / "outputs")
            kept = 0
            with pytest.raises(StorageError, match="the disk is full"):  # noqa: PT012 - how many fit is not known before
                for number in range(1000):
                    store.append(key(number), Text(text="x" * 500))
                    kept += 1
            store.close()
            again, _ = reopened(disk / "outputs")
            assert kept > 50
            assert len(again) == kept
        finally:
            subprocess.run(["umount", str(disk)], check=True)


WRITER = """
import sys
from medbench.identity import digest
from medbench.store import Store
from medbench.types import Text, Vector
from pathlib import Path
name, count = sys.argv[2], int(sys.argv[3])
with Store(Path(sys.argv[1])) as store:
    for number in range(count):
        key = digest(f"{name}-{number}")
        store.append(key, Vector(data=number.to_bytes(4, "little") * 8) if number % 2 else Text(text=f"{name} {number}"))
        print(number, flush=True)
"""


def writer(folder, name, count):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE)


def test_two_processes_that_write_at_once_lose_nothing(folder):
    reader = Store(folder)
    running = [writer(folder, name, 300) for name in ("a", "b")]
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    reader.refresh()
    again, notes = reopened(folder)
    assert not notes
    for store in (reader, again):
        assert len(store) == 600
        assert store.get(key("b-298")) == Text(text="b 298")
        assert bytes(store.get(key("a-299")).data) == (299).to_bytes(4, "little") * 8


def test_a_reader_beside_a_writer_sees_whole_lines_and_calls_none_torn(folder):
    process = writer(folder, "a", 100_000)
    process.stdout.readline()
    for _ in range(6):
        store, notes = reopened(folder)
        assert not notes
        assert len(store) >= 1
        time.sleep(0.005)
    process.kill()
    process.communicate()


def test_a_killed_writer_loses_nothing_that_it_had_appended(folder):
    process = writer(folder, "a", 1_000_000)
    said = 0
    while said < 500:
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    said = int(rest.split()[-1]) if rest.split() else said
    store, _ = reopened(folder)
    assert all(key(f"a-{number}") in store for number in range(said + 1))
