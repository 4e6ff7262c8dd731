"""Asking for what is missing: identities that never share an answer, and requests that are never put twice."""

from __future__ import annotations

import msgspec
import pytest

from medbench.answering import WINDOW, Answered, ask, identity_of
from medbench.builtin.executors.local import LocalExecutor
from medbench.cards import ModelCard
from medbench.errors import PluginError, UsageError
from medbench.events import Note, Progress
from medbench.plan import ModelPlan
from medbench.store import Store
from medbench.testing import FakeModel
from medbench.types import Failed, Generate, Image, Text

CARD = ModelCard(name="m", load="a.b:C", can=("generate",), isolated=False)


def planned(**options):
    return ModelPlan(name="m", card=CARD, plugin="p", options=options, batch_size=1)


class TestInputs:
    @pytest.fixture
    def answered(self, tmp_path):
        def carry_out(requests, **facts):
            plan = msgspec.structs.replace(planned(), card=msgspec.structs.replace(CARD, **facts))
            model = FakeModel("x")
            with Store(tmp_path / "store") as store:
                *_, last = ask(plan, "m-1", {}, requests, LocalExecutor(model), store)
                return [last.outputs[request] for request in requests], len(model.history)

        return carry_out

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            ({"max_images": 1}, "2 images, and m takes at most 1"),
            ({"min_images": 3}, "2 images, and m needs at least 3"),
            ({"needs_text": True}, "no text, and m needs some"),
        ],
    )
    def test_what_a_model_does_not_take_fails_unasked_and_a_model_that_takes_nothing_is_refused(self, answered, facts, said):
        images = tuple(Image(path=f"/{name}", digest=name) for name in "abc")
        unfit = [Generate(prompt=" ", images=images[:2]), Generate(prompt="", images=images[1:])]
        fitting = Generate(prompt="Where?", images=images if "min_images" in facts else images[:1])
        outputs, asked = answered([*unfit, fitting], **facts)
        assert outputs == [Failed(kind="input", error=said)] * 2 + [Text(text="x", finish_reason="stop")]
        assert asked == 1
        with pytest.raises(UsageError, match=f"m takes none of the 2 requests: {said}"):
            answered(unfit, **facts)


class TestIdentity:
    @pytest.fixture
    def adapters(self, tmp_path):
        made = [tmp_path / name for name in ("one", "two")]
        for folder in made:
            folder.mkdir()
            (folder / "adapter.bin").write_text(folder.name)
        return made

    def test_what_changes_outputs_changes_it(self, adapters):
        plans = {
            "plain": planned(),
            "an option": planned(dialect="a"),
            "another value": planned(dialect="b"),
            "an adapter": planned(adapter=str(adapters[0])),
            "another adapter": planned(adapter=str(adapters[1])),
            "another card": msgspec.structs.replace(planned(), card=msgspec.structs.replace(CARD, name="n")),
            "another version": msgspec.structs.replace(planned(), card=msgspec.structs.replace(CARD, version="2")),
            "another plugin": msgspec.structs.replace(planned(), plugin="q"),
        }
        identities = {name: identity_of(plan) for name, plan in plans.items()}
        identities["fitted"] = identity_of(planned(), "digest of the train split")
        assert len(set(identities.values())) == len(identities)

    def test_what_does_not_change_outputs_does_not(self, adapters):
        plain = identity_of(planned())
        assert identity_of(planned(device="cuda", batch_size=3, workers=2)) == plain
        assert identity_of(msgspec.structs.replace(planned(), batch_size=64)) == plain

    def test_weights_are_known_by_their_bytes_wherever_they_lie(self, adapters, tmp_path):
        before = identity_of(planned(adapter=str(adapters[0])))
        moved = adapters[0].rename(tmp_path / "moved")
        assert identity_of(planned(adapter=str(moved))) == before
        (moved / "adapter.bin").write_text("trained further")
        assert identity_of(planned(adapter=str(moved))) != before

    def test_a_name_that_is_no_path_stands_for_itself(self):
        assert identity_of(planned(weights="org/name")) != identity_of(planned(weights="org/name2"))

    def test_it_is_one_folder(self):
        asked = ModelPlan(name="p/m:org/x", card=CARD, options={"name": "org/x"})
        assert identity_of(asked).startswith("m-org-x-")
        assert "/" not in identity_of(asked)

    def test_it_does_not_depend_on_how_the_name_was_typed(self):
        assert identity_of(ModelPlan(name="p/m", card=CARD, plugin="p")) == identity_of(ModelPlan(name="m", card=CARD, plugin="p"))


def questions(count):
    return [Generate(prompt=f"p{number}") for number in range(count)]


@pytest.fixture
def asked(tmp_path):
    """Return a function that asks a model object and returns (what came of it, events)."""

    def carry_out(model, requests, **options):
        events = []
        with Store(tmp_path / "outputs", fresh=options.pop("fresh", False)) as store:
            for event in ask(planned(), "m", {}, requests, LocalExecutor(model), store, **options):
                if isinstance(event, Answered):
                    values = [event.outputs[request] for request in requests]
                    return event, values, events
                events.append(event)
        raise AssertionError

    return carry_out


def texts(values):
    return [value.text if isinstance(value, Text) else value.kind for value in values]


def test_each_request_is_asked_once_however_often_it_is_wanted(asked):
    model = FakeModel()
    came, values, _ = asked(model, [*questions(3), *questions(3)])
    assert (came.asked, came.done, came.total, came.complete) == (3, 3, 3, True)
    assert texts(values) == ["p0", "p1", "p2"] * 2
    assert len(model.history) == 3


def test_only_what_is_missing_is_asked(asked):
    asked(FakeModel(), questions(3))
    model = FakeModel("new")
    came, values, _ = asked(model, questions(5))
    assert came.asked == 2
    assert texts(values) == ["p0", "p1", "p2", "new", "new"]
    assert asked(FakeModel(), questions(5))[0].asked == 0


def test_a_model_is_not_loaded_for_nothing(asked):
    asked(FakeModel(), questions(3))

    class Unloadable:
        def facts(self):
            raise AssertionError("loaded")

    _, values, events = asked(Unloadable(), questions(3))
    assert texts(values) == ["p0", "p1", "p2"]
    assert events == [Progress(stage="predict", done=3, total=3)]


def test_transient_failures_are_asked_again_and_others_on_request(asked):
    kinds = {"p0": "transient", "p1": "model", "p2": "input"}
    failing = FakeModel(lambda request: Failed(kind=kinds[request.prompt], error="e") if request.prompt in kinds else Text(text="ok"))
    assert texts(asked(failing, questions(4))[1]) == ["transient", "model", "input", "ok"]
    came, values, events = asked(FakeModel("again"), questions(4))
    assert (came.asked, texts(values)) == (1, ["again", "model", "input", "ok"])
    assert events[0] == Progress(stage="predict", done=3, total=4, failed=2)
    assert events[-1] == Progress(stage="predict", done=4, total=4, failed=2)
    came, values, _ = asked(FakeModel("at last"), questions(4), retry_failed=True)
    assert (came.asked, texts(values)) == (2, ["again", "at last", "at last", "ok"])


def test_fresh_asks_for_everything_and_the_new_answers_stand(asked):
    asked(FakeModel("old"), questions(2))
    assert texts(asked(FakeModel("new"), questions(2), fresh=True)[1]) == ["new", "new"]
    assert texts(asked(FakeModel(), questions(2))[1]) == ["new", "new"]


def test_a_picture_with_a_fault_fails_by_its_file_without_being_asked(asked):
    torn = Generate(prompt="x", images=(Image(path="/d/x.png", digest="0" * 32, fault="a truncated PNG"),))
    model = FakeModel()
    came, values, _ = asked(model, [torn, *questions(1)])
    assert values[0] == Failed(kind="input", error="/d/x.png: a truncated PNG")
    assert (came.asked, came.complete) == (1, True)
    assert len(model.history) == 1


def test_requests_that_share_a_picture_are_asked_together(asked):
    images = [Image(path=f"/{n}.png", digest=str(n) * 32) for n in range(3)]
    requests = [Generate(prompt=f"p{n}", images=(images[n % 3],)) for n in range(9)]
    model = FakeModel()
    asked(model, requests)
    seen = [request.images[0].digest[0] for request in model.history]
    assert seen == sorted(seen)


def test_windows_are_of_sixteen_batches(asked):
    model = FakeModel()
    asked(model, questions(40))
    assert model.windows == [WINDOW, WINDOW, 40 - 2 * WINDOW]


def test_shards_are_disjoint_and_whole_together(asked):
    wanted = questions(50)
    models = [FakeModel() for _ in range(3)]
    results = [asked(model, wanted, shard=(part, 3)) for part, model in enumerate(models, 1)]
    assert [came.complete for came, _, _ in results] == [False, False, True]
    assert results[0][0].total == 50
    assert sorted(request.prompt for model in models for request in model.history) == sorted(request.prompt for request in wanted)
    assert all(len(model.history) > 5 for model in models)


def test_what_another_process_answered_meanwhile_is_not_asked(asked, tmp_path):
    class Meddling(FakeModel):
        def generate(self, requests):
            if not self.history:
                with Store(tmp_path / "outputs") as other:
                    from medbench.identity import request_key

                    for number in range(16, 40):
                        other.append(request_key("m", Generate(prompt=f"p{number}")), Text(text="theirs"))
            yield from super().generate(requests)

    model = Meddling()
    _, values, _ = asked(model, questions(50))
    assert len(model.history) == 50 - 24
    assert texts(values)[16:40] == ["theirs"] * 24


def test_what_was_answered_before_the_end_is_kept(asked):
    model = FakeModel()
    model.queue.extend([Text(text="kept"), Text(text="kept too"), PluginError("the end")])
    with pytest.raises(PluginError):
        asked(model, questions(5))
    came, values, _ = asked(FakeModel("rest"), questions(5))
    assert came.asked == 3
    assert texts(values) == ["kept", "kept too", "rest", "rest", "rest"]


def test_an_executor_that_leaves_requests_open_is_noted(tmp_path):
    class Lazy(LocalExecutor):
        def map(self, card, options, requests, window, log=None):
            yield from list(super().map(card, options, requests, window, log))[:3]

    with Store(tmp_path / "o") as store:
        events = list(ask(planned(), "m", {}, questions(4), Lazy(FakeModel()), store))
        assert Note(text="2 of 4 requests were not answered; the same command asks again") in events
        assert events[-1].outputs[Generate(prompt="p3")] == Failed(kind="transient", error="not answered")
        assert not events[-1].complete
