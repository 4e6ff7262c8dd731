"""Runs in which something fails, is interrupted, or must not leave the machine."""

from __future__ import annotations

import stat

import msgspec
import pytest

from medbench.cards import ModelCard
from medbench.errors import PlanError, PluginError
from medbench.events import Note, Progress
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry
from medbench.testing import FakeModel, plugin, write_fake_data
from medbench.testing.models import Echo
from medbench.types import Failed, Generate, Text


def scores(finished):
    return {(one.metric, one.name): one for one in finished.record.scores}


class TestFailures:
    def test_they_are_counted_and_never_a_wrong_answer(self, run):
        finished = run("fake-faulty", model_options={"reject_on": "heart", "raise_on": "liver"})
        bad = finished.record.n_failed
        assert 0 < bad < 6
        overall = scores(finished)["vqa", "overall"]
        assert (overall.n, overall.n_failed) == (12 - bad, bad)
        assert overall.coverage == pytest.approx((12 - bad) / 12)
        assert overall.worst_case == pytest.approx(overall.value * overall.n / 12)
        assert not finished.record.complete
        assert scores(finished)["vqa", "closed"].n_failed == 0
        assert scores(finished)["vqa", "closed"].worst_case is None

    def test_the_same_command_retries_transient_ones_and_retry_failed_all(self, run):
        kinds = {"yes": "transient", "no": "model"}
        model = FakeModel(lambda request: Failed(kind=kinds[w], error="e") if (w := request.prompt.split()[-1]) in kinds else Text(text=w))
        first = run(model)
        assert first.record.n_failed == 6
        second = run(FakeModel())
        assert 0 < second.asked < 6
        assert second.record.n_failed == 6 - second.asked
        third = run(FakeModel(), retry_failed=True)
        assert third.record.n_failed == 0
        assert scores(third)["vqa", "overall"].value == pytest.approx(8 / 12)
        assert second.record.predictions != third.record.predictions

    def test_missing_and_torn_pictures_fail_by_name_and_the_run_finishes(self, run, data):
        (data / "images" / "test-g000-0.png").unlink()
        torn = data / "images" / "test-g001-0.png"
        torn.write_bytes(torn.read_bytes()[:-20])
        (data / "images" / "test-g002-0.png").write_bytes(b"")
        events = []
        finished = run(seen=events)
        seen = [event for event in events if isinstance(event, Progress) and event.stage == "predict"]
        errors = {
            line["value"]["error"]
            for line in map(msgspec.json.decode, (finished.folder / "predictions.jsonl").read_bytes().splitlines())
            if line["value"]["type"] == "failed"
        }
        assert errors == {
            f"{data}/images/test-g000-0.png: no such file",
            f"{torn}: a truncated PNG",
            f"{data}/images/test-g002-0.png: an empty file",
        }
        assert (finished.asked, finished.record.n_failed) == (4, 8)
        assert seen[0] == Progress(stage="predict", done=8, total=12, failed=8)
        assert seen[-1] == Progress(stage="predict", done=12, total=12, failed=8)

    def test_everything_failed_is_a_record_without_values(self, run):
        finished = run(FakeModel(lambda request: Failed(kind="input", error=request.prompt)))
        overall = scores(finished)["vqa", "overall"]
        assert (overall.value, overall.n, overall.n_failed, overall.note) == (None, 0, 12, "every sample failed")

    def test_a_broken_model_stops_the_run_and_what_was_answered_is_kept(self, run):
        model = FakeModel()
        model.queue.extend([Text(text="kept")] * 3)
        model.queue.append(PluginError("out of order"))
        with pytest.raises(PluginError):
            run(model)
        assert run(FakeModel()).asked == 9

    def test_an_interruption_keeps_what_was_answered(self, run):
        model = FakeModel()

        def interrupt(request):
            if len(model.history) == 4:
                raise KeyboardInterrupt
            return Text(text="x")

        model.answer = interrupt
        with pytest.raises(KeyboardInterrupt):
            run(model)
        seen = []
        assert run(FakeModel(), seen=seen).asked == 8
        assert next(event for event in seen if isinstance(event, Progress)) == Progress(stage="predict", done=4, total=12)


class Nearby(Echo):
    """A model that would send things away, unless told that its endpoint is here."""

    def __init__(self, *, local: bool = False):
        super().__init__()


class TestDataUse:
    class Offers:
        """A plugin with a model that says it sends things away."""

        @hookimpl
        def medbench_cards(self):
            cards = {"remote": "medbench.testing.models:Echo", "nearby": f"{__name__}:Nearby"}
            return [ModelCard(name=name, load=where, can=("generate",), isolated=False, networked=True) for name, where in cards.items()]

    @pytest.fixture
    def guarded(self, run, tmp_path):
        data = write_fake_data(tmp_path / "guarded", access="credentialed")
        registry = load_registry(plugin, self.Offers())
        return lambda model, **options: run(model, data=data, registry=registry, **options)

    def test_credentialed_data_towards_a_network_model_are_refused(self, guarded, tmp_path):
        with pytest.raises(PlanError) as caught:
            guarded("remote")
        assert "would send fake-qa (credentialed data)" in caught.value.problems[0].message
        with pytest.raises(PlanError):
            guarded(FakeModel(networked=True))
        assert not (tmp_path / "runs").exists()

    def test_a_permission_is_on_record(self, guarded):
        finished = guarded("remote", permission="DUA 7")
        (stated,) = finished.record.overrides["permission_to_send"]
        assert (stated["reason"], stated["to"], len(stated["date"])) == ("DUA 7", ["remote"], 10)
        assert guarded("remote", permission="DUA 7").record == finished.record
        assert finished.record.model.networked
        assert guarded("fake-echo").record.overrides == {}

    @pytest.mark.parametrize(("keeps_local", "permission", "told"), [(False, "", False), (True, "", True), (False, "DUA 7", True)])
    def test_a_plugin_hears_of_the_run_where_it_keeps_things_here_or_may_send_them(self, run, tmp_path, keeps_local, permission, told):
        class Tracker(self.Offers):
            KEEPS_LOCAL = keeps_local
            heard = []

            @hookimpl
            def medbench_finished(self, record):
                self.heard.append(record)

        data, seen = write_fake_data(tmp_path / "guarded", access="restricted"), []
        run("fake-echo", data=data, registry=load_registry(plugin, Tracker()), permission=permission, seen=seen)
        assert bool(Tracker.heard) is told
        said = [event.text for event in seen if isinstance(event, Note) and "was not told of the run" in event.text]
        assert bool(said) is not told
        run("fake-echo", registry=load_registry(plugin, Tracker()))
        assert len(Tracker.heard) == told + 1

    def test_so_is_that_an_endpoint_was_called_local(self, guarded):
        assert guarded("nearby", model_options={"local": "true"}).record.overrides == {"stated_local": ["nearby"]}

    @pytest.mark.parametrize(("error", "kind"), [(KeyError, PluginError), (PluginError, PluginError), (RuntimeError, RuntimeError)])
    def test_what_a_model_says_of_guarded_data_stays_in_the_run_folder(self, guarded, tmp_path, error, kind):
        def fail(request):
            raise error(f"cannot read {request.prompt.split()[0]}")

        model = FakeModel(fail)
        if kind is RuntimeError:
            model.facts = lambda: fail(Generate(prompt="Question 0: heart"))
        with pytest.raises(kind) as caught:
            guarded(model)
        (kept,) = (tmp_path / "runs").glob("*/*/*/error.txt")
        assert "Question" in kept.read_text()
        assert str(caught.value).endswith(f"why is in {kept}, since it may quote credentialed data")
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_what_is_written_is_private_and_says_how_it_may_be_used(self, guarded, tmp_path):
        finished = guarded("fake-echo")
        assert "credentialed" in (finished.folder / "DATA-USE.txt").read_text()
        assert finished.record.data.access == "credentialed"
        outputs = next((tmp_path / "runs" / "outputs").iterdir())
        for folder in (finished.folder, finished.folder / "rows", outputs):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_data_that_need_none_get_no_note(self, run):
        assert not (run().folder / "DATA-USE.txt").exists()

    def test_real_data_are_not_synthetic(self, run, data):
        (data / ".medbench_synthetic.json").unlink()
        facts = run().record.data
        assert (facts.access, facts.synthetic) == ("open", False)
