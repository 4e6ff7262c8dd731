"""Embeddings of reports: the last layer of a language model, whatever the batch, computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medbench_mae.presets import tiny_language_model
from medbench_mae.texts import LanguageModel, statistics
from medbench_torch.devices import place
from transformers import AutoModelForCausalLM, AutoTokenizer

from medbench.errors import UsageError

TEXTS = ["clear", "There is a large effusion on the left, and the heart is enlarged.", "No edema.", "Edema of both lungs."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_language_model(tmp_path_factory.mktemp("language") / "llama", TEXTS)


@pytest.fixture
def language(folder):
    return LanguageModel(folder, place("cpu"), max_tokens=64)


@torch.inference_mode()
def test_a_text_is_the_mean_of_its_last_states_whatever_is_beside_it(language, folder):
    whole = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = language.means(TEXTS)
    for row, text in zip(made, TEXTS, strict=True):
        states = whole(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[-1][0]
        torch.testing.assert_close(row, states.mean(dim=0), rtol=1e-4, atol=1e-5)
    assert made.shape == (4, language.width)


def test_vectors_are_computed_once_and_shared(language, folder, tmp_path):
    made = language.matrix(TEXTS, tmp_path / "cache")
    np.testing.assert_allclose(made, language.means(TEXTS).numpy(), rtol=1e-4, atol=1e-5)
    again = LanguageModel(folder, place("cpu"), max_tokens=64)
    assert np.array_equal(again.matrix(TEXTS, tmp_path / "cache"), made)
    assert "_model" not in vars(again), "what is on disk needs no language model"
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0, "a vector can tell of its text"
    LanguageModel(folder, place("cpu"), max_tokens=2).matrix(TEXTS, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2, "texts that are cut elsewhere are others"
    assert not list((tmp_path / "cache").glob("*.draft"))


def test_a_long_text_is_cut(folder):
    ids, mask = LanguageModel(folder, place("cpu"), max_tokens=3).tokens(TEXTS[:2])
    assert ids.shape == mask.shape == (2, 3)


def test_statistics_are_those_of_the_rows_asked_for():
    matrix = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    mean, deviation = statistics(matrix, [3, 3, 7, 40, 11], block=2)
    np.testing.assert_allclose(mean, matrix[[3, 3, 7, 40, 11]].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, matrix[[3, 3, 7, 40, 11]].std(axis=0), rtol=1e-4)


def test_no_reports_and_no_language_model_are_said(tmp_path):
    with pytest.raises(UsageError, match="no report to align to"):
        statistics(np.zeros((0, 4), dtype=np.float32), [])
    (tmp_path / "config.json").write_text('{"model_type": "vit_mae"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="no hidden_size"):
        LanguageModel(tmp_path, place("cpu"), max_tokens=8)
