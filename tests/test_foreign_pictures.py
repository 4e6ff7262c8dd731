"""Pictures drawn by any tool: matched by name, by table or not at all; what does not fit is counted or refused."""

from __future__ import annotations

import pytest
from PIL import Image as Pillow

from medbench import api
from medbench.errors import DataError, PlanError, UsageError
from medbench.foreign_pictures import join_pictures, pictures_digest
from medbench.types import Failed, Picture, Sample

SAMPLES = [Sample(id=name, group=name, split="test", prompt=prompt) for name, prompt in (("a", "one"), ("b", "two"), ("c", "two"))]


@pytest.fixture
def folder(tmp_path):
    """Return a function that fills a folder with pictures of these names, each of another size."""

    def fill(*names):
        made = tmp_path / "drawn"
        made.mkdir(exist_ok=True)
        for number, name in enumerate(names, 1):
            Pillow.new("L", (number, 2)).save(made / name)
        return made

    return fill


def table(tmp_path, text):
    path = tmp_path / "prompts.csv"
    path.write_text(text)
    return path


def found(joined):
    return {p.sample: p.value.path.rpartition("/")[2] if isinstance(p.value, Picture) else p.value.kind for p in joined.predictions}


def test_files_named_after_samples_are_theirs(folder):
    joined = join_pictures(folder("c.png", "a.JPG", "other.png"), SAMPLES)
    assert found(joined) == {"a": "a.JPG", "c": "c.png", "b": "model"}
    assert (joined.matched_by, joined.missing, joined.unknown) == ("file name", ("b",), ("other.png",))


def test_sizes_and_digests_are_known(folder):
    picture = join_pictures(folder("a.png", "b.png"), SAMPLES).predictions[1].value
    assert (picture.width, picture.height) == (2, 2)
    assert len(picture.digest) == 32


def test_names_that_mean_nothing_are_dealt_out_and_said_so(folder):
    joined = join_pictures(folder("1.png", "2.png"), SAMPLES)
    assert joined.matched_by == "nothing"
    assert sorted(found(joined).values()) == ["1.png", "2.png", "model"]


def test_a_table_matches_by_id_or_by_prompt(folder, tmp_path):
    drawn = folder("1.png", "2.png", "3.png")
    by_id = join_pictures(drawn, SAMPLES, table(tmp_path, "id,file\nc,1.png\na,3.png\n"))
    assert (by_id.matched_by, found(by_id)) == ("id", {"c": "1.png", "a": "3.png", "b": "model"})
    by_prompt = join_pictures(drawn, SAMPLES, table(tmp_path, "Prompt,Filename\ntwo,1.png\none,2.png\ntwo,3.png\n"))
    assert (by_prompt.matched_by, found(by_prompt)) == ("prompt", {"b": "1.png", "a": "2.png", "c": "3.png"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,file\na,9.png\n", r"line 2: no picture '9\.png'"),
        ("id,file\nz,1.png\n", "line 2: no sample of the split has the id 'z'"),
        ("id,file\na,1.png\na,1.png\n", "2 pictures for the id 'a', which is asked once"),
        ("prompt,file\ntwo,1.png\ntwo,2.png\ntwo,3.png\n", "3 pictures for the prompt 'two', which is asked 2 times"),
        ("id,file\na,1.png\nb,1.png\n", r"line 3: 1\.png was given on line 2 already"),
        ("id,file\na,1.png\nb\n", "line 3: a row without file"),
        ("id,file\n,1.png\n", "line 2: a row without id"),
        ('id,file\n"a,1.png\n', "cannot be read as CSV"),
        ("name,file\na,1.png\n", "needs the columns file, and id or prompt; it has name, file"),
        ("", "needs the columns"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_line(folder, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        join_pictures(folder("1.png", "2.png", "3.png"), SAMPLES, table(tmp_path, text))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_may_be_separated_as_others_separate_theirs_and_have_more_columns(folder, tmp_path, separator):
    text = "\ufeffseed,ID ,file\n7,c,1.png\n8,a,2.png\n".replace(",", separator)
    joined = join_pictures(folder("1.png", "2.png"), SAMPLES, table(tmp_path, text))
    assert found(joined) == {"c": "1.png", "a": "2.png", "b": "model"}


def test_a_name_that_is_nearly_there_is_offered_and_a_list_of_all_is_not(folder, tmp_path):
    with pytest.raises(DataError) as caught:
        join_pictures(folder("11.png"), SAMPLES, table(tmp_path, "id,file\na,12.png\n"))
    assert caught.value.hint == "did you mean 11.png?"
    with pytest.raises(DataError) as caught:
        join_pictures(folder("11.png"), SAMPLES, table(tmp_path, "id,file\nsomething else,11.png\n"))
    assert caught.value.hint == ""


def test_a_table_that_is_absent_or_no_text_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match="cannot be read as CSV"):
        join_pictures(folder("1.png"), SAMPLES, tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes(b"\xff\xfeid")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        join_pictures(folder("1.png"), SAMPLES, tmp_path / "latin.csv")


def test_two_files_named_after_one_sample_are_refused(folder):
    with pytest.raises(DataError, match=r"a\.jpg and a\.png are both named after a"):
        join_pictures(folder("a.jpg", "a.png", "b.png"), SAMPLES)


def test_a_file_that_is_no_picture_is_failed_by_name(folder):
    drawn = folder("a.png", "b.png")
    (drawn / "a.png").write_bytes(b"no picture")
    (drawn / "c.png").write_bytes((drawn / "b.png").read_bytes()[:40])
    whole = bytearray((drawn / "b.png").read_bytes())
    at = whole.index(b"IDAT") + 6
    whole[at : at + 4] = b"xxxx"
    (drawn / "b.png").write_bytes(whole)
    joined = join_pictures(drawn, SAMPLES)
    errors = [p.value.error for p in joined.predictions if isinstance(p.value, Failed)]
    assert errors[::2] == ["a.png: not a picture", "c.png: a truncated PNG"]
    assert errors[1].startswith("b.png: cannot be decoded (")


def test_folders_without_pictures_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in it"):
        join_pictures(tmp_path / "empty", SAMPLES)
    with pytest.raises(DataError, match="No such file"):
        join_pictures(tmp_path / "nowhere", SAMPLES)


def test_the_digest_is_of_names_and_bytes(folder):
    drawn = folder("a.png", "b.png")
    before = pictures_digest(drawn)
    assert pictures_digest(drawn) == before
    (drawn / "b.png").rename(drawn / "c.png")
    assert pictures_digest(drawn) != before


def test_scoring_a_folder_needs_a_task_about_pictures(folder, data, registry):
    with pytest.raises(UsageError, match="not about drawn pictures"):
        api.score(task="fake-vqa", pictures=folder("a.png"), data=data, registry=registry)
    with pytest.raises((PlanError, UsageError)):
        api.score(pictures=folder("a.png"), registry=registry)
