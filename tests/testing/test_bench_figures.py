"""Figures of a bench file: runs compared, bars held, lines printed."""

from __future__ import annotations

import pytest

from medbench.registry import load_registry
from medbench.testing import FakeModel, plugin, write_fake_data
from medbench.testing.figures import Figure, gains, kept_run, show, standings


@pytest.fixture
def runs(tmp_path):
    registry = load_registry(plugin)
    data = write_fake_data(tmp_path / "data")
    return {said: kept_run("fake-vqa", FakeModel(said), registry, tmp_path / said, data=str(data)) for said in ("yes", "no")}


def test_systems_stand_beside_each_other_and_gains_are_held_where_they_are_to_be(runs):
    labels = {f"{score.metric}/{score.name}": score.name for score in runs["yes"].record.scores if score.value is not None}
    shown = list(standings(runs, labels))
    assert [figure.name.split(":")[0].strip() for figure in shown] == ["yes"] * len(labels) + ["no"] * len(labels)
    assert all(figure.ok for figure in shown)
    (key, *_) = labels
    (free,) = gains(runs["yes"], {"no": runs["no"]}, {key: "it"}, set())
    (held,) = gains(runs["yes"], {"no": runs["no"]}, {key: "it"}, {("no", key)})
    (none,) = gains(runs["yes"], {"itself": runs["yes"]}, {key: "it"}, {("itself", key)})
    assert free.ok
    assert free.value == held.value == shown[0].value - shown[len(labels)].value
    assert held.ok == (held.against.startswith("over no [+") and "[+0.000" not in held.against)
    assert (none.value, none.ok) == (0.0, False)


def test_a_figure_is_a_line(capsys):
    show([Figure("speed", 1234.5, "samples/s", "alone", 1000.0, ok=True), Figure("size", 3, "MB", "before", 2, ok=False)])
    assert capsys.readouterr().out == ("ok   speed: 1,234.500 samples/s (bar 1,000; alone)\nMISS size: 3.000 MB (bar 2; before)\n")
