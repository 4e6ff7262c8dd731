"""Who is refused, with which reason, and what is marked beside those who may stand."""

from __future__ import annotations

import msgspec
import pytest

from medbench.errors import UsageError
from medbench.leaderboard.admission import contaminated, marks, pinned_by, problems
from medbench.leaderboard.building import build, hold
from medbench.leaderboard.entries import Source
from medbench.leaderboard.making import Stated
from medbench.record import ModelFacts

COMMIT = "4c1f" * 10


@pytest.fixture
def board(place):
    return place.write()


@pytest.fixture
def entry(settled):
    return settled[1]


def _model(entry, **changed):
    return msgspec.structs.replace(entry, model=msgspec.structs.replace(entry.model, **changed))


def _result(entry, **changed):
    return msgspec.structs.replace(entry, results=(msgspec.structs.replace(entry.results[0], **changed),))


def _data(entry, **changed):
    return _result(entry, data=msgspec.structs.replace(entry.results[0].data, **changed))


def _score(entry, **changed):
    cell = entry.results[0].cells[0]
    return _result(entry, cells=(msgspec.structs.replace(cell, score=msgspec.structs.replace(cell.score, **changed)),))


def test_a_run_that_follows_the_rules_may_stand(entry, board):
    assert problems(entry, board) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: _data(e, limit=5), "only 5 samples were run"),
        (lambda e: _data(e, synthetic=False), "the data is real, the board is about synthetic data"),
        (lambda e: _data(e, manifest="f" * 32), "other samples than the board's"),
        (lambda e: _result(e, n_failed=1), "1 of 12 samples failed, the board allows 0.0%"),
        (lambda e: _score(e, n_failed=2), "2 samples are not in vqa/overall"),
        (lambda e: _score(e, n_unscored=2), "2 samples are not in vqa/overall"),
        (lambda e: _score(e, convention={"vqa": "medbench@1"}), "is under vqa=medbench@1, the board's is vqa=exact@1"),
        (lambda e: _score(e, name="other"), "none of the board's scores is in it"),
        (lambda e: _result(e, protocol="report"), "protocol report, the board's is vqa"),
        (lambda e: _result(e, task="another"), "another is no task of the board fake"),
        (lambda e: msgspec.structs.replace(e, results=()), "it has no result"),
        (lambda e: msgspec.structs.replace(e, results=e.results * 2), "stands in it twice"),
        (lambda e: msgspec.structs.replace(e, board="other"), "an entry of the board other"),
        (lambda e: msgspec.structs.replace(e, source=Source()), "weights are unpinned: a hub id without a revision"),
        (lambda e: msgspec.structs.replace(_model(e, networked=True), source=Source()), "on somebody else's machine"),
        (lambda e: msgspec.structs.replace(_model(e, kind="predictions"), source=Source()), "does not say what made it"),
        (lambda e: _model(e, kind="oracle"), "an oracle knows the answers"),
        (lambda e: _model(e, untrained=True), "its weights are random"),
    ],
)
def test_what_speaks_against_an_entry_is_said(entry, board, change, said):
    (found,) = problems(change(entry), board)
    assert said in found.message
    assert found.hint


def test_every_reason_is_told_at_once_and_by_name(place, board, entry):
    place.add(board, _model(_data(entry, limit=5), kind="oracle"))
    with pytest.raises(UsageError) as caught:
        hold(board)
    assert caught.value.message.startswith("fake: fake-echo cannot enter: an oracle")
    assert "and fake-echo: fake-vqa: only 5 samples" in caught.value.hint


def test_too_few_replicates_are_refused(place, board, entry):
    cell = entry.results[0].cells[1]
    short = _result(entry, cells=(msgspec.structs.replace(entry.results[0].cells[0], replicates=cell.replicates),))
    (found,) = problems(short, board)
    assert "1,000 replicates, the board needs 10,000" in found.message


def test_a_board_may_allow_failures_random_weights_and_unpinned_ones(place, entry):
    board = place.write(head='max_failed = 0.1\nuntrained = true\nunpinned = "mark"\n')
    lax = msgspec.structs.replace(_model(_result(entry, n_failed=1), untrained=True), source=Source())
    assert problems(lax, board) == []
    assert marks(lax) == ["untrained", "weights not pinned", "1 failed"]


def test_a_board_may_take_baselines_alone(place, entry):
    board = place.write(head='enter = ["baseline"]\n')
    assert "a model may not enter" in problems(entry, board)[0].message
    assert problems(_model(entry, kind="baseline"), board) == []


def test_parameters_that_a_board_pins_must_agree(place, entry):
    board = place.write(task="params = { max_new_tokens = 16 }\n")
    assert "max_new_tokens is 8, the board's is 16" in problems(entry, board)[0].message


def test_nobody_enters_a_board_that_pins_no_manifest(place, entry):
    board = place.write()
    loose = msgspec.structs.replace(board, tasks=(msgspec.structs.replace(board.tasks[0], manifest=""),))
    (found,) = problems(entry, loose)
    assert "pins no manifest" in found.message
    assert f'manifest = "{entry.results[0].data.manifest}"' in found.hint


def test_trivial_baselines_stand_on_every_board(place):
    board = place.write(task='baselines = ["majority"]\n')
    assert hold(board).entries == ()
    place.add(board, place.entry(board))
    with pytest.raises(UsageError, match="the baseline majority is missing for fake-vqa"):
        build(place.root)
    place.add(board, place.entry(board, "majority"))
    (held,) = build(place.root)
    assert [row.marks for row in held.table.rows if row.entry == "majority"] == [("baseline",)]


def test_what_a_model_was_trained_on_is_held_against_the_data(place, board):
    entry = place.entry(board, stated=Stated(trained_on=("Fake_QA", "mimic-cxr")))
    assert contaminated(entry) == ["fake-qa"]
    assert "saw fake-qa in training" in marks(entry)


def test_a_stated_permission_is_marked(entry):
    stated = {"reason": "DUA 7", "to": ["api.x.org"], "date": "2026-01-31"}
    found = marks(_result(entry, overrides={"permission_to_send": [stated]}))
    assert "permission to send to api.x.org: DUA 7 (stated 2026-01-31)" in found


@pytest.mark.parametrize(
    ("facts", "isolated", "stated", "pinned"),
    [
        ({}, False, "", "code alone"),
        ({}, True, "", ""),
        ({"options": {"weights": "org/model"}}, True, "", ""),
        ({"options": {"weights": "org/model", "revision": "main"}}, True, "", ""),
        ({"options": {"weights": "org/model", "revision": COMMIT}}, True, "", f"org/model, {COMMIT}"),
        ({"options": {"weights": "sha256:" + "a" * 32}}, True, "", "sha256:" + "a" * 32),
        ({"options": {"weights": "org/model"}, "loaded": {"weights_digest": "a" * 32}}, True, "", "org/model, " + "a" * 32),
        ({"options": {"weights": "sha256:" + "a" * 32, "adapter": "org/lora"}}, True, "", ""),
        ({"loaded": {"base": {"weights_sha256": "b" * 64}}}, True, "", "b" * 64),
        ({"loaded": {"digest": "not a digest"}}, True, "", ""),
        ({"fitted": {"manifest": "c" * 32}}, False, "", "fitted on cccccccccccc"),
        ({"networked": True, "loaded": {"digest": "a" * 32}}, True, "", ""),
        ({"kind": "predictions", "loaded": {"sha256": "d" * 64}}, True, "", ""),
        ({"kind": "predictions"}, True, f"org/model@{COMMIT}", f"org/model@{COMMIT}"),
        ({"kind": "predictions"}, True, "org/model@main", ""),
    ],
)
def test_weights_are_pinned_by_digest_revision_or_fit(facts, isolated, stated, pinned):
    model = ModelFacts(**{"name": "m", "identity": "m-1", **facts})
    assert pinned_by(model, ("weights", "adapter"), isolated=isolated, stated=stated) == pinned
