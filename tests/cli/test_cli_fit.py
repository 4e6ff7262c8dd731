"""`medbench fit`: what is shown on the way, where the weights are, how they are used."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def fit(medbench, workplace, data):
    """Return a function that fits the kit's learner on the fake task."""

    def carry_out(*arguments, model="fake-learner"):
        return medbench("fit", model, "--task", "fake-vqa", "--data", data, "--out", workplace / "fitted", *arguments)

    return carry_out


def test_a_fit_says_how_it_goes_and_how_its_weights_are_used(fit, workplace):
    done = fit()
    assert done.code == 0
    assert "fit            9/9 · known 0" in done.err
    first, second = done.out.splitlines()
    assert first == f"fitted on 9 samples of fake-vqa: {workplace / 'fitted'}"
    assert second.endswith(f"--model-option weights={workplace / 'fitted'}")


def test_the_line_that_is_printed_works(fit, medbench):
    told = fit().out.splitlines()[1].removeprefix("use it: medbench ")
    done = medbench(*told.split())
    assert done.code == 0
    assert "untrained" not in done.out.lower()


def test_the_same_fit_again_has_nothing_to_do(fit):
    first, again = fit(), fit()
    assert "nothing to do" in again.err
    assert again.out == first.out


def test_json_is_what_the_folder_says(fit, workplace):
    done = fit("--json")
    assert json.loads(done.out) == json.loads((workplace / "fitted" / "fit.json").read_text())


def test_quiet_says_where_the_weights_are_and_no_more(fit):
    done = fit("--quiet")
    assert done.err == ""
    assert len(done.out.splitlines()) == 2


def test_a_model_that_cannot_learn_is_refused_with_those_that_can(fit):
    done = fit(model="fake-echo")
    assert done.code == 2
    assert "error: fake-echo cannot be fitted" in done.err
    assert "fake-learner" in done.err


def test_models_that_can_be_fitted_are_listed(medbench):
    names = [row["model"] for row in medbench("list", "models", "--fits", "--json").json]
    assert "fake-learner" in names
    assert "fake-echo" not in names
