"""The loopback endpoint of the kit: what it answers, how it misbehaves, what it counts."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

import pytest

from medbench.testing.endpoint import Endpoint
from medbench.testing.endpoint_server import MISBEHAVIOURS


def call(endpoint, prompt="?", timeout=10, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], **more}
    request = urllib.request.Request(f"{endpoint.url}/chat/completions", json.dumps(body).encode(), {"Authorization": "Bearer k"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def text(reply):
    return json.loads(reply[2])["choices"][0]["message"]["content"]


def test_it_answers_and_counts():
    with Endpoint("fine", keep=True) as endpoint:
        assert [text(call(endpoint, prompt)) for prompt in ("a", "b", "a")] == ["fine"] * 3
        assert endpoint.counts() == {"calls": 3, "answered": 3, "repeated": 1, "in_flight": 0, "most_in_flight": 1}
        kept = endpoint.calls()[0]
        assert (kept["body"]["messages"][0]["content"], kept["key"]) == ("a", "k")


def test_a_function_may_answer(tmp_path):
    (tmp_path / "judge.py").write_text(
        "def verdict(body):\n    said = body['messages'][0]['content']\n    return {'text': said[::-1], 'finish_reason': 'length'}\n"
    )
    with Endpoint(f"{tmp_path}/judge.py:verdict") as endpoint:
        reply = call(endpoint, "abc")
        assert text(reply) == "cba"
        assert json.loads(reply[2])["choices"][0]["finish_reason"] == "length"


def test_log_probabilities_are_given_when_asked_for():
    with Endpoint("two words") as endpoint:
        plain, asked = call(endpoint), call(endpoint, logprobs=True)
        assert "logprobs" not in json.loads(plain[2])["choices"][0]
        tokens = json.loads(asked[2])["choices"][0]["logprobs"]["content"]
        assert [token["token"] for token in tokens] == ["two", " words"]


@pytest.mark.parametrize(
    ("rule", "status", "found"),
    [
        ({"do": "throttle", "retry_after": "7"}, 429, b"rate_limit_exceeded"),
        ({"do": "quota"}, 429, b"insufficient_quota"),
        ({"do": "error", "status": 418, "code": "tea", "message": "short and stout"}, 418, b"short and stout"),
        ({"do": "garbage", "content": "<html>"}, 200, b"<html>"),
        ({"do": "filter"}, 200, b'"finish_reason": "content_filter"'),
        ({"do": "filter", "status": 400}, 400, b'"code": "content_filter"'),
        ({"do": "refuse", "text": "No."}, 200, b'"refusal": "No."'),
        ({"do": "wait", "wait_s": 0.01}, 200, b'"content": "yes"'),
    ],
)
def test_it_misbehaves_as_told(rule, status, found):
    with Endpoint(script=[rule]) as endpoint:
        reply = call(endpoint)
        assert reply[0] == status
        assert found in reply[2]
        assert reply[1].get("retry-after") == rule.get("retry_after")
        assert endpoint.counts()[rule["do"]] == 1


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"do": "drop"}, (http.client.RemoteDisconnected, ConnectionError)),
        ({"do": "drop", "midway": True}, (http.client.IncompleteRead,)),
        ({"do": "stall"}, (TimeoutError,)),
    ],
)
def test_it_hangs_up_and_stalls(rule, error):
    with Endpoint(script=[rule]) as endpoint, pytest.raises(error):
        call(endpoint, timeout=0.3)


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"times": 2}, [429, 429, 200, 200]),
        ({"times": 1, "each": True}, [429, 429, 200, 200]),
        ({"every": 2}, [200, 429, 200, 429]),
        ({"from_call": 2}, [200, 200, 429, 429]),
        ({"after": 1}, [200, 429, 429, 429]),
        ({"matches": "b"}, [200, 429, 200, 429]),
        ({"above": 1}, [200] * 4),
        ({"matches": "b", "times": 1}, [200, 429, 200, 200]),
    ],
)
def test_rules_hold_when_all_their_conditions_do(rule, statuses):
    with Endpoint(script=[{"do": "throttle", **rule}]) as endpoint:
        assert [call(endpoint, prompt)[0] for prompt in ("a", "b", "a", "b")] == statuses


def test_an_unknown_misbehaviour_is_refused():
    with pytest.raises(ValueError, match="no misbehaviour named explode"):
        Endpoint(script=[{"do": "explode"}])
    assert all(f"`{name}`" in Endpoint.__doc__ for name in MISBEHAVIOURS)


def test_it_ends_with_its_context():
    with Endpoint() as endpoint:
        call(endpoint)
    with pytest.raises(urllib.error.URLError):
        call(endpoint)
