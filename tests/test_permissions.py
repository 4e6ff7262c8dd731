"""What was permitted stays on record under the day on which it was first said."""

from __future__ import annotations

import datetime as dt

from medbench import permissions
from medbench.permissions import KEY, dated, in_words

OLD = {KEY: [{"reason": "DUA 7", "to": ["a.org"], "date": "2026-01-31"}], "stated_local": ["x"]}


def test_the_same_words_keep_their_day():
    assert dated({KEY: [{"reason": "DUA 7", "to": ["a.org"]}]}, OLD) == OLD


def test_other_words_or_another_machine_are_another_statement_of_today(monkeypatch):
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 5, 1, 23, 30, tzinfo=tz)

    monkeypatch.setattr(permissions, "datetime", Clock)
    for statement in ({"reason": "DUA 8", "to": ["a.org"]}, {"reason": "DUA 7", "to": ["b.org"]}):
        made = dated({KEY: [statement]}, OLD)[KEY]
        assert made == [*OLD[KEY], {**statement, "date": "2026-05-01"}]


def test_nothing_permitted_is_nothing_on_record():
    assert dated({}, {}) == {}
    assert dated({"stated_local": ["x"]}, {}) == {"stated_local": ["x"]}
    assert in_words({}) == []


def test_what_was_permitted_before_is_not_forgotten():
    assert dated({}, OLD) == OLD


def test_in_words():
    assert in_words(OLD) == ["permission to send to a.org: DUA 7 (stated 2026-01-31)"]
    assert in_words({KEY: [{"reason": "r", "to": [], "date": "2026-01-31"}]}) == ["permission to send: r (stated 2026-01-31)"]
