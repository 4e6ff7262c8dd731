from __future__ import annotations

import json
import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from medbench_torch.weights import WeightsError, digest, find_weights, read_tensors
from safetensors.torch import load_file, save_file

from medbench.errors import UsageError


class Touch:
    """Unpickled, it makes a file: what a hostile checkpoint could do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def tensors():
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


def shard(folder, tensors):
    """Write each tensor into a file of its own."""
    names = {key: f"model-{i + 1:05}-of-{len(tensors):05}.safetensors" for i, key in enumerate(tensors)}
    for key, name in names.items():
        save_file({key: tensors[key]}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return list(names.values())


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_shards_read_as_one(tmp_path, tensors):
    shard(tmp_path, tensors)
    assert same(read_tensors(tmp_path), tensors)


def test_a_missing_shard_is_named(tmp_path, tensors):
    second = shard(tmp_path, tensors)[1]
    (tmp_path / second).unlink()
    with pytest.raises(WeightsError, match=rf"1 of 2 shards missing \({second}\)") as caught:
        read_tensors(tmp_path)
    assert "fetch it again" in caught.value.hint


def test_a_torn_file_is_named(tmp_path, tensors):
    file = tmp_path / "model.safetensors"
    save_file(tensors, file)
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read"):
        read_tensors(tmp_path)


def test_safetensors_win_over_a_pickle_beside_them(tmp_path, tensors):
    save_file(tensors, tmp_path / "model.safetensors")
    torch.save({"other": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert same(read_tensors(tmp_path), tensors)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "model.pt", "last.ckpt"])
def test_a_pickle_is_read_only_when_trusted(tmp_path, tensors, name):
    torch.save(tensors, tmp_path / name)
    with pytest.raises(WeightsError, match="a pickle, which is not read") as caught:
        read_tensors(tmp_path)
    assert "trust_pickle=true" in caught.value.hint
    assert same(read_tensors(tmp_path, trust_pickle=True), tensors)


def test_an_untrusted_pickle_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    torch.save({"state_dict": {}, "args": Touch(mark)}, tmp_path / "model.pt")
    with pytest.raises(WeightsError):
        read_tensors(tmp_path / "model.pt")
    assert not mark.exists()


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_training_checkpoint_is_read_in_full_when_trusted(tmp_path, tensors, key):
    torch.save({key: tensors, "optimizer": {}, "config": pytest.raises}, tmp_path / "checkpoint.pth")
    assert same(read_tensors(tmp_path / "checkpoint.pth", trust_pickle=True), tensors)


def test_a_torn_pickle_is_named(tmp_path, tensors):
    file = tmp_path / "model.pth"
    torch.save(tensors, file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(WeightsError, match=r"model\.pth: cannot be read"):
        read_tensors(file, trust_pickle=True)


def test_two_checkpoints_in_a_folder_are_not_guessed_between(tmp_path, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    save_file(tensors, tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match=r"2 checkpoints \(a\.safetensors, b\.safetensors\)"):
        read_tensors(tmp_path)


def test_a_file_of_another_maker_beside_the_standard_one_is_left_alone(tmp_path, tensors):
    save_file(tensors, tmp_path / "model.safetensors")
    save_file({"x": torch.ones(1)}, tmp_path / "consolidated.safetensors")
    assert same(read_tensors(tmp_path), tensors)


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(WeightsError, match="no weights in this folder") as caught:
        read_tensors(tmp_path)
    assert "*.safetensors" in caught.value.hint


def test_a_folder_is_itself_and_never_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    assert find_weights(str(tmp_path)) == tmp_path
    for absent in ("./nowhere/model", str(tmp_path / "nowhere"), "~/no/such", "a/b/c", "nowhere"):
        with pytest.raises(WeightsError, match="no such file or folder"):
            find_weights(absent)


def test_a_folder_has_no_revision(tmp_path):
    with pytest.raises(UsageError, match="revision=main"):
        find_weights(tmp_path, revision="main")


def test_no_weights_are_asked_for():
    with pytest.raises(UsageError, match="no weights given"):
        find_weights("")


@pytest.mark.parametrize(("trust", "fetched"), [(False, False), (True, True)])
def test_of_a_hub_repository_only_data_is_fetched(tmp_path, monkeypatch, trust, fetched):
    asked = {}

    def download(name, *, revision, allow_patterns, ignore_patterns):
        asked.update(name=name, revision=revision, patterns=allow_patterns, left=ignore_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_weights("owner/name", revision="v1", trust_pickle=trust) == tmp_path
    assert (asked["name"], asked["revision"]) == ("owner/name", "v1")
    assert asked["left"] is None
    assert ("*.bin" in asked["patterns"]) is fetched
    assert not any("py" in pattern for pattern in asked["patterns"])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (errors.GatedRepoError, "terms to be accepted"),
        (errors.RepositoryNotFoundError, "no such repository on the hub"),
        (errors.RevisionNotFoundError, "no such revision"),
        (errors.LocalEntryNotFoundError, "cannot be reached"),
        (errors.OfflineModeIsEnabled, "cannot be reached"),
        (errors.HFValidationError, "no hub id"),
    ],
)
def test_what_the_hub_refuses_is_one_line(monkeypatch, kind, said):
    def refuse(*_, **__):
        raise kind.__new__(kind, "https://user:secret@host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(WeightsError, match=said) as caught:
        find_weights("owner/name", revision="v9")
    assert "\n" not in caught.value.message
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_real_client_that_is_offline_says_so():
    with pytest.raises(WeightsError, match=r"nobody/nothing: .* the hub cannot be reached"):
        find_weights("nobody/nothing")


def test_the_digest_follows_the_bytes_not_the_place(tmp_path, tensors):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    save_file(tensors, one / "model.safetensors")
    shutil.copytree(one, other)
    assert digest(one) == digest(other)
    save_file(load_file(other / "model.safetensors") | {"c": torch.ones(1)}, other / "model.safetensors")
    assert digest(one) != digest(other)
