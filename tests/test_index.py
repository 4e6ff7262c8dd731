"""Reading a split: the manifest pins what is evaluated, wherever it lies."""

from __future__ import annotations

import shutil

import msgspec
import pytest

from medbench.errors import DataError
from medbench.files import FileDigests
from medbench.identity import hash_order, request_key
from medbench.index import digests_of, manifest_of, read_index
from medbench.testing.data import FakeReader
from medbench.types import Generate, Image, Sample


class Given:
    """A reader of samples that a test made."""

    def __init__(self, *samples):
        self.samples = samples

    def read(self, root, split, params):
        return iter(self.samples)


def sample(name="a", *images, **fields):
    return Sample(id=name, group="g", split="test", images=tuple(Image(path=path) for path in images), **fields)


def indexed(root, limit=None, split="test", reader=None, **params):
    return read_index(reader or FakeReader(), root, split, params, FileDigests(), limit)


def test_images_are_placed_and_known_by_their_bytes(data):
    found = indexed(data)
    assert len(found.samples) == 12
    assert (found.n_images, len(found.groups)) == (5, 5)
    for one in found.samples:
        (image,) = one.images
        assert image.path == str(data / "images" / f"{one.group}-0.png")
        assert len(image.digest) == 32
        assert not image.fault


def test_moving_the_folder_changes_neither_manifest_nor_keys(data, tmp_path):
    (data / "images" / "test-g001-0.png").unlink()
    before = indexed(data)
    data.rename(tmp_path / "moved")
    after = indexed(tmp_path / "moved")
    assert after.manifest == before.manifest
    assert [request_key("m", Generate(prompt="", images=one.images)) for one in after.samples] == [
        request_key("m", Generate(prompt="", images=one.images)) for one in before.samples
    ]


def test_the_manifest_sees_bytes_references_and_the_chosen_samples(data):
    manifests = {"whole": indexed(data).manifest, "train": indexed(data, split="train").manifest, "limited": indexed(data, 11).manifest}
    manifests["one site"] = indexed(data, site="east").manifest
    shutil.copy(data / "images" / "test-g001-0.png", data / "images" / "test-g000-0.png")
    manifests["another picture"] = indexed(data).manifest
    (data / "images" / "test-g000-0.png").unlink()
    manifests["a missing picture"] = indexed(data).manifest
    assert len(set(manifests.values())) == len(manifests)


@pytest.mark.parametrize("change", [{"references": ("x",)}, {"prompt": "x"}, {"labels": {"e": None}}, {"meta": {"s": "f"}}, {"group": "h"}])
def test_the_manifest_sees_every_field(change):
    assert manifest_of([msgspec.structs.replace(sample(), **change)]) != manifest_of([sample()])


def test_the_manifest_does_not_see_the_order_of_reading():
    assert manifest_of([sample("a"), sample("b")]) == manifest_of([sample("b"), sample("a")])


def test_a_limit_takes_samples_in_hash_order_and_keeps_the_readers_order(data):
    names = [one.id for one in indexed(data).samples]
    few, more = ([one.id for one in indexed(data, limit).samples] for limit in (3, 7))
    assert few == [name for name in names if name in hash_order(names)[:3]]
    assert set(few) < set(more)
    assert [one.id for one in indexed(data, 100).samples] == names


def test_missing_and_broken_pictures_are_faults_not_failures(data):
    (data / "images" / "test-g000-0.png").unlink()
    whole = (data / "images" / "test-g001-0.png").read_bytes()
    (data / "images" / "test-g001-0.png").write_bytes(whole[:-20])
    faults = {one.group: one.images[0].fault for one in indexed(data).samples}
    assert faults == {"test-g000": "no such file", "test-g001": "a truncated PNG", "test-g002": "", "test-g003": "", "test-g004": ""}


def test_two_missing_pictures_are_two_pictures(tmp_path):
    found = indexed(tmp_path, reader=Given(sample("a", "x.png"), sample("b", "y.png")))
    assert found.samples[0].images[0].digest != found.samples[1].images[0].digest


def test_an_id_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"two samples have the id 'a'"):
        indexed(tmp_path, reader=Given(sample("a"), sample("a")))


@pytest.mark.parametrize("path", ["../secret.png", "/etc/secret.png", "a/../../secret.png"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    with pytest.raises(DataError, match="leaves the data folder"):
        indexed(tmp_path, reader=Given(sample("a", path)))


def test_digests_of_one_folder_are_remembered_under_any_of_its_names(data, tmp_path, monkeypatch):
    read_index(FakeReader(), data, "test", {}, digests_of(data))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(type(data), "read_bytes", _only_text(type(data).read_bytes))
    found = read_index(FakeReader(), data.relative_to(tmp_path), "test", {}, digests_of(data.relative_to(tmp_path)))
    assert len(found.samples) == 12


def _only_text(read):
    def checked(path):
        assert path.suffix != ".png", "a picture was read again"
        return read(path)

    return checked
