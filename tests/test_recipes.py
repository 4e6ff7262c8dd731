"""Options of a fit: what was given, and what none of them can be."""

from __future__ import annotations

import pytest

from medbench.errors import UsageError
from medbench.recipes import Options


class Recipe(Options):
    lr: float | None = None
    steps: int | None = None
    epochs: float | None = None
    dropout: float = 0.1
    save_every: int = 200

    def check(self):
        self.check_positive("lr", "steps", "epochs")
        self.check_shares("dropout")
        self.check_alternatives("epochs", "steps")


def test_options_come_as_text_and_those_left_open_keep_their_default():
    made = Recipe.of({"lr": "1e-4", "steps": None, "save_every": "200", "dropout": "0.2"})
    assert (made.lr, made.steps, made.dropout) == (1e-4, None, 0.2)
    assert made.given == ["lr", "dropout"]
    assert isinstance(made, Recipe)
    made.check()


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ({"lr": "fast"}, "fit: Expected `float", ""),
        ({"steps": 0}, "steps=0: must be above 0", "leave steps out for its default"),
        ({"lr": float("nan")}, "lr=nan: must be above 0", "leave lr out for its default"),
        ({"dropout": 1.0}, "dropout=1: a share, 0 to below 1", ""),
        ({"steps": 3, "epochs": 1}, "epochs and steps: one of them says how long", "give epochs or steps"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(given, said, hint):
    with pytest.raises(UsageError, match=said) as raised:
        Recipe.of(given).check()
    assert raised.value.hint == hint
