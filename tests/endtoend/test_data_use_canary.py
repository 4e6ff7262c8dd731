"""A text under an agreement is found nowhere it may not be: after running, judging, viewing, publishing and crashing."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.cli.main import run_app
from medbench.testing.endpoint import Endpoint

CANARY = "zqxjkvb-41c7"
PRIVATE = ("predictions.jsonl", "samples.jsonl", "rows", "fit", "error.txt", "rating")
"""What of a run folder may hold texts of the data; the outputs store may, too."""
REPLY = '{"differences": "none", "level": 3}'
CRASH = """
from medbench.cards import MetricCard, ModelCard, ScoreFacts
from medbench.hookspecs import hookimpl

class Crash:
    def __init__(self, convention=None, how="metric"):
        pass
    def measure(self, pairs):
        raise ValueError(f"cannot parse {pairs[0].sample.references[0]}")

class Learner:
    def fit(self, examples, validation, out, seed, events):
        raise KeyError(next(iter(examples))[1].text)

class Told:
    @staticmethod
    def keep(): ...

@hookimpl
def medbench_cards():
    return [
        MetricCard(name="crash", load="medbench_crash:Crash", takes=("text",), scores={"x": ScoreFacts()}),
        ModelCard(name="crashing-learner", load="medbench_crash:Learner", can=("generate",), fits="always", isolated=False),
    ]

@hookimpl
def medbench_finished(record, folder):
    raise RuntimeError("a tracker was told of the run")
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """Return a twin that is under an agreement, with the canary in every report; written once."""
    root = tmp_path_factory.mktemp("twin") / "data"
    subprocess.run([sys.executable, "-m", "medbench", "twin", "iu-xray", str(root), "--size", "6"], check=True, stdout=subprocess.DEVNULL)
    annotation = json.loads((root / "annotation.json").read_bytes())
    for split in annotation.values():
        for report in split:
            report["report"] = f"{CANARY}. {report['report']}"
    (root / "annotation.json").write_text(json.dumps(annotation))
    marker = root / ".medbench_synthetic.json"
    marker.write_text(json.dumps({**json.loads(marker.read_bytes()), "access": "credentialed"}))
    return root


@pytest.fixture
def data(twin, tmp_path):
    return Path(shutil.copytree(twin, tmp_path / "data"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty working folder in which the plugin that crashes is installed."""
    site = tmp_path / "site"
    (site / "medbench_crash-1.0.dist-info").mkdir(parents=True)
    (site / "medbench_crash.py").write_text(CRASH)
    (site / "medbench_crash-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: medbench-crash\nVersion: 1.0\n")
    (site / "medbench_crash-1.0.dist-info" / "entry_points.txt").write_text("[medbench]\ncrash = medbench_crash\n")
    monkeypatch.setenv("MEDBENCH_PLUGINS", "medbench-crash,medbench-judge,medbench-openai")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(str(site))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def found(folder, text=CANARY):
    """Return the files below a folder that hold the text, by their content or name."""
    return [path for path in folder.rglob("*") if path.is_file() and (text in path.name or text.encode() in path.read_bytes())]


def may(path, runs):
    """Say whether a file may hold texts of the data."""
    inside = path.relative_to(runs).parts
    return inside[0] == "outputs" or any(part in PRIVATE for part in inside[3:])


def ran(capfd, *arguments, code=0):
    """Run a command in this process and return its streams together."""
    assert run_app(list(arguments)) == code
    out, err = capfd.readouterr()
    return out + err


def test_the_canary_is_found_nowhere_it_may_not_be(data, place, tmp_path, capfd, caplog):
    caplog.set_level("DEBUG", "medbench")
    said = []
    with Endpoint(REPLY) as endpoint:
        judge = ["--judge", "openai:tiny", "--judge-option", f"base_url={endpoint.url}", "--judge-option", "local=true"]
        run = ["run", "--task", "iuxray-mrg", "--model", "most-common-report", "--data", str(data), "--metric", "likert", *judge]
        said.append(ran(capfd, *run))
        said.append(ran(capfd, *run, "--json"))
        assert endpoint.counts()["answered"] > 0
    assert "was not told of the run: credentialed data stays on this machine" in said[0]
    (folder,) = (place / "runs").glob("iuxray-mrg/*/*")
    manifest = json.loads((folder / "run.json").read_bytes())["data"]["manifest"]
    board = place / "leaderboards" / "canary"
    board.mkdir(parents=True)
    task = f'[[tasks]]\nname = "iuxray-mrg"\nprotocol = "report"\nmanifest = "{manifest}"\n'
    (board / "board.toml").write_text(f'title = "t"\nsynthetic = true\n{task}[[columns]]\nscore = "likert/average"\nlabel = "Likert"\n')
    (place / "r.csv").write_text(
        "sample,rater,rating\n"
        + "".join(f"{json.loads(line)['id']},ann,2\n" for line in (folder / "samples.jsonl").read_text().splitlines())
    )
    for arguments, code in (
        (["samples", str(folder), "--json"], 0),
        (["samples", str(folder), "--csv", "samples.csv"], 0),
        (["runs"], 0),
        (["report", str(folder), "--out", "report.html"], 0),
        (["report", str(folder)], 0),
        (["leaderboard", "show", "iuxray-mrg"], 0),
        (["leaderboard", "add", str(folder), "--board", "canary"], 0),
        (["leaderboard", "pack", str(folder), "--board", "canary"], 0),
        (["leaderboard", "build"], 0),
        (["leaderboard", "build", "--site", "site"], 0),
        (["agree", str(folder), "--ratings", "r.csv", "--out", "agreed"], 0),
        (["rate", str(folder)], 2),
        (["diff", str(folder), str(folder)], 0),
        (["export", "iu-xray", "elsewhere.json", "--data", str(data), "--format", "jsonl"], 2),
        (["score", str(folder), "--metric", "likert", "--judge", "openai:tiny", "--dry-run"], 2),
    ):
        done = run_app(arguments)
        out, err = capfd.readouterr()
        assert done == code, f"{arguments}: {done}\n{out}{err}"
        said.append(out + err)
    assert [text for text in said if CANARY in text] == []
    assert CANARY not in caplog.text
    runs = place / "runs"
    kept = found(runs)
    assert kept
    assert [path for path in kept if not may(path, runs)] == []
    assert [path for path in found(tmp_path) if not path.is_relative_to(runs) and not path.is_relative_to(data)] == []
    assert found(Path(os.environ["MEDBENCH_CACHE"])) == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "rows", next((runs / "outputs").iterdir()))} == {0o700}
    assert "credentialed" in (folder / "DATA-USE.txt").read_text()


@pytest.mark.parametrize(
    "what", [["--model", "most-common-report", "--metric", "crash"], ["--model", "crashing-learner", "--metric", "crash"]]
)
def test_nor_in_a_traceback(data, place, tmp_path, what):
    command = [sys.executable, "-m", "medbench", "run", "--task", "iuxray-mrg", "--data", str(data), *what]
    for extra in ([], ["--json"]):
        done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False, env={**os.environ, "MEDBENCH_DEBUG": "1"})
        assert done.returncode in {1, 2}
        assert CANARY not in done.stdout + done.stderr
        assert "error.txt" in done.stderr
    runs = place / "runs"
    assert [path.name for path in found(runs) if path.name == "error.txt"] == ["error.txt"]
    assert [path for path in found(runs) if not may(path, runs)] == []
    assert [path for path in found(tmp_path) if not path.is_relative_to(runs) and not path.is_relative_to(data)] == []


@pytest.mark.parametrize("status", [400, 404, 422])
def test_nor_in_what_an_endpoint_says_of_it(data, place, tmp_path, capfd, status):
    said = f"logprobs is not known in: {CANARY}"
    with Endpoint(REPLY, script=[{"do": "error", "status": status, "message": said}]) as endpoint:
        judge = ["--judge", "openai:tiny", "--judge-option", f"base_url={endpoint.url}", "--judge-option", "local=true"]
        run = ["run", "--task", "iuxray-mrg", "--model", "most-common-report", "--data", str(data), "--metric", "likert", *judge]
        told = ran(capfd, *run, code=2)
        assert endpoint.counts()["calls"] > 0
    assert CANARY not in told
    assert "error.txt" in told
    runs = place / "runs"
    assert [path for path in found(runs) if not may(path, runs)] == []


def test_the_refusal_names_agreement_source_and_what_can_be_done_here(data, place, capfd):
    run = ["run", "--task", "iuxray-mrg", "--model", "most-common-report", "--data", str(data), "--metric", "likert"]
    judge = ["--judge", "openai:tiny", "--judge-option", "base_url=http://judge.example.org:8000/v1"]
    said = re.sub(r"\s+", " ", ran(capfd, *run, *judge, code=2))
    for part in (
        "openai:tiny would send iu-xray (credentialed data) to judge.example.org:8000",
        "agreement: ",
        "24 September 2025",
        "physionet.org/news/post/llm-responsible-use",
        "--judge-option local=true",
        "--i-have-permission-to-send",
    ):
        assert part in said
    assert not (place / "runs").exists()


def test_a_permission_stands_on_record_with_reason_machine_and_day(data, place, capfd):
    with Endpoint(REPLY) as endpoint:
        run = ["run", "--task", "iuxray-mrg", "--model", "most-common-report", "--data", str(data), "--metric", "likert"]
        run += ["--judge", "openai:tiny", "--judge-option", f"base_url={endpoint.url}"]
        ran(capfd, *run, code=2)
        assert endpoint.counts().get("calls", 0) == 0
        first = ran(capfd, *run, "--i-have-permission-to-send", "DUA 7", "--json")
    (stated,) = json.loads(first[first.index("{") : first.rindex("}") + 1])["overrides"]["permission_to_send"]
    assert (stated["reason"], stated["to"]) == ("DUA 7", [f"127.0.0.1:{endpoint.port}"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", stated["date"])
    row = " ".join(ran(capfd, "leaderboard", "show", "iuxray-mrg", "--markdown").split())
    assert f"permission to send to {stated['to'][0]}: DUA 7 (stated {stated['date']})" in row
