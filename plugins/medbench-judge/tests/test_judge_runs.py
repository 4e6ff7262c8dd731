"""Judging through the whole of medbench against a real endpoint on loopback: hardship, resumption, what is on record."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import medbench_judge
import medbench_openai
import msgspec
import pytest
from PIL import Image

from medbench import api
from medbench.builtin.executors.child import Child
from medbench.cli.main import run_app
from medbench.errors import MedbenchError, PlanError
from medbench.events import Progress
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry
from medbench.runs import find_run
from medbench.testing import plugin as fakes
from medbench.testing.endpoint import Endpoint
from medbench.types import Text

REPLIES = f"{Path(__file__).with_name('judging.py')}:judge"
N = 24


def write(folder, n=N, slips=()):
    """Write n questions about one picture, and answers that are right for two of three."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (16, 16), 90).save(folder / "one.png")
    with (folder / "data.csv").open("w", newline="") as data, (folder / "predictions.csv").open("w", newline="") as predictions:
        questions, answers = csv.writer(data), csv.writer(predictions)
        questions.writerow(["id", "image", "question", "answer", "split", "patient"])
        answers.writerow(["id", "prediction"])
        for at in range(n):
            slip = f" slip {slips[at % len(slips)]}" if slips else ""
            questions.writerow([f"q{at:03d}", "one.png", f"What is {at}?{slip}", f"mass {at}", "test", f"p{at // 2}"])
            answers.writerow([f"q{at:03d}", f"mass {at if at % 3 else at + 100}"])
    return folder


@pytest.fixture(scope="module")
def registry():
    return load_registry(medbench_judge, medbench_openai)


@pytest.fixture
def score(tmp_path, registry):
    def carry_out(endpoint, folder, *, run=None, metric="vqa-judge", **options):
        judge = {"base_url": endpoint.url, "local": "true", **options.pop("judge_options", {})}
        given = {
            "metrics": (metric,),
            "judge": "openai:tiny",
            "judge_options": judge,
            "runs_dir": str(tmp_path / "runs"),
            "registry": registry,
        }
        if run:
            return api.score(run, **given, **options)
        params = {"reader.file": "data.csv"}
        return api.score(task="custom-vqa", data=str(folder), predictions=folder / "predictions.csv", params=params, **given, **options)

    return carry_out


def values(record, metric="vqa-judge"):
    return {one.name: one.value for one in record.scores if one.metric == metric and not one.subgroup}


HARDSHIP = [
    {"do": "throttle", "retry_after": 0.05, "every": 5, "times": 4},
    {"do": "error", "status": 503, "times": 2},
    {"do": "drop", "times": 2},
    {"do": "drop", "midway": True, "times": 2},
    {"do": "garbage", "content": "<html>gateway</html>", "times": 2},
    {"do": "stall", "seconds": 30, "times": 1},
]


def test_hardship_changes_no_number(score, tmp_path):
    folder = write(tmp_path / "data", slips=("out", "verbose", "none", "cut"))
    with Endpoint(REPLIES, script=HARDSHIP) as endpoint:
        record = score(endpoint, folder, judge_options={"timeout_s": "2", "concurrency": "8"})
        counts = endpoint.counts()
    assert values(record)["overall"] == pytest.approx(16 / 24)
    assert [values(record)[name] for name in ("parsed", "unparsable", "refused", "failed")] == [24, 0, 0, 0]
    assert all(counts[name] for name in ("throttle", "error", "drop", "garbage", "stall"))
    assert record.complete


def test_what_cannot_be_understood_twice_is_counted_and_no_number(score, tmp_path):
    with Endpoint('{"why": "x", "level": 7}') as endpoint:
        record = score(endpoint, write(tmp_path / "data"))
        assert endpoint.counts()["calls"] == 2 * N
    assert values(record)["overall"] is None
    assert (values(record)["unparsable"], values(record)["parsed"]) == (N, 0)
    assert not record.complete


def test_refusals_are_counted_apart(score, tmp_path):
    with Endpoint(REPLIES, script=[{"do": "refuse", "matches": "What is 3?"}, {"do": "filter", "matches": "What is 4?"}]) as endpoint:
        record = score(endpoint, write(tmp_path / "data"))
    assert (values(record)["refused"], values(record)["parsed"]) == (2, N - 2)
    overall = next(one for one in record.scores if one.name == "overall")
    assert (overall.n, overall.n_unscored, overall.coverage) == (N - 2, 2, pytest.approx(22 / 24))
    assert not record.complete


def test_calls_that_failed_are_asked_again_by_the_same_command_and_no_other(score, tmp_path):
    folder = write(tmp_path / "data")
    script = [{"do": "error", "status": 500, "matches": "What is 5?"}]
    with Endpoint(REPLIES, script=script) as endpoint:
        first = score(endpoint, folder, judge_options={"retries": "0"})
        port = endpoint.port
    assert (values(first)["failed"], values(first)["overall"]) == (1, pytest.approx(15 / 23))
    assert not first.complete
    with Endpoint(REPLIES, port=port) as endpoint:
        second = score(endpoint, folder, judge_options={"retries": "0"})
        assert endpoint.counts()["calls"] == 1
        third = score(endpoint, folder, judge_options={"retries": "0"})
        assert endpoint.counts()["calls"] == 1
    assert (values(second)["failed"], values(second)["overall"]) == (0, pytest.approx(16 / 24))
    assert third == second
    assert second.complete


def test_no_score_where_every_call_failed(score, tmp_path):
    with Endpoint(REPLIES, script=[{"do": "error", "status": 500}]) as endpoint, pytest.raises(MedbenchError):
        score(endpoint, write(tmp_path / "data"), judge_options={"retries": "0"})
    with Endpoint(REPLIES, script=[{"do": "filter"}]) as endpoint:
        record = score(endpoint, write(tmp_path / "data"))
    assert values(record)["overall"] is None
    assert not record.complete


def test_the_exit_code_says_that_there_is_no_score(tmp_path, capsys):
    folder = write(tmp_path / "data")
    arguments = ["score", "--task", "custom-vqa", "--data", str(folder), "--predictions", str(folder / "predictions.csv")]
    arguments += ["--param", "reader.file=data.csv", "--metric", "vqa-judge", "--judge", "openai:tiny", "--judge-option", "local=true"]
    with Endpoint(REPLIES, script=[{"do": "filter"}]) as endpoint:
        assert run_app([*arguments, "--judge-option", f"base_url={endpoint.url}"]) == 3
    said = capsys.readouterr().out
    assert re.search(r"refused +24 ", said)
    assert "24 unscored" in said
    with Endpoint(REPLIES, script=[{"do": "error", "status": 500}]) as endpoint:
        asked = [*arguments, "--judge-option", f"base_url={endpoint.url}", "--judge-option", "retries=0"]
        assert run_app(asked) in {2, 3}


def test_a_killed_run_pays_no_answer_twice(tmp_path):
    total, flying = 2_000, 16
    folder = write(tmp_path / "data", n=total)
    with Endpoint('{"why": "compared", "level": 1}') as endpoint:
        command = [sys.executable, "-m", "medbench", "score", "--task", "custom-vqa", "--data", str(folder), "--quiet"]
        command += ["--predictions", str(folder / "predictions.csv"), "--param", "reader.file=data.csv", "--metric", "vqa-judge"]
        command += ["--judge", "openai:tiny", "--runs-dir", str(tmp_path / "runs")]
        for option in (f"base_url={endpoint.url}", "local=true", f"concurrency={flying}"):
            command += ["--judge-option", option]
        env = {name: value for name, value in os.environ.items() if name != "MEDBENCH_PLUGINS"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        while endpoint.counts().get("answered", 0) < total // 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        while endpoint.counts().get("in_flight", 0):
            time.sleep(0.02)
        before = endpoint.counts()
        kept = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "runs" / "outputs").glob("*/*.jsonl"))
        assert total // 2 <= before["answered"] < total
        assert kept >= before["answered"] - flying
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env, timeout=100)
        after = endpoint.counts()
    assert after["answered"] - before["answered"] == total - kept
    assert after["repeated"] <= flying
    record = find_run("custom-vqa/predictions", tmp_path / "runs").read_record()
    assert values(record)["parsed"] == total


def test_two_judges_stand_side_by_side(score, tmp_path):
    folder = write(tmp_path / "data")
    with Endpoint(REPLIES) as strict, Endpoint('{"why": "fine", "level": 1}') as kind:
        first = score(strict, folder)
        run = find_run("custom-vqa/predictions", tmp_path / "runs").path
        both = score(kind, folder, run=run)
    overall = [one for one in both.scores if one.name == "overall"]
    assert [one.value for one in overall] == [pytest.approx(16 / 24), 1.0]
    assert len({one.convention["by"] for one in overall}) == 2
    assert {one.convention["judge"] for one in overall} == {"vqa-judge@1"}
    assert first.signatures.items() <= both.signatures.items()
    for signature in both.signatures.values():
        assert {"judge", "rubric", "prompt", "temperature", "instructions"} <= set(signature)


def test_every_reply_is_kept_and_shown(score, tmp_path, capsys):
    folder = write(tmp_path / "data", slips=("verbose", "none"))
    with Endpoint(REPLIES) as endpoint:
        score(endpoint, folder)
    run = str(find_run("custom-vqa/predictions", tmp_path / "runs").path)
    assert run_app(["samples", run, "--show", "q000"]) == 0
    said = capsys.readouterr().out
    for part in ("What is 0?", "in every respect", "does not state a level", '"level": 0', "latency_ms", "output_tokens", "rate (re-ask)"):
        assert part in said
    assert run_app(["samples", run, "--show", "q001", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    ((call,),) = row["asked"].values()
    assert (call["status"], call["verdict"]) == ("parsed", "1.0")
    assert call["prompt"].startswith("You decide whether an answer")


def test_preferences_between_two_runs(score, tmp_path):
    folder = write(tmp_path / "data")
    with Endpoint(REPLIES) as endpoint:
        score(endpoint, folder)
    first = find_run("custom-vqa/predictions", tmp_path / "runs").path
    better = write(tmp_path / "better")
    rows = (better / "predictions.csv").read_text().splitlines()
    (better / "better.csv").write_text("\n".join([rows[0], *(f"q{at:03d},mass {at}" for at in range(N))]) + "\n")
    with Endpoint('{"reason": "x", "better": "A"}') as endpoint:
        asked = api.score(
            task="custom-vqa",
            data=str(better),
            predictions=better / "better.csv",
            params={"reader.file": "data.csv"},
            metrics=("pairwise",),
            metric_options={"against": str(first)},
            judge="openai:tiny",
            judge_options={"base_url": endpoint.url, "local": "true"},
            runs_dir=str(tmp_path / "runs"),
            registry=load_registry(medbench_judge, medbench_openai),
        )
        assert endpoint.counts()["calls"] == 16
    found = values(asked, "pairwise")
    assert (found["win-rate"], found["ties"], found["consistent"], found["position-bias"]) == (0.5, 1.0, 0.0, 1.0)
    assert next(one for one in asked.scores).convention["against"].startswith("predictions-")


def test_a_missing_rubric_is_found_before_anything_is_asked(score, tmp_path):
    with Endpoint(REPLIES) as endpoint:
        with pytest.raises(PlanError, match="cannot run") as caught:
            score(endpoint, write(tmp_path / "data"), metric="rubric", metric_options={"file": "nowhere.toml"})
        assert endpoint.counts()["calls"] == 0
    assert "nowhere.toml" in caught.value.problems[0].message


def test_a_rubric_of_ones_own_is_scored_under_its_name(score, tmp_path):
    path = tmp_path / "tone.toml"
    path.write_text('name = "tone"\nprompt = "Rate: {candidate}"\n[levels]\n0 = "rude"\n1 = "plain"\n2 = "kind"\n')
    with Endpoint("Level: 2") as endpoint:
        record = score(endpoint, write(tmp_path / "data"), metric="rubric", metric_options={"file": str(path)})
        path.write_text(path.read_text().replace("Rate", "Judge"))
        changed = score(endpoint, write(tmp_path / "data"), metric="rubric", metric_options={"file": str(path)})
    average = [one for one in changed.scores if one.name == "average"]
    assert record.scores[0].value == 2.0
    assert len({one.convention["rubric"] for one in average}) == 2


def test_a_budget_stops_before_the_call_that_would_exceed_it_and_keeps_the_rest(score, tmp_path):
    folder = write(tmp_path / "data")
    priced = {"price_in": "10", "price_out": "10", "concurrency": "4"}
    with Endpoint(REPLIES) as endpoint:
        with pytest.raises(MedbenchError):
            score(endpoint, folder, judge_options=priced, max_cost=0.05)
        spent = endpoint.counts()["answered"]
        assert 0 < spent < N
        record = score(endpoint, folder, judge_options=priced)
        assert endpoint.counts()["answered"] == N
    assert values(record)["parsed"] == N
    assert record.costs["judge"].usd > 0


def test_a_judge_in_a_process_of_its_own_is_loaded_once_and_tells_how_far_it_is(tmp_path, monkeypatch):
    begun, told = [], []
    start = Child._start
    monkeypatch.setattr(Child, "_start", lambda child: begun.append(child) or start(child))
    folder = write(tmp_path / "data", n=3)
    record = api.score(
        task="custom-vqa",
        data=str(folder),
        predictions=folder / "predictions.csv",
        params={"reader.file": "data.csv"},
        metrics=("vqa-judge",),
        judge="fake-faulty",
        runs_dir=str(tmp_path / "runs"),
        registry=load_registry(medbench_judge, fakes),
        on_event=told.append,
    )
    assert values(record)["unparsable"] == 3
    assert len(begun) == 1
    assert begun[0]._process is None
    seen = [event for event in told if isinstance(event, Progress)]
    assert [event.stage for event in seen].count("load judge") == 2
    judged = [(event.done, event.total) for event in seen if event.stage == "judge"]
    assert judged == [(0, 3), (1, 3), (2, 3), (3, 3), (3, 6), (4, 6), (5, 6), (6, 6)]


def test_a_model_that_is_an_object_is_not_its_own_judge(tmp_path, registry):
    class Model:
        def generate(self, requests):
            assert not any("You decide whether" in request.prompt for request in requests)
            return [Text(text="mass 1") for _ in requests]

    folder = write(tmp_path / "data", n=4)
    with Endpoint(REPLIES) as endpoint:
        record = api.run(
            "custom-vqa",
            Model(),
            data=str(folder),
            params={"reader.file": "data.csv"},
            metrics=("vqa-judge",),
            judge="openai:tiny",
            judge_options={"base_url": endpoint.url, "local": "true"},
            runs_dir=str(tmp_path / "runs"),
            registry=registry,
        )
        assert endpoint.counts()["calls"] == 4
    assert values(record)["overall"] == 0.25


def test_what_is_open_is_counted_where_it_belongs(score, tmp_path):
    folder = write(tmp_path / "data")
    lines = (folder / "data.csv").read_text().splitlines()
    kinds = ["answer_type", *("CLOSED" if at % 2 else "OPEN" for at in range(N))]
    (folder / "data.csv").write_text("\n".join(f"{line},{kind}" for line, kind in zip(lines, kinds, strict=True)) + "\n")
    with Endpoint(REPLIES, script=[{"do": "filter", "matches": f"What is {at}?"} for at in (3, 4, 5)]) as endpoint:
        record = score(endpoint, folder)
    found = {one.name: (one.n, one.n_unscored) for one in record.scores if not one.subgroup}
    assert (found["overall"], found["closed"], found["open"]) == ((21, 3), (10, 2), (11, 1))


class InThisProcess:
    """The models of medbench-llava, without the process of their own that other tests are about."""

    def __init__(self, cards):
        self.cards = [msgspec.structs.replace(card, name=f"{card.name}-here", isolated=False) for card in cards]

    @hookimpl
    def medbench_cards(self):
        return self.cards


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_local_model_is_a_judge_like_any_other(tmp_path):
    llava = pytest.importorskip("medbench_llava", reason="medbench-llava brings the local model")
    path = tmp_path / "short.toml"
    path.write_text('name = "short"\nparser = "number"\nprompt = "Rate: {candidate}"\n[levels]\n0 = "bad"\n1 = "good"\n')
    folder = write(tmp_path / "data", n=2)
    record = api.score(
        task="custom-vqa",
        data=str(folder),
        predictions=folder / "predictions.csv",
        params={"reader.file": "data.csv"},
        metrics=("rubric",),
        metric_options={"file": str(path), "weighted": "true", "samples": "2"},
        judge="hf-vlm-here",
        judge_options={"preset": "tiny"},
        runs_dir=str(tmp_path / "runs"),
        registry=load_registry(medbench_judge, InThisProcess(llava.medbench_cards())),
    )
    told = values(record, "rubric")
    assert told["failed"] == 0
    assert told["parsed"] + told["unparsable"] + told["refused"] == 2
    stored = "\n".join(file.read_text() for file in (tmp_path / "runs" / "outputs").glob("*/*.jsonl"))
    kept = [json.loads(line)["output"] for line in stored.split("\n") if line]
    assert all(set(output["option_logprobs"]) == {"0", "1"} and output["usage"]["input_tokens"] > 0 for output in kept)
    assert all(0 < output["covered"] < 0.9 for output in kept)
    assert record.complete is (told["parsed"] == 2)
