"""Whole runs: killed in the middle, under a budget, guarded data, and where a key must never be found."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CANARY = "sk-canary-7f3a9c5e"
HERE = "base_url=http://127.0.0.1:9/v1"
PRICED = ("price_in=10", "price_out=10")


def command(*arguments):
    return [sys.executable, "-m", "medbench", *map(str, arguments)]


def options(endpoint, *more):
    given = [f"base_url={endpoint.url}", *more]
    return [part for option in given for part in ("--model-option", option)]


def run(endpoint, *arguments, more=("local=true",), env=None, task="vqa-rad"):
    made = command("run", "--task", task, "--model", "openai:tiny", "--data", os.environ["SMALL"], *options(endpoint, *more), *arguments)
    return subprocess.run(made, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=100, check=False)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """Return a cache that holds the twin, so that it is written once."""
    cache = tmp_path_factory.mktemp("cache")
    subprocess.run(
        command("twin", "vqa-rad", cache / "small", "--size", "45"), check=True, env={**os.environ, "MEDBENCH_CACHE": str(cache)}
    )
    return cache


@pytest.fixture(autouse=True)
def _with_twin(monkeypatch, twin):
    monkeypatch.setenv("MEDBENCH_CACHE", str(twin))
    monkeypatch.setenv("SMALL", str(twin / "small"))


def planned(capsys, *more, **given):
    """Return what a plan of these options says, on every stream: as the command prints it, in this process."""
    from medbench.cli import screen
    from medbench.errors import PlanError
    from medbench.options import RunOptions, pairs

    asked = RunOptions(task="vqa-rad", model="openai:tiny", data=os.environ["SMALL"], model_options=pairs(more, "--model-option"), **given)
    try:
        screen.carry_out_run(asked, dry_run=True, as_json=False, quiet=False)
        said = ""
    except PlanError as error:
        said = "\n".join(f"{problem.message} ({problem.hint})" for problem in error.problems)
    streams = capsys.readouterr()
    return streams.out + streams.err + said


def record(folder):
    found = list(Path(folder).glob("vqa-rad/*/*/run.json"))
    assert len(found) == 1
    return json.loads(found[0].read_bytes())


def stored(folder):
    return sum(len(path.read_bytes().splitlines()) for path in Path(folder).glob("outputs/*/*.jsonl"))


def test_killed_in_the_middle_nothing_answered_is_paid_again(serve, tmp_path):
    endpoint = serve(latency_s=0.03)
    arguments = command(
        "run", "--task", "vqa-rad", "--model", "openai:tiny", "--data", os.environ["SMALL"], *options(endpoint, "local=true")
    )
    # the limit on calls in flight bounds what a kill can lose
    with subprocess.Popen([*arguments, "--model-option", "concurrency=16"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        while endpoint.counts()["answered"] < 60:
            assert killed.poll() is None
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
    time.sleep(0.1)
    before, kept = endpoint.counts(), stored("runs")
    assert before["answered"] - 16 <= kept <= before["answered"]
    again = run(endpoint)
    assert again.returncode == 0, again.stderr
    after = endpoint.counts()
    assert after["calls"] - before["calls"] == stored("runs") - kept
    assert after["repeated"] == before["answered"] - kept <= 16
    once_more = run(endpoint)
    assert endpoint.counts()["calls"] == after["calls"]
    assert "nothing to do" in once_more.stdout


def test_cost_before_during_and_after(serve, capsys):
    endpoint = serve(latency_s=0.01)
    dry = planned(capsys, HERE, "local=true", *PRICED, max_cost=1.5, limit=120)
    assert "about 120 calls · " in dry
    assert "max cost       $1.50" in dry
    assert endpoint.counts()["calls"] == 0

    stopped = run(endpoint, "--limit", "120", "--max-cost", "0.05", more=("local=true", *PRICED))
    assert stopped.returncode == 2
    assert "error: the next call might exceed the budget: of $0.0500 that were left" in stopped.stderr
    assert "the same command with a higher --max-cost goes on" in stopped.stderr
    paid = endpoint.counts()["calls"]
    assert 0 < stored("runs") == paid < 120

    same = run(endpoint, "--limit", "120", "--max-cost", "0.05", more=("local=true", *PRICED))
    assert same.returncode == 2
    assert endpoint.counts()["calls"] - paid <= 2, "what was paid before counts towards the limit"

    done = run(endpoint, "--limit", "120", "--max-cost", "5", more=("local=true", *PRICED))
    assert done.returncode == 0, done.stderr
    assert "of $5.00" in done.stderr
    cost = record("runs")["costs"]["model"]
    assert cost["usd"] == pytest.approx(10e-6 * (cost["input_tokens"] + cost["output_tokens"]))
    assert cost["price"] == {"input": 10.0, "output": 10.0, "source": "as stated by the user"}
    assert f"{cost['input_tokens']:,} tokens in" in done.stdout
    assert cost["served"] == {"tiny": 120}
    assert "answers, model by tiny\n" in done.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("local=true",), "--max-cost: no price is known for openai:tiny"),
        (("local=true", "price_in=1"), "price_in and price_out go together"),
    ],
)
def test_a_budget_that_nobody_could_keep_is_refused(capsys, more, said):
    assert said in planned(capsys, HERE, *more, max_cost=1.0)


def test_a_loopback_endpoint_is_elsewhere_until_the_user_says_it_is_here(serve):
    endpoint = serve()
    local = run(endpoint, "--limit", "4")
    assert local.returncode == 0, local.stderr
    made = record("runs")
    assert made["overrides"] == {"stated_local": ["openai:tiny"]}
    assert made["model"]["networked"] is True
    assert made["model"]["loaded"]["local"] is True
    assert made["model"]["options"] == {"base_url": endpoint.url, "name": "tiny"}


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://127.0.0.1.example.org/v1", "local=true: 127.0.0.1.example.org is not this machine"),
        ("ftp://127.0.0.1/v1", "base_url is no web address"),
        ("http://127.0.0.1:99999/v1", "base_url is no web address"),
        (f"http://me:{CANARY}@127.0.0.1/v1", "base_url holds more than an address"),
        (f"http://127.0.0.1/v1?key={CANARY}", "base_url holds more than an address"),
    ],
)
def test_an_address_that_will_not_do_is_refused_and_no_secret_repeated(base_url, said, capsys):
    told = planned(capsys, "local=true", f"base_url={base_url}")
    assert said in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((f"key_env={CANARY}",), "key_env is not the name of an environment variable"),
        ((f"key_env={CANARY.replace('-', '_')}",), "key_env names an environment variable that is not set"),
        ((f"api_key={CANARY}",), "openai:tiny has no option api_key"),
        (("extra=[1]",), "extra is not a JSON object"),
        (("name=",), "openai needs the name of a model"),
    ],
)
def test_options_that_will_not_do_are_refused_before_anything_is_written(capsys, more, said):
    told = planned(capsys, HERE, "local=true", *more)
    assert said in told
    assert CANARY not in told
    assert CANARY.replace("-", "_") not in told


def test_openai_itself_needs_a_key_and_an_address_from_the_options(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    told = planned(capsys)
    assert "there is no key for https://api.openai.com/v1" in told
    assert "OPENAI_BASE_URL is set" in told


def test_prices_of_the_table_are_for_openai_alone(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    told = planned(capsys, "name=gpt-4o-2024-08-06", limit=10)
    assert re.search(r"about 10 calls · [\d,]+ tokens in · 320 out · \$0\.0\d+ \(OpenAI's list, March 2026\) at most", told)
    assert "no price is known at most" in planned(capsys, "name=gpt-4o", HERE, limit=10)
    assert CANARY not in told


@pytest.mark.parametrize("behaviour", ["answers", "quotes it", "breaks", "fails with it"])
def test_a_key_is_sent_and_found_nowhere_else(serve, behaviour, tmp_path):
    script = {
        "answers": [],
        "quotes it": [{"do": "error", "status": 401, "message": f"Incorrect API key provided: {CANARY}", "from_call": 5}],
        "breaks": [{"do": "drop", "midway": True}],
        "fails with it": [{"do": "error", "status": 400, "message": f"bad call by {CANARY}", "every": 3}],
    }[behaviour]
    endpoint = serve(script=script, keep=True)
    env = {"MY_KEY": CANARY, "OPENAI_LOG": "debug", "MEDBENCH_DEBUG": "1"}
    done = run(endpoint, "--limit", "20", more=("local=true", "key_env=MY_KEY", "retries=0"), env=env)
    assert done.returncode == {"answers": 0, "quotes it": 2, "breaks": 2, "fails with it": 3}[behaviour], done.stderr
    assert {call["key"] for call in endpoint.calls()} == {CANARY}
    assert CANARY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []


def test_openais_key_goes_to_nobody_else(serve):
    endpoint = serve(keep=True)
    done = run(endpoint, "--limit", "2", env={"OPENAI_API_KEY": CANARY, "OPENAI_ORG_ID": "org-canary"})
    assert done.returncode == 0, done.stderr
    assert {call["key"] for call in endpoint.calls()} == {"none"}
    assert "org-canary" not in json.dumps(endpoint.calls())


def test_what_is_sent_is_not_logged(serve):
    done = run(serve(), "--limit", "2", env={"OPENAI_LOG": "debug"})
    assert done.returncode == 0
    assert "image/jpeg" not in done.stderr
    assert "Request options" not in done.stderr
