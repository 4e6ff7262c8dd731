"""Deriving an entry's numbers again, packing a submission, and references that are held back."""

from __future__ import annotations

import json

import msgspec
import pytest

from medbench.errors import FoundError, UsageError
from medbench.leaderboard.admission import problems
from medbench.leaderboard.building import build
from medbench.leaderboard.completing import complete_entry
from medbench.leaderboard.deriving import blind_digest
from medbench.leaderboard.entries import pack_replicates, read_entry, sealed, write_entry
from medbench.leaderboard.packing import pack
from medbench.leaderboard.verifying import gather, is_verified, verify, write_verified
from medbench.testing import write_fake_data


@pytest.fixture
def packed(place, tmp_path):
    """A board, an entry on it, and its submission."""
    board = place.write()
    entry = place.entry(board)
    return board, entry, pack(place.folder, entry, board, tmp_path / "submission", place.registry)


def _verify(place, data, entry, board, predictions, rows=None):
    (result,) = entry.results
    return verify(entry, result, gather(result, predictions, str(data), place.registry), board, place.registry, rows=rows)


def test_what_was_packed_is_derived_again_to_the_last_replicate(place, data, packed):
    board, _, out = packed
    made = _verify(place, data, read_entry(out / "entry.json"), board, out / "predictions.jsonl")
    assert made.ok
    assert [(score.key, score.status, score.off) for score in made.scores] == [
        ("vqa/overall", "re-derived", 0.0),
        ("vqa/closed", "re-derived", 0.0),
    ]


def test_a_claimed_value_that_does_not_follow_is_found_even_with_a_fitting_hash(place, data, packed):
    board, entry, out = packed
    (result,) = entry.results
    cell = msgspec.structs.replace(result.cells[0], score=msgspec.structs.replace(result.cells[0].score, value=0.9))
    fraud = sealed(msgspec.structs.replace(entry, results=(msgspec.structs.replace(result, cells=(cell, *result.cells[1:])),)))
    made = _verify(place, data, fraud, board, out / "predictions.jsonl")
    assert [score.status for score in made.scores] == ["differs", "re-derived"]
    assert not made.ok


@pytest.mark.parametrize("change", [lambda v: v + 1e-4, lambda v: v[:5_000]])
def test_replicates_that_do_not_follow_are_found(place, data, packed, change):
    board, entry, out = packed
    (result,) = entry.results
    cell = msgspec.structs.replace(result.cells[0], replicates=pack_replicates(change(result.cells[0].array())))
    fraud = sealed(msgspec.structs.replace(entry, results=(msgspec.structs.replace(result, cells=(cell, *result.cells[1:])),)))
    assert _verify(place, data, fraud, board, out / "predictions.jsonl").scores[0].status == "differs"


def test_other_predictions_and_other_data_are_said(place, tmp_path, data, packed):
    board, entry, out = packed
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    lines[0]["value"]["text"] = "something else"
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "another digest" in _verify(place, data, entry, board, changed).remarks[0]
    other = write_fake_data(tmp_path / "other", seed=5)
    remarks = _verify(place, other, entry, board, out / "predictions.jsonl").remarks
    assert [text.split(":")[0] for text in remarks] == ["other data than the board's", "other data than the entry's"]


def test_a_plain_predictions_file_can_be_verified_too(place, data, packed, tmp_path):
    board, entry, out = packed
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    plain = tmp_path / "plain.jsonl"
    plain.write_text("".join(json.dumps({"id": row["sample"], "prediction": row["value"]["text"]}) + "\n" for row in rows))
    made = _verify(place, data, entry, board, plain)
    assert {score.status for score in made.scores} == {"re-derived"}


def test_a_verified_entry_is_marked_until_it_changes(place, data, packed):
    board, entry, out = packed
    write_entry(place.root / "fake", entry)
    write_verified(place.root / "fake", _verify(place, data, entry, board, out / "predictions.jsonl"))
    assert [row.verified for row in build(place.root)[0].table.rows] == [True]
    assert "| yes |" in (place.root / "fake" / "table.md").read_text()
    place.add(board, entry, system="renamed")
    assert [row.verified for row in build(place.root)[0].table.rows] == [False]


def test_a_submission_holds_no_path_and_no_reference(packed, tmp_path):
    _, entry, out = packed
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "entry.json", "predictions.jsonl", "rows"]
    for path in out.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes()
    assert f"`{entry.hash}`" in (out / "README.md").read_text()


def test_packing_overwrites_nothing(place, packed):
    board, entry, out = packed
    with pytest.raises(UsageError, match="something in it already"):
        pack(place.folder, entry, board, out, place.registry)


def test_of_guarded_data_neither_predictions_nor_rows_are_packed(place, tmp_path):
    board = place.write()
    entry = place.entry(board, data=write_fake_data(tmp_path / "guarded", access="credentialed"))
    out = pack(place.folder, entry, board, tmp_path / "submission", place.registry)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "entry.json"]
    note = (out / "README.md").read_text()
    assert entry.results[0].predictions in note
    assert "medbench leaderboard verify entry.json --board fake --predictions PREDICTIONS --data DIR" in note


def test_what_a_failure_said_is_not_packed(place, tmp_path):
    board = place.write(head="max_failed = 0.5\n")
    entry = place.entry(board, "fake-faulty", model_options={"raise_on": "Question 3:"})
    out = pack(place.folder, entry, board, tmp_path / "submission", place.registry)
    assert "told to raise" in place.folder.predictions.read_text()
    assert "told to raise" not in (out / "predictions.jsonl").read_text()


@pytest.fixture
def hidden(place, tmp_path):
    """A board whose references are held back, and a submission that was made without them."""
    place.run()
    blind = blind_digest(place.folder.read_samples())
    board = place.write(head='references = "private"\n', task=f'blind = "{blind}"\n')
    entry = place.entry(board)
    (result,) = entry.results
    bare = msgspec.structs.replace(result, cells=(), others=(), contrasts=(), data=msgspec.structs.replace(result.data, manifest="0" * 32))
    submitted = sealed(msgspec.structs.replace(entry, results=(bare,)))
    return board, submitted, pack(place.folder, submitted, board, tmp_path / "submission", place.registry), entry


def test_held_back_references_are_scored_by_the_maintainer_to_the_same_entry(place, data, hidden, tmp_path):
    board, submitted, out, whole = hidden
    assert problems(submitted, board, submitted=True) == []
    assert "not scored yet" in [found.message for found in problems(submitted, board)][-1]
    (result,) = submitted.results
    material = gather(result, out / "predictions.jsonl", str(data), place.registry)
    made = complete_entry(submitted, result, material, board, place.registry, tmp_path / "scored.json")
    assert read_entry(tmp_path / "scored.json") == made
    assert [cell.replicates for cell in made.results[0].cells] == [cell.replicates for cell in whole.results[0].cells]
    assert [cell.score.value for cell in made.results[0].cells] == [cell.score.value for cell in whole.results[0].cells]
    assert problems(made, board) == []
    assert _verify(place, data, made, board, out / "predictions.jsonl").ok


def test_predictions_for_other_samples_are_not_scored(place, hidden, tmp_path, data):
    board, submitted, out, _ = hidden
    (result,) = submitted.results
    material = gather(result, out / "predictions.jsonl", str(data), place.registry)
    other = msgspec.structs.replace(result, blind="f" * 32)
    with pytest.raises(FoundError, match="predicted for other samples"):
        complete_entry(submitted, other, material, board, place.registry, tmp_path / "x.json")
    open_ = msgspec.structs.replace(board, references="public")
    with pytest.raises(UsageError, match="public references"):
        complete_entry(submitted, result, material, open_, place.registry, tmp_path / "x.json")


def test_a_blind_digest_sees_what_a_model_sees_and_no_reference(place):
    place.run()
    samples = place.folder.read_samples()
    without = [msgspec.structs.replace(sample, references=(), labels={}, meta={}) for sample in samples]
    asked = [msgspec.structs.replace(samples[0], prompt="another"), *samples[1:]]
    assert blind_digest(without) == blind_digest(samples[::-1]) == blind_digest(samples)
    assert blind_digest(asked) != blind_digest(samples)


def test_an_entry_with_several_tasks_is_verified_when_all_of_them_are(place, data, packed):
    board, entry, out = packed
    made = _verify(place, data, entry, board, out / "predictions.jsonl")
    second = msgspec.structs.replace(entry.results[0], task="another")
    both = msgspec.structs.replace(entry, results=(*entry.results, second))
    assert is_verified(entry, {entry.hash: {"fake-vqa": made}})
    assert not is_verified(both, {entry.hash: {"fake-vqa": made}})
    assert is_verified(both, {entry.hash: {"fake-vqa": made, "another": made}})
    assert not is_verified(entry, {"another hash": {"fake-vqa": made}})
