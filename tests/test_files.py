"""Files that are there whole or not at all, and what is remembered of them."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from PIL import Image as Pil

from medbench.errors import StorageError
from medbench.files import FileDigests, cache_folder, picture_fault, private_folder, storage, write_whole


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"MEDBENCH_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/medbench/a/b"),
        ({"HOME": "/h"}, "/h/.cache/medbench/a/b"),
    ],
)
def test_the_cache_lies_where_the_environment_says(monkeypatch, variables, folder):
    for name in ("MEDBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder("a", "b")) == folder


def test_a_private_folder_is_its_owners_alone(tmp_path):
    made = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert private_folder(made) == made


def test_a_file_in_the_way_of_a_folder_is_a_message(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(StorageError, match="a/b"):
        private_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "Input/output"),
    ],
)
def test_what_the_file_system_refuses_names_the_path(tmp_path, number, said):
    with pytest.raises(StorageError, match=said) as caught, storage(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "x") in caught.value.message
    assert caught.value.hint


class TestWriteWhole:
    def test_replaces_what_was_there(self, tmp_path):
        write_whole(tmp_path / "x", b"one")
        write_whole(tmp_path / "x", [b"t", b"wo"])
        assert (tmp_path / "x").read_bytes() == b"two"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_an_interruption_leaves_what_was_there(self, tmp_path):
        def cut():
            yield b"half"
            raise KeyboardInterrupt

        write_whole(tmp_path / "x", b"old")
        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "x", cut())
        assert (tmp_path / "x").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_a_full_disk_leaves_what_was_there(self, tmp_path, monkeypatch):
        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        write_whole(tmp_path / "x", b"old")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="the disk is full") as caught:
            write_whole(tmp_path / "x", b"new")
        assert "what was done is kept" in caught.value.hint
        assert (tmp_path / "x").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


class TestFileDigests:
    @pytest.fixture
    def path(self, tmp_path):
        (tmp_path / "x.bin").write_bytes(b"content")
        return tmp_path / "x.bin"

    def test_bytes_are_read_once_and_remembered_on_disk(self, path, tmp_path, monkeypatch):
        first = FileDigests(tmp_path / "cache" / "d.json")
        made = first.look(path)
        first.save()
        monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("read again"))
        assert first.look(path) == made
        monkeypatch.undo()
        again = FileDigests(tmp_path / "cache" / "d.json")
        monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("read again"))
        assert again.look(path) == made

    def test_a_change_of_size_or_time_is_seen(self, path):
        digests = FileDigests()
        before = digests.digest(path)
        path.write_bytes(b"CONTENT")
        os.utime(path, ns=(1, 1))
        changed = digests.digest(path)
        path.write_bytes(b"longer content")
        assert len({before, changed, digests.digest(path)}) == 3

    def test_a_large_file_has_the_digest_of_its_bytes(self, path, monkeypatch):
        whole = FileDigests().digest(path)
        monkeypatch.setattr("medbench.files._SLURP", 3)
        assert FileDigests().digest(path) == whole

    def test_what_cannot_be_read_has_a_fault_and_no_digest_and_is_looked_at_again(self, tmp_path):
        digests = FileDigests()
        facts = digests.look(tmp_path / "x.png")
        assert (facts.digest, facts.fault) == ("", "no such file")
        assert digests.look(tmp_path).fault == "Is a directory"
        Pil.new("L", (2, 2)).save(tmp_path / "x.png")
        assert digests.look(tmp_path / "x.png").fault == ""

    def test_a_torn_cache_only_means_reading_again(self, path, tmp_path):
        (tmp_path / "d.json").write_bytes(b'{"x": [1,')
        digests = FileDigests(tmp_path / "d.json")
        assert digests.look(path).size == 7
        digests.save()
        assert FileDigests(tmp_path / "d.json")._known

    def test_a_cache_that_cannot_be_written_is_no_failure(self, path, tmp_path):
        (tmp_path / "file").write_text("")
        digests = FileDigests(tmp_path / "file" / "d.json")
        digests.look(path)
        digests.save()
        assert (tmp_path / "file").read_text() == ""


class TestPictureFault:
    @pytest.fixture(params=["png", "jpg"])
    def kind(self, request):
        return request.param

    @pytest.fixture
    def content(self, kind, tmp_path):
        Pil.effect_noise((40, 40), 50).save(tmp_path / f"x.{kind}")
        return (tmp_path / f"x.{kind}").read_bytes()

    def test_a_whole_picture_has_none(self, kind, content):
        assert picture_fault(f".{kind}", content) == ""
        assert picture_fault(f".{kind.upper()}", content + b"\0" * 100) == ""

    @pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
    def test_a_cut_is_seen(self, kind, content, share):
        assert picture_fault(f".{kind}", content[: int(len(content) * share)]) == f"a truncated {'PNG' if kind == 'png' else 'JPEG'}"

    def test_a_thumbnail_inside_does_not_hide_a_cut(self, tmp_path):
        Pil.effect_noise((40, 40), 50).save(tmp_path / "t.jpg")
        thumbnail = (tmp_path / "t.jpg").read_bytes()
        whole = thumbnail[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + thumbnail[2:]
        assert picture_fault(".jpg", whole) == ""
        assert picture_fault(".jpg", whole[:-30]) == "a truncated JPEG"

    def test_what_is_no_picture_is_said(self):
        assert picture_fault(".png", b"") == "an empty file"
        assert picture_fault(".jpg", b"<html>not found</html>") == "not a picture"

    def test_other_kinds_are_left_to_the_decoder(self):
        assert picture_fault(".png", b"GIF89a...") == ""
        assert picture_fault(".dcm", b"anything") == ""
