"""Endpoints that throttle, stall, break, talk nonsense, refuse and run out of money: a real server that does so."""

from __future__ import annotations

import doctest
import socket
import time
from email.utils import formatdate

import pytest
from medbench_openai import address, failures, session
from medbench_openai import limiter as limiter_module
from medbench_openai.failures import QUOTED, judged, retry_after
from medbench_openai.limiter import Limiter

from medbench.errors import MedbenchError, QuotaExhausted, UsageError
from medbench.testing.endpoint import Endpoint
from medbench.types import Failed, Generate, Text


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.02)


def texts(outputs):
    return [output.text if isinstance(output, Text) else output for output in outputs]


def prompts(count):
    return [f"question {number}" for number in range(count)]


class TestThrottling:
    def test_a_throttled_call_is_never_a_failed_sample(self, serve, model, ask):
        endpoint = serve(latency_s=0.02, script=[{"do": "throttle", "above": 6, "retry_after": "0.05"}])
        assert texts(ask(model(endpoint, retries=0), *prompts(150))) == ["yes"] * 150
        counts = endpoint.counts()
        assert counts["throttle"] > 0
        assert (counts["answered"], counts["repeated"]) == (150, 0)

    def test_calls_grow_while_answers_come(self, serve, model, ask):
        endpoint = serve(latency_s=0.05)
        ask(model(endpoint, concurrency=24), *prompts(150))
        assert 8 < endpoint.counts()["most_in_flight"] <= 24

    @pytest.mark.parametrize("header", ["1", "date"])
    def test_retry_after_is_kept_in_seconds_and_as_a_date(self, serve, model, ask, header):
        wait = formatdate(time.time() + 2.5, usegmt=True) if header == "date" else header
        endpoint = serve(script=[{"do": "throttle", "times": 1, "retry_after": wait}])
        begun = time.monotonic()
        assert texts(ask(model(endpoint), "Is it?")) == ["yes"]
        assert 0.9 < time.monotonic() - begun < 30.0

    def test_an_endpoint_that_asks_for_hours_stops_the_run(self, serve, model, ask):
        endpoint = serve(script=[{"do": "throttle", "retry_after": "7200"}])
        with pytest.raises(QuotaExhausted, match="asks to wait 7,200 s"):
            ask(model(endpoint), *prompts(3))

    def test_one_that_throttles_everything_stops_it_after_its_patience(self, serve, model, ask):
        endpoint = serve(script=[{"do": "throttle", "retry_after": "0.1"}])
        with pytest.raises(QuotaExhausted, match="has throttled every call for"):
            ask(model(endpoint, patience_s=0.5), *prompts(3))

    def test_the_limit_doubles_with_each_round_and_grows_by_one_after_it_was_cut(self):
        limiter, limits = Limiter(64), []
        for _ in range(4):
            for era in [limiter.start() for _ in range(limiter.free(now=0.0))]:
                limiter.answered(era)
            limits.append(limiter.limit)
        assert limits == [16.0, 32.0, 64.0, 64.0]
        limiter.throttled(limiter.start(), now=0.0, wait_s=0.0)
        for era in [limiter.start() for _ in range(limiter.free(now=0.0))]:
            limiter.answered(era)
        assert limiter.limit == pytest.approx(33.0, abs=0.02)

    def test_the_modules_examples_hold(self):
        for module in (address, failures, limiter_module):
            assert doctest.testmod(module).failed == 0

    def test_a_burst_of_refusals_halves_the_limit_once(self):
        limiter = Limiter(64)
        limiter.limit = 32.0
        eras = [limiter.start() for _ in range(32)]
        for era in eras:
            limiter.throttled(era, now=0.0, wait_s=0.0)
        assert (limiter.limit, limiter.in_flight) == (16.0, 0)

    def test_the_limit_never_falls_below_one_and_never_grows_beyond_what_is_used(self):
        limiter = Limiter(64)
        for _ in range(10):
            limiter.throttled(limiter.start(), now=0.0, wait_s=0.0)
        assert (limiter.limit, limiter.free(now=1.0)) == (1.0, 1)
        lonely = Limiter(64)
        for _ in range(100):
            lonely.answered(lonely.start())
        assert lonely.limit == 8.0

    def test_pauses_double_where_the_endpoint_does_not_say_how_long(self):
        limiter = Limiter(64)
        pauses = []
        for _ in range(9):
            limiter.throttled(limiter.start(), now=0.0, wait_s=None)
            pauses.append(limiter.resumes_at)
        assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    @pytest.mark.parametrize(
        "headers", [{}, {"retry-after": "soon"}, {"retry-after": "-5"}, {"retry-after": "inf"}, {"retry-after": "nan"}]
    )
    def test_a_header_that_says_nothing_says_nothing(self, headers):
        assert retry_after(headers) is None

    def test_a_date_that_is_past_means_now(self):
        assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


class TestBreaking:
    @pytest.mark.parametrize(
        "rule",
        [
            {"do": "error", "status": 500},
            {"do": "error", "status": 503, "retry_after": "0.01"},
            {"do": "drop"},
            {"do": "drop", "midway": True},
            {"do": "garbage"},
            {"do": "garbage", "content": "<html>busy</html>", "content_type": "text/html"},
            {"do": "garbage", "content": '{"choices": []}'},
        ],
    )
    def test_each_call_broken_twice_is_answered(self, serve, model, ask, rule):
        endpoint = serve(script=[{**rule, "times": 2, "each": True}])
        outputs = ask(model(endpoint), *prompts(5))
        assert texts(outputs) == ["yes"] * 5
        assert {output.usage["retries"] for output in outputs} == {2}
        assert endpoint.counts()["calls"] == 15

    def test_a_stalled_call_is_put_again(self, serve, model, ask):
        endpoint = serve(script=[{"do": "stall", "times": 1}])
        begun = time.monotonic()
        assert texts(ask(model(endpoint, timeout_s=0.5), *prompts(3))) == ["yes"] * 3
        assert time.monotonic() - begun < 30.0

    def test_what_fails_on_every_try_is_transient_and_says_why(self, serve, model, ask):
        endpoint = serve(script=[{"do": "garbage", "matches": "question 1"}, {"do": "error", "matches": "question 2", "status": 502}])
        good, bad, worse = ask(model(endpoint, retries=2), *prompts(3))
        assert good.text == "yes"
        assert bad.kind == worse.kind == "transient"
        assert bad.error.startswith("the reply is no completion (")
        assert bad.error.endswith(" (3 tries)")
        assert worse.error == "the endpoint answered 502 (3 tries)"
        assert endpoint.counts()["calls"] == 7

    def test_one_that_breaks_everything_stops_the_run(self, serve, model, ask, monkeypatch):
        # put again at once: how many others are begun during a wait is the machine's affair
        monkeypatch.setattr(session, "FIRST_WAIT_S", 0.0)
        endpoint = serve(script=[{"do": "error", "status": 500}])
        with pytest.raises(MedbenchError, match="8 calls in a row failed on every try: the endpoint answered 500"):
            ask(model(endpoint, retries=1, concurrency=4), *prompts(100))
        assert endpoint.counts()["calls"] < 30

    def test_nobody_listening_is_said_at_once(self, model, ask):
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            absent = Endpoint(port=bound.getsockname()[1])
        with pytest.raises(MedbenchError, match=r"cannot reach http://127\.0\.0\.1") as caught:
            ask(model(absent, retries=1), *prompts(50))
        assert caught.value.hint == "is it running, and is base_url right?"

    def test_an_endpoint_that_dies_midway_keeps_what_it_answered(self, serve, model):
        endpoint = serve(latency_s=0.02)
        stream = model(endpoint, retries=1, concurrency=4).generate([Generate(prompt=prompt) for prompt in prompts(200)])
        answered = [next(stream) for _ in range(20)]
        endpoint.__exit__()
        with pytest.raises(MedbenchError, match="calls in a row failed on every try: the connection failed"):
            answered.extend(stream)
        assert sum(isinstance(output, Text) for _, output in answered) >= 20
        assert all(output.kind == "transient" for _, output in answered if isinstance(output, Failed))

    def test_redirections_are_not_followed(self, serve, model, ask):
        endpoint = serve(script=[{"do": "error", "status": 307}])
        with pytest.raises(UsageError, match=r"sends calls elsewhere \(307\)"):
            ask(model(endpoint), "Is it?")

    def test_proxies_of_the_environment_are_not_asked_for_a_local_endpoint(self, serve, model, ask, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        assert texts(ask(model(serve()), "Is it?")) == ["yes"]


class TestRefusing:
    def test_refusals_and_filters_are_answers_of_their_own_kind(self, serve, model, ask):
        script = [
            {"do": "refuse", "matches": "question 1"},
            {"do": "filter", "matches": "question 2"},
            {"do": "filter", "matches": "question 3", "status": 400},
        ]
        outputs = ask(model(serve(script=script)), *prompts(4))
        assert texts(outputs) == ["yes", "I cannot help with that.", "", ""]
        assert [output.finish_reason for output in outputs] == ["stop", "filter", "filter", "filter"]

    @pytest.mark.parametrize(
        ("status", "code", "kind"), [(400, "context_length_exceeded", "input"), (413, "x", "input"), (400, "x", "model")]
    )
    def test_a_request_that_is_refused_fails_alone(self, serve, model, ask, status, code, kind):
        script = [{"do": "error", "status": status, "code": code, "message": "too much", "matches": "question 1"}]
        good, bad = ask(model(serve(script=script)), *prompts(2))
        assert good.text == "yes"
        assert bad == Failed(kind=kind, error=f"the endpoint refuses the request ({status}): too much")

    @pytest.mark.parametrize(
        ("status", "code", "said"),
        [
            (401, "invalid_api_key", "does not accept the key"),
            (404, "model_not_found", "no such model or address"),
            (400, "unsupported_parameter", "does not take a parameter"),
            (422, "no logprobs here", "does not take a parameter"),
        ],
    )
    def test_what_no_call_can_mend_stops_the_run(self, serve, model, ask, status, code, said):
        endpoint = serve(latency_s=0.1, script=[{"do": "error", "status": status, "code": code, "message": code}])
        with pytest.raises(UsageError, match=said):
            ask(model(endpoint), *prompts(100))
        assert endpoint.counts()["calls"] <= 8

    def test_messages_are_cut_and_bodies_of_any_shape_are_borne(self):
        long = judged(400, {}, b'{"error": "' + b"a" * 5000 + b'"}', "here")
        assert len(long.output.error) < QUOTED + 100
        for content in (b"", b"null", b"[1]", b'"x"', b'{"error": []}', b'{"error": {"code": 7}}', b"\xff\xfe"):
            assert judged(418, {}, content, "here").output.kind == "model"


class TestMoney:
    def test_a_used_up_quota_stops_the_run_and_keeps_what_is_under_way(self, serve, model):
        endpoint = serve(latency_s=0.05, script=[{"do": "quota", "after": 20}])
        answered = []
        with pytest.raises(QuotaExhausted, match="the quota is used up"):
            answered.extend(model(endpoint).generate([Generate(prompt=prompt) for prompt in prompts(300)]))
        counts = endpoint.counts()
        assert len(answered) == counts["answered"] >= 20
        assert counts["calls"] - counts["answered"] <= 64
        assert all(isinstance(output, Text) for _, output in answered)

    def test_a_budget_stops_before_the_call_that_might_exceed_it(self, serve, model):
        endpoint = serve({"text": "word " * 20}, latency_s=0.01)
        price = {"price_in": 0.0, "price_out": 1_000.0}
        answered = []
        with pytest.raises(QuotaExhausted, match=r"of \$1\.00 that were left, \$0\.9\d+ are spent"):
            answered.extend(model(endpoint, **price, max_cost=1.0).generate([Generate(prompt=p, max_new_tokens=50) for p in prompts(300)]))
        spent = sum(output.usage["output_tokens"] for _, output in answered) / 1_000
        assert endpoint.counts()["calls"] == len(answered)
        assert 0.9 < spent <= 1.0

    def test_what_a_request_really_has_is_learnt(self, serve, model):
        endpoint = serve(latency_s=0.01)
        heavy = [Generate(prompt=f"{number} " + "§" * 4000, max_new_tokens=1) for number in range(300)]
        answered = []
        with pytest.raises(QuotaExhausted):
            answered.extend(model(endpoint, price_in=1_000.0, price_out=0.0, max_cost=20.0).generate(heavy))
        assert sum(output.usage["input_tokens"] for _, output in answered) / 1_000 <= 20.0

    def test_without_a_limit_nothing_is_held_back(self, serve, model, ask):
        assert len(ask(model(serve(), price_in=1e6, price_out=1e6), *prompts(40))) == 40


class TestLettingGo:
    def test_a_window_that_is_given_up_ends_its_calls(self, serve, model):
        endpoint = serve(script=[{"do": "stall", "matches": "question 9"}])
        stream = model(endpoint).generate([Generate(prompt=prompt) for prompt in prompts(10)])
        next(stream)
        stream.close()
        for _ in range(100):
            if not endpoint.counts()["in_flight"]:
                break
            time.sleep(0.02)
        assert endpoint.counts()["in_flight"] == 0

    def test_its_thread_ends_with_it_whoever_lets_it_go(self, serve, model, ask):
        one, other = model(serve()), model(serve())
        lines = [built._line for built in (one, other)]
        ask(one, "a")
        ask(other, "b")
        del one

        async def collect():
            nonlocal other
            del other

        lines[1].start(collect()).result()
        for line in lines:
            line._thread.join(timeout=5.0)
            assert not line._thread.is_alive()

    def test_it_works_inside_a_running_event_loop(self, serve, model, ask):
        import asyncio

        built = model(serve())

        async def cell():
            return ask(built, "Is it?")

        assert texts(asyncio.run(cell())) == ["yes"]
