"""`medbench` itself: help, version, and mistakes on the command line."""

from __future__ import annotations

import pytest

import medbench as package

VERBS = ("run", "score", "list", "show", "runs", "samples", "leaderboard", "twin", "plugins")


def test_help_names_every_verb_and_where_to_start(medbench):
    shown = medbench("--help")
    assert shown.code == 0
    for verb in VERBS:
        assert f"\n  {verb} " in shown.out
    assert "medbench run --task vqa-rad --model majority --data twin" in " ".join(shown.out.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(medbench, verb):
    shown = medbench(verb, "--help")
    assert shown.code == 0
    assert f"medbench {verb}" in shown.out


def test_the_version_is_the_packages(medbench):
    assert medbench("--version").out == f"medbench {package.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("list",), ("leaderboard",)])
def test_no_verb_at_all_is_met_with_help(medbench, arguments):
    met = medbench(*arguments)
    assert (met.code, met.out) == (2, "")
    assert met.err.startswith("Usage: medbench")


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("rnu",), "error: no such command 'rnu'", "(medbench --help)"),
        (("list", "taks"), "error: no such command 'taks'. Did you mean 'tasks'?", "(medbench list --help)"),
        (("run", "--modl", "x"), "error: no such option: --modl", "did you mean --model"),
        (("run", "--task", "x"), "error: --model: it is missing", "(medbench run --help)"),
        (
            ("run", "--task", "x", "--model", "y", "--limit", "few"),
            "error: --limit: input should be a valid integer",
            "(medbench run --help)",
        ),
        (("samples",), "error: run: it is missing", "(medbench samples --help)"),
        (("show", "task", "vqa-rad", "extra"), "error: got unexpected extra argument", "(medbench show task --help)"),
    ],
)
def test_a_mistake_on_the_command_line_is_two_lines(medbench, arguments, error, hint):
    refused = medbench(*arguments)
    assert (refused.code, refused.out) == (2, "")
    first, second = refused.err.splitlines()
    assert first.startswith(error)
    assert second.startswith("hint:")
    assert hint in second


def test_text_that_the_locale_cannot_read_is_refused(medbench):
    refused = medbench("show", "task", "caf\udce9")
    assert refused.code == 2
    assert "error: caf\\udce9 is not text in this locale" in refused.err
