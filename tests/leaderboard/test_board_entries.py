"""Entries: made of runs, written and read back, and refused when they are not what was written."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from medbench.errors import DataError, UsageError
from medbench.identity import digest_of
from medbench.leaderboard.entries import read_entries, read_entry, write_entry
from medbench.leaderboard.making import Stated, make_entry, slug
from medbench.runs import RunFolder


def test_an_entry_has_the_runs_scores_and_the_boards_replicates(place):
    board = place.write()
    record = place.run()
    entry = make_entry(place.folder, board, place.registry, Stated(system="Echo", seconds=2.5))
    (result,) = entry.results
    assert (entry.id, entry.system, entry.board) == ("echo", "Echo", "fake")
    assert [(cell.score, len(cell.array())) for cell in result.cells] == [
        (next(s for s in record.scores if s.name == name), count) for name, count in (("overall", 10_000), ("closed", 1_000))
    ]
    assert result.data.manifest == board.tasks[0].manifest
    assert entry.source.weights == "code alone"
    assert result.cost.seconds == 2.5
    assert [score.name for score in result.others] == ["open"]


def test_replicates_scatter_around_the_value_and_are_shared_whatever_the_runs_seed(place):
    board = place.write()
    one, other = place.entry(board), place.entry(board, seed=7)
    replicates = one.cell("fake-vqa:vqa/overall").array()
    assert np.array_equal(replicates, other.cell("fake-vqa:vqa/overall").array())
    assert abs(replicates.mean() - one.cell("fake-vqa:vqa/overall").score.value) < 0.01
    assert 0.05 < replicates.std() < 0.2


def test_the_same_run_gives_the_same_bytes(place):
    board = place.write()
    first = write_entry(place.root / "fake", place.entry(board)).read_bytes()
    assert write_entry(place.root / "fake", place.entry(board)).read_bytes() == first


def test_no_path_of_this_machine_is_in_an_entry(place, tmp_path):
    board = place.write(head='unpinned = "mark"\n')
    raw = write_entry(place.root / "fake", place.entry(board)).read_text()
    assert str(tmp_path) not in raw


@pytest.mark.parametrize(("name", "made"), [("A/B (x=1)", "a-b-x-1"), ("../../etc", "etc"), ("模型", "unnamed"), ("a..b", "a-b")])
def test_ids_are_path_safe(name, made):
    assert slug(name) == made


@pytest.mark.parametrize("file", ["predictions.jsonl", "samples.jsonl"])
def test_a_run_folder_that_was_edited_is_refused(place, file):
    board = place.write()
    place.run()
    path = place.folder.path / file
    path.write_text(path.read_text().replace("heart", "liver").replace("yes", "no"))
    with pytest.raises(DataError, match="edited"):
        make_entry(place.folder, board, place.registry, Stated())


def test_a_record_that_does_not_follow_from_its_rows_is_refused(place):
    board = place.write()
    place.run()
    raw = json.loads(place.folder.record.read_text())
    next(score for score in raw["scores"] if score["name"] == "overall")["value"] = 0.99
    place.folder.record.write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"overall is 0.99, the run's own rows give 0.66.*edited"):
        make_entry(place.folder, board, place.registry, Stated())


def test_a_run_without_the_boards_convention_is_told_how_to_get_it(place):
    place.run()
    board = place.write()
    other = msgspec.structs.replace(board, tasks=(msgspec.structs.replace(board.tasks[0], conventions={"vqa": "medbench@1"}),))
    with pytest.raises(UsageError, match="not in the record under the board's convention") as caught:
        make_entry(place.folder, other, place.registry, Stated())
    assert "--convention vqa=medbench@1" in caught.value.hint


def test_a_run_of_another_task_is_refused(place):
    board = place.write()
    place.run()
    other = msgspec.structs.replace(board, tasks=(msgspec.structs.replace(board.tasks[0], name="another"),))
    with pytest.raises(UsageError, match="fake-vqa is no task of the board fake"):
        make_entry(place.folder, other, place.registry, Stated())


@pytest.fixture
def path(place, settled):
    """The file of an entry."""
    place.write()
    return write_entry(place.root / "fake", settled[1])


def _edit(path, change):
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def test_an_edited_entry_is_found_by_its_hash(path):
    _edit(path, lambda raw: raw["results"][0]["cells"][0]["score"].update(value=0.9))
    with pytest.raises(DataError, match="it was edited"):
        read_entry(path)


def test_the_hash_is_of_what_the_file_says_so_that_a_field_of_a_later_version_changes_nothing(path):
    entry = read_entry(path)
    raw = json.loads(path.read_text())
    raw["results"][0]["cells"][0]["score"].pop("worst_case")  # as an older version, without this field, would have written it
    raw.pop("hash")
    raw["hash"] = digest_of(raw)
    path.write_text(json.dumps(raw))
    read = read_entry(path)
    assert msgspec.structs.replace(read, hash="") == msgspec.structs.replace(entry, hash="")
    assert read.hash != entry.hash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.update(surprise=1), "unknown field `surprise`"),
        (lambda raw: raw.update(schema_version=99), "schema 99"),
        (lambda raw: raw.update(schema_version="new"), "schema new"),
        (lambda raw: raw.update(id="../../x"), "no id"),
        (lambda raw: raw.update(id="a..b"), "no id"),
        (lambda raw: raw.update(id="<b>"), "no id"),
        (lambda raw: raw.pop("model"), "missing required field `model`"),
        (lambda raw: raw["results"][0]["cells"][0].update(replicates="AAA"), "edited"),
    ],
)
def test_entries_that_are_not_as_they_should_be_are_refused_by_name(path, change, said):
    _edit(path, change)
    with pytest.raises(DataError, match=said) as caught:
        read_entry(path)
    assert str(path) in caught.value.message


def test_a_number_that_is_none_is_refused(path):
    path.write_text(path.read_text().replace('"level": 0.95', '"level": NaN', 1))
    with pytest.raises(DataError, match="malformed"):
        read_entry(path)


@pytest.mark.parametrize(("packed", "said"), [("AAA", "cannot be read"), ("AACAfw==", "infinity"), ("AAAA", "cannot be read")])
def test_replicates_that_are_no_numbers_are_refused_even_with_a_fitting_hash(place, settled, packed, said):
    board, entry = place.write(), settled[1]
    (result,) = entry.results
    cells = (msgspec.structs.replace(result.cells[0], replicates=packed),)
    path = write_entry(place.root / "fake", place.add(board, entry, results=(msgspec.structs.replace(result, cells=cells),)))
    with pytest.raises(DataError, match=said):
        read_entry(path)


def test_a_file_is_named_as_its_entry_and_two_entries_have_two_names(path):
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="its id is 'fake-echo'"):
        read_entries(path.parents[1])
    copy.rename(path.with_name("fake-echo.JSON"))
    with pytest.raises(DataError, match="fake-echo"):
        read_entries(path.parents[1])


def test_a_second_task_joins_the_entry_of_the_same_system(place):
    board = place.write()
    entry = place.entry(board)
    again = make_entry(RunFolder(place.folder.path), board, place.registry, Stated(), entry)
    assert again == entry
