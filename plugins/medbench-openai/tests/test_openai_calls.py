"""What is sent, and what becomes of a good reply."""

from __future__ import annotations

import base64
import io
import json
import math

import pytest
from medbench_openai import CARD
from medbench_openai.model import OpenAI
from medbench_openai.replies import Malformed, option_logprobs, read
from PIL import Image as Pil

from medbench.testing import check_model
from medbench.types import Failed, Generate, Image


def picture(path, size=(300, 200), role="image", preset="default"):
    Pil.linear_gradient("L").resize(size).save(path)
    return Image(path=str(path), digest="d" * 32, role=role, preset=preset)


def sent(endpoint, number=-1):
    return endpoint.calls()[number]["body"]


def shown(part):
    kind, _, data = part["image_url"]["url"].partition(",")
    return kind, Pil.open(io.BytesIO(base64.b64decode(data)))


class TestWhatIsSent:
    def test_text_alone_is_one_string_and_greedy(self, serve, model, ask):
        endpoint = serve(keep=True)
        answer = ask(model(endpoint, system="Be brief."), "Is it?")[0]
        assert sent(endpoint) == {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it?"}],
            "max_tokens": 128,
            "temperature": 0.0,
        }
        assert (answer.text, answer.finish_reason) == ("yes", "stop")
        assert answer.usage["input_tokens"] == math.ceil(len("Be brief.\nIs it?") / 4)
        assert answer.usage["output_tokens"] == 1

    def test_a_large_picture_is_scaled_down_and_loses_its_metadata(self, serve, model, ask, tmp_path):
        exif = Pil.Exif()
        exif[0x010E] = "patient Doe"
        Pil.linear_gradient("L").resize((3000, 1500)).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
        endpoint = serve(keep=True)
        ask(model(endpoint, max_side=600), Generate(prompt="?", images=(Image(path=str(tmp_path / "a.jpg"), digest="0" * 32),)))
        part, text = sent(endpoint)["messages"][0]["content"]
        kind, got = shown(part)
        assert (kind, got.size, text) == ("data:image/jpeg;base64", (600, 300), {"type": "text", "text": "?"})
        assert not got.getexif()
        assert b"Doe" not in json.dumps(sent(endpoint)).encode()

    def test_a_small_one_is_sent_as_it_is_as_png_on_request_with_detail(self, serve, model, ask, tmp_path):
        endpoint = serve(keep=True)
        image = picture(tmp_path / "a.png")
        ask(model(endpoint, image_format="png", detail="low"), Generate(prompt="?", images=(image,)))
        part = sent(endpoint)["messages"][0]["content"][0]
        kind, got = shown(part)
        assert (kind, got.size, part["image_url"]["detail"]) == ("data:image/png;base64", (300, 200), "low")
        assert got.convert("L").tobytes() == Pil.open(tmp_path / "a.png").tobytes()

    def test_a_blanked_picture_is_grey(self, serve, model, ask, tmp_path):
        endpoint = serve(keep=True)
        image = picture(tmp_path / "a.png", preset="blank")
        ask(model(endpoint, image_format="png"), Generate(prompt="?", images=(image,)))
        assert shown(sent(endpoint)["messages"][0]["content"][0])[1].getextrema() == ((128, 128),) * 3

    def test_several_pictures_are_named_with_their_roles(self, serve, model, ask, tmp_path):
        endpoint = serve(keep=True)
        images = (picture(tmp_path / "a.png"), picture(tmp_path / "b.png", role="prior"))
        ask(model(endpoint), Generate(prompt="Compare.", images=images))
        parts = [part.get("text", "(picture)") for part in sent(endpoint)["messages"][0]["content"]]
        assert parts == ["Image 1:", "(picture)", "Image 2 (prior):", "(picture)", "Compare."]

    def test_a_missing_picture_fails_that_request_alone(self, serve, model, ask):
        endpoint = serve()
        missing = Generate(prompt="?", images=(Image(path="/nonexistent/x.png", digest="0" * 32),))
        good, bad = ask(model(endpoint), "Is it?", missing)
        assert good.text == "yes"
        assert bad == Failed(kind="input", error="/nonexistent/x.png: no such file")
        assert endpoint.counts()["calls"] == 1

    def test_sampling_repeats_differ_by_seed(self, serve, model, ask):
        endpoint = serve(keep=True)
        asked = [Generate(prompt="?", temperature=0.7, seed=2**63 - 1, repeat=repeat, stop=("\n",)) for repeat in (0, 1)]
        ask(model(endpoint), *asked)
        assert sorted(call["body"]["seed"] for call in endpoint.calls()) == [0, 2**63 - 1]
        assert sent(endpoint)["stop"] == ["\n"]

    @pytest.mark.parametrize(("how", "sent_format"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("off", None)])
    def test_a_schema_goes_as_the_endpoint_takes_it(self, serve, model, ask, how, sent_format):
        endpoint = serve(keep=True)
        schema = '{"type":"object","properties":{"score":{"enum":[1,2]}}}'
        ask(model(endpoint, schema=how), Generate(prompt="?", schema=schema))
        asked = sent(endpoint).get("response_format")
        assert (asked or {}).get("type") == sent_format
        if sent_format == "json_schema":
            assert asked["json_schema"] == {"name": "answer", "strict": True, "schema": json.loads(schema)}

    def test_reasoning_room_effort_and_extra_members(self, serve, model, ask):
        endpoint = serve(keep=True)
        options = {"tokens_field": "max_completion_tokens", "send_temperature": "omit", "reasoning_tokens": 1000, "effort": "low"}
        ask(model(endpoint, **options, extra='{"top_k": 1}', seed=5), Generate(prompt="?", max_new_tokens=8))
        body = sent(endpoint)
        assert {name: value for name, value in body.items() if name not in {"model", "messages"}} == {
            "max_completion_tokens": 1008,
            "reasoning_effort": "low",
            "seed": 5,
            "top_k": 1,
        }

    def test_openais_reasoning_models_get_no_temperature(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        calls = {name: OpenAI(name=name).facts()["call"] for name in ("gpt-4o", "o3-mini", "gpt-5", "gpt-5-chat-latest")}
        assert [call["send_temperature"] for call in calls.values()] == [True, False, False, True]
        assert {call["tokens_field"] for call in calls.values()} == {"max_completion_tokens"}

    def test_what_the_card_promises_holds(self, serve, tmp_path):
        endpoint = serve("no")
        requests = [Generate(prompt="a", images=(picture(tmp_path / "a.png"),)), Generate(prompt="b"), Generate(prompt="c")]
        check_model(CARD, {"name": "tiny", "base_url": endpoint.url, "local": True}, requests)

    def test_facts_say_how_pictures_travel(self, serve, model):
        facts = model(serve(), max_side=512).facts()
        assert facts["image"] == {"max_side": 512, "format": "jpeg", "quality": 95}
        assert (facts["local"], facts["openai"].split(".")[0]) == (True, "3")


def reply(message, finish_reason="stop", logprobs=None, usage=None):
    choice = {"message": message, "finish_reason": finish_reason, "logprobs": logprobs}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


class TestReplies:
    @pytest.mark.parametrize(
        ("message", "reason", "text", "finish"),
        [
            ({"content": "yes"}, "stop", "yes", "stop"),
            ({"content": "a very long"}, "length", "a very long", "length"),
            ({"content": None}, "content_filter", "", "filter"),
            ({"content": None, "refusal": "I cannot."}, "stop", "I cannot.", "filter"),
            ({"content": [{"type": "text", "text": "yes"}, {"type": "other"}]}, "stop", "yes", "stop"),
            ({"content": "yes"}, "tool_calls", "yes", ""),
            ({"content": None}, "length", "", "length"),
        ],
    )
    def test_a_reply_becomes_a_text(self, message, reason, text, finish):
        made = read(reply(message, reason), Generate(prompt="?"))
        assert (made.text, made.finish_reason) == (text, finish)

    def test_tokens_are_counted(self):
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}}
        assert read(reply({"content": "x"}, usage=usage), Generate(prompt="?")).usage == {
            "input_tokens": 7,
            "output_tokens": 5,
            "reasoning_tokens": 3,
        }

    @pytest.mark.parametrize(
        ("said", "served"),
        [("tiny-2026-01-02", "tiny-2026-01-02"), ("\x1b[2Jtiny", "[2Jtiny"), ("x" * 300, "x" * 200), (None, ""), (7, "")],
    )
    def test_who_answered_is_kept_as_it_can_be_shown(self, said, served):
        completion = json.dumps({"choices": [{"message": {"content": "x"}}], "model": said}).encode()
        assert read(completion, Generate(prompt="?")).served == served

    @pytest.mark.parametrize(
        "content", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": [{"mess', b"\xff"]
    )
    def test_what_is_no_completion_is_named_as_that(self, content):
        with pytest.raises(Malformed, match="the reply is"):
            read(content, Generate(prompt="?"))


def token(text, **rivals):
    given = rivals or {text: 1.0}
    top = [{"token": name, "logprob": math.log(p)} for name, p in given.items()]
    return {"token": text, "logprob": top[0]["logprob"], "top_logprobs": top}


class TestOptionProbabilities:
    def scored(self, text, tokens, options):
        made = read(reply({"content": text}, logprobs={"content": tokens}), Generate(prompt="?", options=options))
        return {name: round(math.exp(value), 6) for name, value in made.option_logprobs.items()}, round(made.covered, 6)

    def test_case_and_space_variants_are_merged(self):
        first = token("Yes", **{"Yes": 0.5, " yes": 0.2, "No": 0.1, "Maybe": 0.2})
        assert self.scored("Yes.", [first, token(".")], ("yes", "no")) == ({"yes": 0.7, "no": 0.1}, 0.8)

    def test_a_token_that_begins_several_options_counts_for_none(self):
        first = token("no", no=0.6, nod=0.3)
        assert self.scored("no", [first], ("nodule", "no finding")) == ({"nodule": 0.3}, 0.3)

    def test_in_json_the_value_is_looked_at(self):
        tokens = [token('{"'), token("score"), token('":'), token(" "), token("4", **{"4": 0.75, "3": 0.25}), token("}")]
        assert self.scored('{"score": 4}', tokens, ("1", "2", "3", "4", "5")) == ({"3": 0.25, "4": 0.75}, 1.0)

    def test_tokens_that_do_not_spell_the_text_give_nothing_but_at_its_start(self):
        first = token("yes", yes=0.9, no=0.1)
        assert self.scored("yes!", [first], ("yes", "no"))[1] == 1.0
        assert self.scored('{"a": "yes"}', [first], ("yes", "no")) == ({}, 0.0)

    def test_no_rivals_no_options(self):
        assert option_logprobs([], "yes", ("yes",)) == {}

    def test_log_probabilities_are_asked_for_where_there_are_options(self, serve, model, ask):
        endpoint = serve("yes", keep=True)
        answer, _ = ask(model(endpoint), Generate(prompt="a", options=("yes", "no")), Generate(prompt="b"))
        asked = {call["body"]["messages"][0]["content"]: call["body"].get("top_logprobs") for call in endpoint.calls()}
        assert asked == {"a": 20, "b": None}
        assert answer.option_logprobs == {"yes": pytest.approx(-0.01)}
        assert ask(model(endpoint, logprobs="omit"), Generate(prompt="a", options=("yes", "no")))[0].option_logprobs == {}
