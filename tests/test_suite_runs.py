"""A suite carried out: checked whole first, models kept loaded, resumable, one table with axes as columns."""

from __future__ import annotations

import csv
import io

import pytest

from medbench.builtin.executors.keeping import KeepingExecutor
from medbench.errors import PlanError
from medbench.suite_runs import plan_suite, run_suite, standings
from medbench.suite_tables import layout, tables, write_tables
from medbench.suites import cells, read_suite
from medbench.testing import write_fake_data

TWO = """
title = "Two systems"
tasks = ["fake-vqa"]
models = ["fake-echo", {{ name = "fake-faulty", axes = {{ "model_option.raise_on" = ["Question 3:", "Question 4:"] }} }}]
seeds = [0, 1]
[options]
data = "{data}"
"""


@pytest.fixture
def suite(tmp_path, registry):
    """A suite of six runs, and its runs folder."""
    path = tmp_path / "two.toml"
    path.write_text(TWO.format(data=write_fake_data(tmp_path / "suite data")), encoding="utf-8")
    return read_suite(path)


@pytest.fixture
def carry_out(suite, registry, tmp_path):
    def run():
        events = []
        planned = plan_suite(cells(suite, str(tmp_path / "runs")), registry)
        return list(run_suite(planned, registry, lambda cell, event: events.append((cell, event)))), events

    return run


def test_every_run_is_carried_out_and_the_second_time_asks_nothing(carry_out):
    outcomes, events = carry_out()
    assert len(outcomes) == 6
    assert [outcome.record.seed for outcome in outcomes] == [0, 1] * 3
    assert {outcome.record.n_failed for outcome in outcomes if outcome.cell.model == "fake-faulty"} == {1}
    assert {cell.label for cell, _ in events} == {outcome.cell.label for outcome in outcomes}
    again, _ = carry_out()
    assert [outcome.asked for outcome in again] == [0] * 6
    assert [outcome.record for outcome in again] == [outcome.record for outcome in outcomes]


def test_runs_that_differ_in_the_seed_alone_share_their_outputs(carry_out):
    outcomes, _ = carry_out()
    echo = [outcome for outcome in outcomes if outcome.cell.model == "fake-echo"]
    assert [outcome.asked for outcome in echo] == [12, 0]


def test_nothing_runs_where_one_run_cannot(suite, registry, tmp_path, monkeypatch):
    path = tmp_path / "wrong.toml"
    path.write_text(
        TWO.format(data=tmp_path / "suite data").replace('"fake-echo"', '"fake-echo", "fake-eco"').replace("raise_on", "rise_on")
    )
    with pytest.raises(PlanError) as refused:
        plan_suite(cells(read_suite(path), str(tmp_path / "runs")), registry)
    messages = [problem.message for problem in refused.value.problems]
    assert len(messages) == 2
    assert "fake-eco on fake-vqa seed=0 and 1 more: no model named fake-eco" in messages
    assert any("has no option rise_on" in message for message in messages)
    assert not (tmp_path / "runs").exists()


def test_the_standing_says_what_is_done_and_missing(suite, carry_out, registry, tmp_path):
    planned = plan_suite(cells(suite, str(tmp_path / "runs")), registry)
    before = list(standings(planned, registry))
    assert [(one.total, one.missing, one.done) for one in before] == [(12, 12, False)] * 6
    assert not (tmp_path / "runs").exists(), "looking writes nothing"
    outcomes, _ = carry_out()
    after = list(standings(planned, registry))
    assert [(one.missing, one.done) for one in after] == [(0, True)] * 6
    assert [one.folder for one in after] == [str(outcome.folder) for outcome in outcomes]


def test_a_run_that_breaks_does_not_stop_the_others(suite, registry, tmp_path, monkeypatch):
    from medbench import suite_runs
    from medbench.errors import DataError

    whole = suite_runs.Pipeline

    class Breaks(whole):
        def __iter__(self):
            if self._plan.model.options.get("raise_on") == "Question 3:":
                raise DataError("a torn file", hint="mend it")
            yield from super().__iter__()

    monkeypatch.setattr(suite_runs, "Pipeline", Breaks)
    planned = plan_suite(cells(suite, str(tmp_path / "runs")), registry)
    outcomes = list(run_suite(planned, registry, lambda *_: None))
    assert [outcome.error for outcome in outcomes] == ["", "", "a torn file", "a torn file", "", ""]
    (table,) = tables(outcomes, registry)
    assert [row.note for row in table.rows] == ["", "not done: a torn file", "not done: a torn file", "2 failed"]


def test_the_table_has_axes_as_columns_and_seeds_as_spread(suite, carry_out, registry):
    outcomes, _ = carry_out()
    (table,) = tables(outcomes, registry)
    heads, rows = layout(table)
    assert heads[:3] == ["model", "raise_on", "seeds"]
    assert [row[:3] for row in rows] == [
        ["fake-echo", "", "0, 1"],
        ["fake-faulty", "Question 3:", "0, 1"],
        ["fake-faulty", "Question 4:", "0, 1"],
    ]
    value = next(score.value for score in outcomes[0].record.scores if score.name == "overall")
    assert rows[0][3] == f"{100 * value:.1f} ± 0.0"


def test_one_seed_has_its_interval(suite, registry, tmp_path):
    import msgspec

    alone = msgspec.structs.replace(suite, seeds=(0,), models=suite.models[:1])
    outcomes = list(run_suite(plan_suite(cells(alone, str(tmp_path / "runs")), registry), registry, lambda *_: None))
    (table,) = tables(outcomes, registry)
    heads, (row,) = layout(table)
    score = next(score for score in outcomes[0].record.scores if score.name == "overall")
    assert heads[0] == "model"
    assert row[1] == f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def test_tables_are_written_with_every_score_and_a_board(suite, carry_out, registry, tmp_path):
    outcomes, _ = carry_out()
    folder = write_tables(suite, outcomes, tables(outcomes, registry), registry, tmp_path / "runs")
    assert folder == tmp_path / "runs" / "suites" / "two"
    rows = list(csv.DictReader(io.StringIO((folder / "scores.csv").read_text(encoding="utf-8"))))
    assert len(rows) == sum(len(outcome.record.scores) for outcome in outcomes)
    assert {row["model_option.raise_on"] for row in rows} == {"", "Question 3:", "Question 4:"}
    assert float(rows[0]["value"]) == outcomes[0].record.scores[0].value
    assert "| fake-faulty | Question 3: | 0, 1 |" in (folder / "table.md").read_text(encoding="utf-8")
    assert "SYNTHETIC" in (folder / "table.md").read_text(encoding="utf-8")
    assert "## fake-vqa" in (folder / "board.md").read_text(encoding="utf-8")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_tables(suite, outcomes, tables(outcomes, registry), registry, tmp_path / "runs")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


class TestKeeping:
    """One model stays loaded until another one is asked for."""

    def ask(self, executor, card, options, prompts):
        from medbench.types import Answer, Asked, Generate

        asked = [Asked(key=f"{number:032d}", request=Generate(prompt=prompt)) for number, prompt in enumerate(prompts)]
        return [message.output for message in executor.map(card, options, asked, 8) if isinstance(message, Answer)]

    def test_equal_models_are_loaded_once(self, registry):
        from medbench.cards import ModelCard

        card = registry.get(ModelCard, "fake-echo")
        with KeepingExecutor() as executor:
            first = self.ask(executor, card, {}, ["a b", "c d"])
            again = self.ask(executor, card, {}, ["e f"])
            assert executor.loads == 1
            self.ask(executor, card, {"suffix": "!"}, ["a b"])
            assert executor.loads == 2
            self.ask(executor, card, {}, ["a b"])
            assert executor.loads == 3
        assert [output.text for output in (*first, *again)] == ["b", "d", "f"]

    def test_a_child_process_serves_several_runs_and_is_gone_at_the_end(self, registry):
        import msgspec

        from medbench.cards import ModelCard

        card = msgspec.structs.replace(registry.get(ModelCard, "fake-echo"), isolated=True)
        with KeepingExecutor() as executor:
            self.ask(executor, card, {}, ["a b"])
            process = executor._child._process
            self.ask(executor, card, {}, ["c d"])
            assert executor._child._process is process
            assert executor.loads == 1
        assert process.poll() is not None

    def test_what_broke_is_not_kept(self, registry):
        from medbench.cards import ModelCard
        from medbench.types import Asked, Generate

        card = registry.get(ModelCard, "fake-echo")

        def torn():
            yield Asked(key="0" * 32, request=Generate(prompt="a b"))
            raise OSError("the disk is full")

        with KeepingExecutor() as executor:
            with pytest.raises(OSError, match="disk is full"):
                list(executor.map(card, {}, torn(), 1))
            self.ask(executor, card, {}, ["a b"])
            assert executor.loads == 2
