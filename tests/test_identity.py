"""Keys, seeds, orders and digests: what is the same, and what never is."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.identity import digest, digest_of, hash_order, request_key, safe_name, sample_seed, tree_digest
from medbench.types import Classify, Embed, Generate, Ground, Image, Synthesize

PICTURE = Image(path="/a/x.png", digest="1" * 32)
REQUEST = Generate(prompt="Is it?", images=(PICTURE,))


def changed(**fields):
    return msgspec.structs.replace(REQUEST, **fields)


def with_image(**fields):
    return changed(images=(msgspec.structs.replace(PICTURE, **fields),))


DIFFERENT = {
    "another prompt": changed(prompt="Is it ?"),
    "another picture": with_image(digest="2" * 32),
    "another preset": with_image(preset="blank"),
    "another role": with_image(role="prior"),
    "the picture twice": changed(images=(PICTURE, PICTURE)),
    "no picture": changed(images=()),
    "another repeat": changed(repeat=1),
    "another length": changed(max_new_tokens=7),
    "another temperature": changed(temperature=0.5),
    "another seed": changed(seed=1),
    "options": changed(options=("yes", "no")),
    "options the other way round": changed(options=("no", "yes")),
    "stop": changed(stop=("\n",)),
    "a schema": changed(schema="{}"),
    "log-probabilities": changed(top_logprobs=5),
    "a kind": changed(kind="PRES"),
    "classify": Classify(images=(PICTURE,), text="Is it?"),
    "embed": Embed(images=(PICTURE,), text="Is it?"),
    "synthesize": Synthesize(prompt="Is it?", images=(PICTURE,)),
    "ground": Ground(images=(PICTURE,), phrase="Is it?"),
}


def test_everything_that_may_change_an_output_changes_the_key():
    keys = {name: request_key("model", request) for name, request in DIFFERENT.items()}
    keys["itself"] = request_key("model", REQUEST)
    keys["another model"] = request_key("model2", REQUEST)
    assert len(set(keys.values())) == len(keys)


def test_every_field_of_a_text_request_is_tried_above():
    tried = {
        name
        for request in DIFFERENT.values()
        for name in REQUEST.__struct_fields__
        if getattr(request, name, None) != getattr(REQUEST, name)
    }
    assert tried == set(Generate.__struct_fields__)


def test_where_a_file_lies_and_what_is_said_against_it_are_not_in_the_key():
    assert request_key("model", with_image(path="/b/y.png", fault="")) == request_key("model", REQUEST)


def test_the_key_of_a_plain_request_never_changes():
    # outputs on disk are found by it: a change of this value disowns everything that was ever computed
    assert request_key("model", Generate(prompt="a")) == hashlib.sha256(b'model\0{"type":"generate","prompt":"a"}').hexdigest()[:32]


def test_an_image_that_was_never_indexed_has_no_key():
    with pytest.raises(ValueError, match=r"/a/x\.png"):
        request_key("model", with_image(digest=""))


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_parts_of_a_digest_cannot_run_into_each_other(one, other):
    assert (digest(*one) == digest(*other)) == (one == other)


def test_a_digest_of_data_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [1, {"c": 2, "d": 3}]}) == digest_of({"b": [1, {"d": 3, "c": 2}], "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_sample_seeds_follow_from_seed_and_id_alone():
    seeds = {(seed, name): sample_seed(seed, name) for seed in range(20) for name in ("a", "b", "1", "10")}
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds.values())
    assert sample_seed(3, "x") == int.from_bytes(hashlib.sha256(b"3\0x").digest()[:8], "little") >> 1


@given(st.permutations([f"s{i}" for i in range(12)]))
def test_hash_order_is_one_order_however_names_are_listed(names):
    assert hash_order(names) == hash_order(sorted(names))


def test_hash_order_is_a_shuffle():
    names = [f"s{i:03d}" for i in range(100)]
    assert hash_order(names) != names
    assert sorted(hash_order(names)) == names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("openai:gpt-4o", "openai-gpt-4o"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("a" * 200, "a" * 80),
        ("päper v2", "päper-v2"),
        (".hidden", "hidden"),
    ],
)
def test_names_are_safe_as_one_folder(name, safe):
    assert safe_name(name) == safe


class TestTreeDigest:
    @staticmethod
    def of(root):
        return tree_digest(root, lambda path: digest(path.read_bytes()))

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "w" / "sub").mkdir(parents=True)
        (tmp_path / "w" / "a.bin").write_bytes(b"a")
        (tmp_path / "w" / "sub" / "b.bin").write_bytes(b"b")
        return tmp_path / "w"

    def test_a_file_is_its_own_digest(self, folder):
        assert self.of(folder / "a.bin") == digest(b"a")

    def test_moving_the_folder_changes_nothing(self, folder, tmp_path):
        before = self.of(folder)
        assert self.of(folder.rename(tmp_path / "elsewhere")) == before

    @pytest.mark.parametrize("change", ["content", "name", "more"])
    def test_any_change_inside_changes_it(self, folder, change):
        before = self.of(folder)
        if change == "content":
            (folder / "sub" / "b.bin").write_bytes(b"c")
        elif change == "name":
            (folder / "a.bin").rename(folder / "c.bin")
        else:
            (folder / "d.bin").write_bytes(b"")
        assert self.of(folder) != before

    def test_hidden_files_and_what_lies_in_hidden_folders_do_not_count(self, folder):
        before = self.of(folder)
        (folder / ".cache").mkdir()
        (folder / ".cache" / "download.json").write_text("yesterday")
        (folder / ".lock").write_text("")
        assert self.of(folder) == before
