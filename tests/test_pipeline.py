"""A run from end to end: what is asked, what is kept, what is said, and what never changes."""

from __future__ import annotations

import msgspec
import pytest

from medbench.errors import UsageError
from medbench.events import Finished, Note, Planned, Progress, ShardDone
from medbench.hookspecs import hookimpl
from medbench.identity import hash_order
from medbench.registry import load_registry
from medbench.testing import FakeModel, plugin, write_fake_data
from medbench.types import Text


def scores(finished, **condition):
    return {(one.metric, one.name): one for one in finished.record.scores if one.condition == condition and not one.subgroup}


def value(finished, name="overall", **condition):
    return scores(finished, **condition)["vqa", name].value


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


class TestRecord:
    def test_it_says_what_was_evaluated_on_what(self, run, data):
        seen = []
        finished = run(seen=seen)
        record = finished.record
        assert isinstance(seen[0], Planned)
        assert (seen[0].n, seen[0].n_groups, seen[0].n_images, seen[0].access) == (12, 5, 5, "synthetic")
        assert (record.task, record.protocol, record.seed) == ("fake-vqa", "vqa", 0)
        assert (record.data.dataset, record.data.split, record.data.n, record.data.synthetic) == ("fake-qa", "test", 12, True)
        assert (record.model.name, record.model.kind, record.model.loaded) == ("fake-echo", "model", {"device": "cpu"})
        assert record.remarks == ("12 made-up questions",)
        assert Note(text="12 made-up questions") in seen
        assert {"python", "medbench", "numpy"} <= set(record.versions)
        assert record.complete
        assert value(finished) == pytest.approx(8 / 12)
        assert finished.folder.name == record.fingerprint

    def test_the_same_command_again_asks_nothing_and_changes_no_byte(self, run):
        first = run()
        before = files(first.folder)
        written = (first.folder / "run.json").stat().st_mtime_ns
        again = run()
        assert (again.asked, again.measured) == (0, 0)
        assert again.record == first.record
        assert files(again.folder) == before
        assert (first.folder / "run.json").stat().st_mtime_ns == written

    def test_another_place_and_another_window_give_the_same_bytes(self, run, tmp_path):
        first, other = run(), run(runs_dir=tmp_path / "elsewhere", batch_size=1)
        assert (first.folder / "run.json").read_bytes() == (other.folder / "run.json").read_bytes()
        assert (first.folder / "predictions.jsonl").read_bytes() == (other.folder / "predictions.jsonl").read_bytes()

    def test_plugins_hear_of_it_and_one_that_fails_is_a_note(self, run):
        heard = []

        class Listens:
            @hookimpl
            def medbench_finished(self, record, folder):
                heard.append((record.fingerprint, folder))

        class Fails:
            @hookimpl
            def medbench_finished(self, record):
                raise RuntimeError("no tracker")

        seen = []
        finished = run(seen=seen, registry=load_registry(plugin, Listens(), Fails()))
        assert heard == [(finished.record.fingerprint, finished.folder)]
        (note,) = [event.text for event in seen if isinstance(event, Note) and "failed when told" in event.text]
        assert note.endswith("RuntimeError: no tracker")


class TestFingerprint:
    def test_it_does_not_depend_on_metrics_conventions_subgroups_or_window(self, run):
        plain = run()
        for options in (
            {"conventions": ("medbench",)},
            {"by": ("site",)},
            {"batch_size": 2},
            {"metrics": ("vqa",)},
            {"retry_failed": True},
        ):
            other = run(**options)
            assert other.record.fingerprint == plain.record.fingerprint
            assert other.asked == 0

    def test_it_depends_on_all_that_makes_the_predictions(self, run, tmp_path):
        more = write_fake_data(tmp_path / "more", n=13)
        options = [
            {}, {"params": {"max_new_tokens": 9}}, {"seed": 1}, {"seed": 1, "params": {"seed": 0}},
            {"limit": 11}, {"model_options": {"suffix": "!"}}, {"split": "train"},
            {"images": ("true", "blank")}, {"data": more},
        ]  # fmt: skip
        fingerprints = [run(**one).record.fingerprint for one in options]
        assert len(set(fingerprints)) == len(options)


class TestSharing:
    def test_two_models_adapters_and_presets_never_share_an_answer(self, run, tmp_path):
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "suffix.txt").write_text(name)
        asked = {
            "plain": run(),
            "one": run(model_options={"adapter": str(tmp_path / "one")}),
            "two": run(model_options={"adapter": str(tmp_path / "two")}),
            "other": run("fake-faulty"),
        }
        assert {name: finished.asked for name, finished in asked.items()} == dict.fromkeys(asked, 12)
        assert len({finished.record.model.identity for finished in asked.values()}) == 4
        assert value(asked["one"]) == value(asked["two"]) == 0.0
        assert asked["one"].record.predictions != asked["two"].record.predictions
        assert run(images=("blank",)).asked == 12

    def test_a_limited_run_then_the_whole_one_asks_for_the_rest(self, run, tmp_path):
        assert run(limit=5).asked == 5
        assert run().asked == 7
        assert run(limit=7).asked == 0

    def test_a_moved_dataset_is_the_same_dataset(self, run, data, tmp_path):
        first = run()
        moved = run(data=data.rename(tmp_path / "moved"))
        assert (moved.asked, moved.record.fingerprint) == (0, first.record.fingerprint)

    def test_a_changed_picture_is_asked_about_again(self, run, data):
        run()
        (data / "images" / "test-g000-0.png").write_bytes((data / "images" / "train-g000-0.png").read_bytes())
        assert run().asked == 3

    def test_seeds_share_greedy_answers_and_part_with_sampled_ones(self, run):
        run()
        assert run(seed=1).asked == 0
        assert run(seed=1, params={"temperature": 0.5}).asked == 12
        assert run(seed=2, params={"temperature": 0.5}).asked == 12

    def test_fresh_asks_again(self, run):
        model = FakeModel("old")
        run(model)
        new = FakeModel("new")
        assert run(new, fresh=True).asked == 12
        assert len(new.history) == 12

    def test_an_object_without_an_identity_shares_with_nobody(self, run):
        class Anonymous:
            def generate(self, requests):
                return [Text(text="x") for _ in requests]

        assert [run(Anonymous()).asked for _ in range(2)] == [12, 12]


def test_a_limit_takes_samples_in_hash_order(run):
    finished = run(limit=4)
    chosen = {line["sample"] for line in map(msgspec.json.decode, (finished.folder / "predictions.jsonl").read_bytes().splitlines())}
    assert chosen == set(hash_order(f"test-{n:03d}" for n in range(12))[:4])
    assert (finished.record.data.limit, finished.record.data.n) == (4, 4)


def test_shards_together_make_the_run(run, registry, data, tmp_path):
    from medbench.api import run_events
    from medbench.options import RunOptions

    def events(shard):
        options = RunOptions(task="fake-vqa", model="fake-echo", data=str(data), runs_dir=str(tmp_path / "runs"), shard=shard)
        return list(run_events(options, registry))

    first = events("1/2")[-1]
    assert isinstance(first, ShardDone)
    assert (first.total, 0 < first.done < 12) == (12, True)
    last = events("2/2")[-1]
    assert isinstance(last, Finished)
    assert last.asked == 12 - first.done
    assert run().asked == 0
    with pytest.raises(UsageError, match=r"shard 1/2 is done, the run is not: \d+ of 12"):
        run(shard="1/2", limit=None, seed=5, params={"temperature": 1.0})


class TestImages:
    def test_conditions_are_scored_apart_and_compared(self, run):
        looks = FakeModel(lambda request: Text(text="no idea" if request.images[0].preset == "blank" else request.prompt.split()[-1]))
        finished = run(looks, images=("true", "blank", "shuffled"))
        assert finished.asked == 36
        assert value(finished) == value(finished, images="shuffled") == pytest.approx(8 / 12)
        assert value(finished, images="blank") == 0.0
        differences = {one.one: one.difference for one in finished.record.contrasts if one.name == "overall"}
        assert differences == {"images=blank": pytest.approx(-8 / 12), "images=shuffled": 0.0}
        shown = {}
        for request in looks.history:
            shown.setdefault(request.prompt, set()).add((request.images[0].digest, request.images[0].preset))
        assert all(len(pictures) == 3 and len({digest for digest, _ in pictures}) == 2 for pictures in shown.values())

    def test_true_images_are_shared_with_the_plain_run(self, run):
        run()
        assert run(images=("true", "blank")).asked == 12


class TestFitting:
    def test_a_baseline_learns_from_train_once(self, run, data):
        finished = run("majority")
        assert finished.record.model.fitted["n"] == 12
        assert finished.record.model.kind == "baseline"
        seen = []
        assert run("majority", seen=seen).asked == 0
        assert not [event for event in seen if isinstance(event, Progress) and event.stage == "fit"]
        again = run("majority", limit=5)
        assert again.asked == 0, "the limit is for the test split alone"

    def test_another_train_split_is_another_model(self, run, data, tmp_path):
        first = run("majority")
        (data / "images" / "train-g000-0.png").unlink()
        assert run("majority").record.model.identity != first.record.model.identity
