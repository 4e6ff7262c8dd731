"""Scoring without asking: runs that are there get more scores, files of others get the same ones."""

from __future__ import annotations

import csv
import json

import msgspec
import pytest

from medbench import api
from medbench.errors import DataError, PlanError, UsageError
from medbench.events import Note
from medbench.registry import load_registry
from medbench.testing import FakeModel, plugin, write_fake_data
from medbench.types import Text


@pytest.fixture
def score(data, registry, tmp_path):
    """Return a function that scores and returns the last event; `seen` gets all."""

    def carry_out(run=None, *, seen=None, **options):
        events = seen if seen is not None else []
        given = {"runs_dir": tmp_path / "runs", "registry": registry, **options}
        if run is None:
            given = {"task": "fake-vqa", "data": data, **given}
        api.score(run, on_event=events.append, **given)
        return events[-1]

    return carry_out


def predictions_of(finished):
    """Return id -> text (None: failed) of a run's predictions."""
    found = map(msgspec.json.decode, (finished.folder / "predictions.jsonl").read_bytes().splitlines())
    return {one["sample"]: one["value"].get("text") if one["value"]["type"] == "text" else None for one in found}


def jsonl(path, pairs, key="id", text="prediction", **more):
    path.write_text("".join(json.dumps({key: name, text: value, **more}, ensure_ascii=False) + "\n" for name, value in pairs))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "train"}, "--split"),
        ({"limit": 3, "id": "qid"}, "--id, --limit"),
        ({"params": {"prompt": "{question}!"}}, "--param"),
        ({"task": "fake-vqa"}, "--task"),
    ],
)
def test_what_a_run_decides_by_itself_cannot_be_said_again(run, score, options, said):
    folder = run().folder
    with pytest.raises(PlanError) as caught:
        score(folder, **options)
    assert caught.value.problems[0].message == f"{said}: only for --predictions; {folder} has its own"


class TestFiles:
    def test_the_predictions_of_a_run_give_the_runs_scores(self, run, score, tmp_path):
        first = run("fake-faulty", model_options={"reject_on": "heart"}, by=("site",))
        found = predictions_of(first)
        answered = [(name, text) for name, text in found.items() if text is not None]
        made = score(predictions=jsonl(tmp_path / "theirs.jsonl", answered), by=("site",), model="theirs")
        assert made.record.scores == first.record.scores
        assert made.record.contrasts == first.record.contrasts
        assert (made.record.n_failed, made.record.n_missing) == (first.record.n_failed, first.record.n_failed)
        assert made.record.model.name == "theirs"
        assert made.record.model.kind == "predictions"
        assert made.record.data.manifest == first.record.data.manifest

    def test_every_form_gives_the_same_scores(self, run, score, tmp_path):
        pairs = list(predictions_of(run()).items())
        numbers = [(str(100 + int(name[5:])), text) for name, text in pairs]
        with (tmp_path / "x.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("name", "said"), *pairs])
        (tmp_path / "coco.json").write_text(json.dumps([{"image_id": name, "caption": text} for name, text in pairs]))
        made = [
            score(predictions=jsonl(tmp_path / "own.jsonl", reversed(pairs))),
            score(predictions=jsonl(tmp_path / "llava.jsonl", numbers, "question_id", "text"), id="qid"),
            score(predictions=tmp_path / "x.csv", columns={"id": "name", "prediction": "said"}),
            score(predictions=tmp_path / "coco.json"),
        ]
        assert len({one.record.fingerprint for one in made}) == 4
        assert all(one.record.scores == made[0].record.scores for one in made)
        assert made[0].record.scores[0].value == pytest.approx(8 / 12)

    def test_what_did_not_fit_is_said_and_on_record(self, score, tmp_path):
        pairs = [("test-000", "yes"), ("test-000", "yes"), ("zz", "no")]
        seen = []
        made = score(predictions=jsonl(tmp_path / "part.jsonl", pairs), seen=seen)
        said = {event.text for event in seen if isinstance(event, Note)}
        assert "11 without a prediction in part.jsonl, counted as failed: " in next(text for text in said if text.startswith("11"))
        assert "1 in part.jsonl but unknown to this split, left out: zz" in said
        assert "1 more than once in part.jsonl, with the same prediction: test-000" in said
        assert (made.record.n_missing, made.record.n_failed, made.record.n_predictions) == (11, 11, 12)
        assert said == set(made.record.remarks)
        assert not made.record.complete

    def test_conditions_of_a_file_are_scored_apart_and_compared(self, score, run, tmp_path):
        pairs = predictions_of(run())
        rows = [{"id": name, "prediction": text} for name, text in pairs.items()]
        rows += [{"id": name, "prediction": "x", "condition.images": "blank"} for name in pairs]
        (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        made = score(predictions=tmp_path / "x.jsonl")
        assert {one.condition.get("images", "true"): one.value for one in made.record.scores if one.name == "overall"} == {
            "true": pytest.approx(8 / 12),
            "blank": 0.0,
        }
        assert [one.one for one in made.record.contrasts if one.name == "overall"] == ["images=blank"]

    def test_question_text_of_another_split_is_refused(self, score, tmp_path):
        path = jsonl(tmp_path / "x.jsonl", [("test-001", "x")], question="Question 7: yes")
        with pytest.raises(DataError, match=r"the question is not the sample's on 1 of 1 lines \(1\)"):
            score(predictions=path)

    def test_a_changed_file_is_another_run_and_the_same_one_the_same(self, score, tmp_path):
        path = jsonl(tmp_path / "x.jsonl", [("test-000", "yes")])
        one, same = score(predictions=path), score(predictions=path)
        assert (same.record, same.measured) == (one.record, 0)
        other = score(predictions=jsonl(tmp_path / "x.jsonl", [("test-000", "no")]))
        assert other.record.fingerprint != one.record.fingerprint

    def test_a_limit_leaves_out_the_other_samples(self, score, run, tmp_path):
        path = jsonl(tmp_path / "x.jsonl", predictions_of(run()).items())
        assert score(predictions=path, limit=4).record.scores == run(limit=4).record.scores

    def test_a_twin_is_written_for_it(self, score, tmp_path):
        made = score(predictions=jsonl(tmp_path / "x.jsonl", [("test-000", "yes")]), data="twin")
        assert made.record.data.n == 15

    def test_mistakes_of_the_plan_are_gathered(self, score, tmp_path):
        path = jsonl(tmp_path / "x.jsonl", [("test-000", "yes")])
        with pytest.raises(PlanError) as caught:
            score(predictions=path, metrics=("zzz",), split="val")
        assert len(caught.value.problems) == 2

    @pytest.mark.parametrize(
        ("options", "said"),
        [({}, "nothing to score"), ({"task": "", "predictions": "x"}, "nothing to score"), ({"run": "x", "predictions": "y"}, "both")],
    )
    def test_something_to_score_must_be_named(self, score, options, said):
        with pytest.raises(UsageError, match=said):
            score(options.pop("run", None), **options)


class TestRuns:
    def test_scores_are_added_and_others_stay(self, run, score):
        first = run()
        made = score(first.record.fingerprint, conventions=("medbench",))
        assert made.record.scores[: len(first.record.scores)] == first.record.scores
        assert {one.convention["vqa"] for one in made.record.scores} == {"exact@1", "medbench@1"}
        assert set(made.record.signatures) == {"vqa-exact@1", "vqa-medbench@1"}
        assert api.load_run(first.folder) == made.record
        assert run().record == made.record, "running again adds to it too"

    def test_scoring_twice_changes_no_byte(self, run, score):
        first = run()
        before = (first.folder / "run.json").read_bytes()
        assert score(str(first.folder)).measured == 0
        assert (first.folder / "run.json").read_bytes() == before

    def test_a_moved_run_needs_neither_data_nor_model(self, run, score, data, tmp_path):
        first = run("fake-faulty", model_options={"raise_on": "heart"})
        data.rename(tmp_path / "gone")
        moved = first.folder.rename(tmp_path / "moved")
        made = score(moved, conventions=("medbench",), by=("site",), seed=3)
        assert made.folder == moved
        assert made.record.n_failed == first.record.n_failed
        assert {one.subgroup.get("site") for one in made.record.scores} == {None, "east", "west"}

    def test_another_seed_moves_the_intervals_alone(self, run, score):
        first = run()
        made = score(first.folder, seed=5)
        assert [one.value for one in made.record.scores] == [one.value for one in first.record.scores]
        assert made.record.scores[0].method.endswith("seed 5")

    def test_changed_predictions_are_not_taken_for_the_old_ones(self, run):
        first = run(FakeModel("yes"))
        other = run(FakeModel("no"), fresh=True)
        assert other.folder == first.folder
        assert other.record.scores != first.record.scores
        assert other.measured == 1

    def test_problems_are_gathered(self, run, score):
        first = run()
        with pytest.raises(PlanError) as caught:
            score(first.folder, metrics=("zzz",), conventions=("yyy",), judge="xxx")
        assert [problem.message for problem in caught.value.problems] == [
            "no metric named zzz",
            "no model named xxx",
        ]
        with pytest.raises(PlanError, match="1 problem") as caught:
            score(first.folder, conventions=("yyy",))
        assert caught.value.problems[0].message == "no convention named yyy"
        with pytest.raises(UsageError, match="no run named"):
            score("none-such")


class TestJudges:
    """A metric that asks: fake-echo is the judge, which gives back the last word of what it is asked."""

    @pytest.fixture
    def registry(self):
        from medbench.cards import MetricCard, ModelCard, ScoreFacts
        from medbench.hookspecs import hookimpl

        class Offers:
            @hookimpl
            def medbench_cards(self):
                facts = ScoreFacts(unit="score", low=0, high=5)
                yield MetricCard(name="agreed", load=f"{__name__}:Agreed", takes=("text",), asks=("judge",), scores={"agreed": facts})
                yield ModelCard(name="remote", load="medbench.testing.models:Echo", can=("generate",), isolated=False, networked=True)

        return load_registry(plugin, Offers())

    def test_a_judge_is_asked_once_and_its_word_kept(self, run, registry, tmp_path):
        first = run(metrics=("vqa", "agreed"), judge="fake-echo", registry=registry)
        (found,) = [one for one in first.record.scores if one.metric == "agreed"]
        assert (found.value, found.n, found.n_unscored) == (5.0, 12, 0)
        assert len(list((tmp_path / "runs" / "outputs").glob("fake-echo-*"))) == 1
        assert run(metrics=("vqa", "agreed"), judge="fake-echo", registry=registry).measured == 0

    def test_what_a_judge_cannot_mark_is_unscored_and_no_number(self, run, registry):
        options = {"metrics": ("agreed",), "judge": "fake-faulty", "judge_options": {"raise_on": "heart"}, "registry": registry}
        finished = run(**options)
        (found,) = finished.record.scores
        assert (found.value, found.n + found.n_unscored, found.n_unscored > 0) == (5.0, 12, True)
        assert found.coverage < 1
        assert not finished.record.complete

    def test_what_a_judge_costs_is_on_record_and_kept_when_it_is_not_asked_again(self, run, registry, score):
        first = run(metrics=("agreed",), judge="remote", registry=registry)
        bill = first.record.costs["judge"]
        assert (bill.answers, bill.usd) == (0, None)
        assert "model" not in first.record.costs
        made = score(first.folder, metrics=("vqa",), registry=registry)
        assert made.record.costs == first.record.costs

    def test_without_a_judge_the_plan_cannot_run_and_a_run_keeps_its_scores(self, run, registry, score):
        with pytest.raises(PlanError, match="cannot run"):
            run(metrics=("agreed",), registry=registry)
        first = run(metrics=("agreed",), judge="fake-echo", registry=registry)
        with pytest.raises(PlanError):
            score(first.folder, metrics=("agreed",), registry=registry)
        made = score(first.folder, metrics=("vqa",), registry=registry)
        assert {one.metric for one in made.record.scores} == {"agreed", "vqa"}

    def test_another_judge_gives_its_own_word(self, run, registry, score):
        first = run(metrics=("agreed",), judge="fake-echo", registry=registry)
        made = score(first.folder, metrics=("agreed",), judge="fake-echo", judge_options={"suffix": "!"}, registry=registry)
        kept, found = made.record.scores
        assert kept == first.record.scores[0]
        assert (found.value, found.n_unscored) == (None, 12)
        judges = [signature["judge"] for signature in made.record.signatures.values()]
        assert [score.convention["by"] for score in (kept, found)] == judges
        assert len(set(judges)) == 2

    def test_guarded_text_goes_to_no_judge_elsewhere(self, run, registry, score, tmp_path):
        guarded = write_fake_data(tmp_path / "guarded", access="credentialed")
        first = run(data=guarded, registry=registry)
        with pytest.raises(PlanError) as caught:
            score(first.folder, metrics=("agreed",), judge="remote", registry=registry)
        assert "remote would send fake-qa (credentialed data)" in caught.value.problems[0].message
        twin = write_fake_data(tmp_path / "twin")
        with pytest.raises(PlanError):
            score(first.folder, metrics=("agreed",), judge="remote", registry=registry, data=twin)
        made = score(first.folder, metrics=("agreed",), judge="remote", permission="DUA 7", registry=registry)
        (stated,) = made.record.overrides["permission_to_send"]
        assert (stated["reason"], stated["to"]) == ("DUA 7", ["remote"])


class Agreed:
    """Asks the judge to say 5 about each answer."""

    def __init__(self, convention=None): ...

    def measure(self, pairs):
        from medbench.types import Generate

        replies = yield "judge", [Generate(prompt=f"mark {pair.value.text} of {pair.sample.id}: 5") for pair in pairs]
        return [5.0 if reply == Text(text="5", finish_reason="stop") else float("nan") for reply in replies]

    def reduce(self, rows, weights):
        import numpy as np

        marks = np.array(rows)
        scored = ~np.isnan(marks)
        total = (weights * scored).sum(axis=1)
        values = np.divide(weights @ np.where(scored, marks, 0), total, out=np.full(len(weights), np.nan), where=total > 0)
        return {"agreed": (values, scored)}

    def flags(self, rows):
        import numpy as np

        return {"unscored": np.isnan(np.array(rows))}


def test_a_failure_in_a_file_is_a_failure(score, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "test-000", "prediction": null}\n{"id": "test-001", "prediction": ""}\n')
    made = score(predictions=path)
    values = [msgspec.json.decode(line)["value"] for line in (made.folder / "predictions.jsonl").read_bytes().splitlines()]
    assert values[0] == {"type": "failed", "kind": "model", "error": "x.jsonl:1: no prediction"}
    assert (made.record.n_failed, made.record.n_missing, made.record.n_empty) == (11, 10, 1)
