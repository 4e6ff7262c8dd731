"""Fitting: what is learnt from, what is written, what is never done twice, and every way to be refused."""

from __future__ import annotations

import msgspec
import pytest

from medbench import api
from medbench.errors import DataError, PlanError, UsageError
from medbench.events import Fitting, Note
from medbench.fitting import FitOptions, plan_fit
from medbench.record import to_json
from medbench.testing import write_fake_data


@pytest.fixture
def fit(data, registry, tmp_path):
    """Return a function that fits; `seen` gets the events."""

    def carry_out(model="fake-learner", *, task="fake-vqa", seen=None, **options):
        given = {"data": data, "out": tmp_path / "fitted", "registry": registry, **options}
        return api.fit(model, task, on_event=seen.append if seen is not None else None, **given)

    return carry_out


def problems(registry, **options):
    given = {"model": "fake-learner", "tasks": ("fake-vqa",), "out": "fitted", **options}
    return [problem.message for problem in plan_fit(FitOptions(**given), registry)[1]]


def test_a_fitted_model_answers_from_what_it_learnt(fit, run, tmp_path):
    fitted = fit()
    assert fitted.facts == {"n_known": 10, "n_validation": 2, "seed": 0}
    before, after = run("fake-learner").record, run("fake-learner", model_options={"weights": str(tmp_path / "fitted")}).record
    assert before.model.untrained
    assert not after.model.untrained
    assert after.n_empty < before.n_empty == 12
    assert before.model.identity != after.model.identity


def test_the_folder_says_what_it_was_fitted_on(fit, tmp_path):
    fitted = fit(seed=3)
    stated = msgspec.json.decode((tmp_path / "fitted" / "fit.json").read_bytes())
    assert stated == msgspec.to_builtins(fitted)
    assert stated["synthetic"] is True
    facts = stated["tasks"]["fake-vqa"]
    assert (facts["dataset"], facts["n"], facts["n_validation"]) == ("fake-qa", 10, 2)
    assert facts["validation"] == "held out of train by hash of the group"


def test_what_is_held_out_shares_no_group_with_what_is_learnt(fit):
    seen = []
    fit(seen=seen)
    (known,) = [event.values["known"] for event in seen if isinstance(event, Fitting) and "known" in event.values]
    assert known == 0  # every question of the fake data is asked once


def test_a_baseline_learns_from_all_of_train_as_it_does_in_a_run(fit, run, tmp_path):
    fitted = fit("majority")
    assert fitted.tasks["fake-vqa"]["n"] == 12
    by_hand = run("majority", model_options={"weights": str(tmp_path / "fitted")}).record
    assert by_hand.scores == run("majority").record.scores


def test_the_same_fit_again_does_nothing(fit, tmp_path):
    seen = []
    first = fit()
    (tmp_path / "fitted" / "known.json").write_text("{}")
    assert fit(seen=seen) == first
    assert [type(event) for event in seen] == [Note]
    assert (tmp_path / "fitted" / "known.json").read_text() == "{}"


def test_a_fit_on_something_else_is_not_overwritten_unless_told(fit, tmp_path):
    first = fit()
    with pytest.raises(UsageError, match=f"holds fake-learner fitted on something else \\({first.fingerprint}\\)"):
        fit(seed=1)
    interrupted = tmp_path / "fitted.partial"
    interrupted.mkdir()
    (interrupted / "progress.json").write_text("{}")
    (tmp_path / "fitted" / "old.bin").write_text("")
    assert fit(seed=1, fresh=True).fingerprint != first.fingerprint
    assert not interrupted.exists(), "fitting anew does not go on where an interrupted fit was"
    assert not (tmp_path / "fitted" / "old.bin").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(fit, tmp_path):
    (tmp_path / "fitted").mkdir()
    (tmp_path / "fitted" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        fit()


def test_a_fit_that_was_stopped_before_its_facts_were_written_goes_on(fit, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("medbench.fitting.to_json", lambda made: killed() if made.facts else to_json(made))
        with pytest.raises(KeyboardInterrupt):
            fit()
    assert (tmp_path / "fitted" / "known.json").is_file()
    with pytest.raises(UsageError, match=r"known\.json"):
        fit(seed=1)
    assert fit().facts["n_known"] == 10
    assert sorted(path.name for path in tmp_path.glob("fitted*")) == ["fitted"]


def test_fitting_anew_replaces_what_was_stopped_midway(fit, tmp_path):
    (tmp_path / "fitted").mkdir()
    (tmp_path / "fitted" / "half.bin").write_bytes(b"0")
    (tmp_path / "fitted.begun.json").write_text("{}")
    fit(fresh=True)
    assert not (tmp_path / "fitted" / "half.bin").exists()


def test_samples_whose_image_is_broken_are_left_out_in_words(fit, data):
    broken = sorted(data.rglob("*train*"))
    picture = next(path for path in broken if path.is_file())
    picture.write_bytes(b"")
    seen = []
    fit(seen=seen)
    assert any(isinstance(event, Note) and "train samples are left out" in event.text for event in seen)


def test_nothing_readable_is_nothing_to_learn(fit, data):
    for path in data.rglob("*train*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(DataError, match="no train sample has anything to learn from"):
        fit()


def test_weights_from_guarded_data_say_so(fit, tmp_path):
    guarded = write_fake_data(tmp_path / "guarded", access="credentialed")
    fitted = fit(data=guarded)
    assert fitted.access == "credentialed"
    assert "credentialed" in (tmp_path / "fitted" / "DATA-USE.txt").read_text()
    assert (tmp_path / "fitted").stat().st_mode & 0o077 == 0


def test_of_several_processes_only_the_main_one_writes(fit, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    fit()
    assert not (tmp_path / "fitted" / "fit.json").exists()


def test_several_tasks_each_bring_their_examples(registry, data, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('title = "t"\ndataset = "fake-qa"\nprotocol = ["vqa"]\nmetrics = ["vqa"]\n[params]\nprompt = "Say: {question}"\n')
    fitted = api.fit(
        "fake-learner",
        ["fake-vqa", str(other)],
        tmp_path / "both",
        data=[f"fake-vqa={data}", f"{other}={data}"],
        registry=registry,
    )
    assert set(fitted.tasks) == {"fake-vqa", "other"}
    assert fitted.facts["n_known"] == 20


def test_every_reason_is_given_at_once(registry, tmp_path):
    found = problems(registry, model="fake-echo", data=(str(tmp_path / "nowhere"),))
    assert "fake-echo cannot be fitted" in found
    assert any("nowhere" in message for message in found)


def test_refusals(registry, data):
    assert problems(registry, tasks=()) == ["no task to learn from was named"]
    assert "fake-learner can generate; fake-vqa needs" not in " ".join(problems(registry, data=(str(data),)))
    assert problems(registry, tasks=("fake-vqa", "vqa-rad"), data=(str(data),))[0].startswith(f"--data {data}: which of")
    (prevalence,) = problems(registry, model="prevalence", data=(str(data),))
    assert "prevalence can classify; fake-vqa needs a model that can generate" in prevalence


def test_a_fit_that_cannot_be_is_refused_before_anything_is_written(fit, tmp_path):
    with pytest.raises(PlanError):
        fit("fake-echo")
    assert not (tmp_path / "fitted").exists()
