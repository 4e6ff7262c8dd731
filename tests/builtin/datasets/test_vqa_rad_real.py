"""The whole of VQA-RAD, when it is at hand."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from medbench.builtin.datasets.vqa_rad import PUBLIC, PUBLISHED_TEST, VqaRad, triplets_digest

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data") / "vqa_rad"
pytestmark = pytest.mark.skipif(not (DATA / PUBLIC).is_file(), reason="no real VQA-RAD below $MEDBENCH_TEST_DATA or ../shared/data")
READER = VqaRad()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each packaging in a folder of its own; the pictures are stood for by empty files."""
    roots = {name: tmp_path_factory.mktemp(name) for name in ("public", "mevf")}
    for root in roots.values():
        (root / "images").mkdir()
        for picture in (DATA / "VQA_RAD Image Folder").iterdir():
            (root / "images" / picture.name).touch()
    shutil.copyfile(DATA / PUBLIC, roots["public"] / PUBLIC)
    for name in ("trainset.json", "testset.json"):
        shutil.copyfile(DATA / "mevf" / name, roots["mevf"] / name)
    return roots


def read(root, split, variant="official"):
    return list(READER.read(root, split, {"variant": variant}))


@pytest.mark.parametrize(("variant", "train_size", "train_images"), [("official", 1797, 313), ("mevf", 3064, 314)])
def test_published_counts(variant, train_size, train_images):
    test, train = read(DATA, "test", variant), read(DATA, "train", variant)
    assert (len(test), len(train)) == (451, train_size)
    assert len({s.id for s in test + train}) == 451 + train_size
    assert (len({s.group for s in test}), len({s.group for s in train})) == (203, train_images)
    assert Counter(s.meta["answer_type"] for s in test) == {"CLOSED": 272, "OPEN": 179}
    assert Counter(s.meta["phrase_type"] for s in test) == {"freeform": 308, "para": 143}
    assert sum(s.references[0].lower() in ("yes", "no") for s in test if s.meta["answer_type"] == "CLOSED") == 251
    assert triplets_digest(test) == PUBLISHED_TEST
    assert all((DATA / s.images[0].path).is_file() for s in test + train)
    assert READER.check(DATA, variant) == []


def test_remarks_on_the_real_set():
    assert READER.remarks(DATA, read(DATA, "test"), {}) == [
        "202 of the 203 test images also occur in train: expect optimistic numbers for models trained on this set",
        "1 of the 451 test questions stands in train with the same image and answer",
        "115 of the 451 test answers never occur in train: choosing among the answers of train cannot reach 100 %",
        "3 of the 1797 train questions repeat an earlier one (same image, question and answer)",
    ]
    wider = READER.remarks(DATA, read(DATA, "test", "mevf"), {"variant": "mevf"})
    assert [remark.split()[0] for remark in wider] == ["203", "14", "47", "469"]


@pytest.mark.parametrize("split", ["test", "train"])
def test_packagings_agree_on_everything_but_their_numbers(alone, split):
    def known(root):
        return [(s.id, s.group, s.prompt.lower(), s.references[0].lower(), s.meta) for s in read(root, split)]

    assert known(alone["public"]) == known(alone["mevf"]) == known(DATA)


def test_aliases_name_each_question_once(alone):
    joined = read(DATA, "test") + read(DATA, "train")
    for name, root in (("qid", alone["public"]), ("mevf-qid", alone["mevf"])):
        own = {s.aliases[name]: s.id for s in read(root, "test") + read(root, "train")}
        assert len(own) == 2248
        assert {s.aliases[name]: s.id for s in joined} == own


def test_another_test_set_is_remarked(tmp_path):
    text = (DATA / PUBLIC).read_text(encoding="utf-8").replace("Is there evidence of a pneumoperitoneum?", "Is there free air?")
    (tmp_path / PUBLIC).write_text(text, encoding="utf-8")
    (tmp_path / "synpic1.jpg").touch()
    assert "is not the published one" in READER.remarks(tmp_path, read(tmp_path, "test"), {})[-1]
