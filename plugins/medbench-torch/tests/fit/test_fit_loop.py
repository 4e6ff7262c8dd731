from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from medbench_torch.fit import Schedule, Settings, Stage, fit, plainly, read_events
from safetensors.torch import load_file

from medbench.errors import DataError, StorageError, UsageError

QUICK = Settings(device="cpu", save_every=3, log_every=2)


class InterruptError(Exception):
    pass


def breaking(at, stage="whole"):
    def events(event):
        if event["event"] == "step" and event["stage"] == stage and event["step"] >= at:
            raise InterruptError

    return events


def weights(folder, name="whole"):
    return load_file(folder / f"{name}.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_it_learns_and_says_so(line, tmp_path):
    out, told = tmp_path / "out", []
    facts = fit(line.Line(), [line.stage(steps=150, lr=0.05)], line.planes(60), line.planes(20, 1), out, 0, told.append, settings=QUICK)
    steps = [event["loss"] for event in told if event["event"] == "step"]
    assert steps[-1] < 0.25 * steps[0]
    assert facts["stages"][0]["held_out"]["loss"] < 1.0
    assert (facts["n_examples"], facts["n_validation"], facts["processes"]) == (60, 20, 1)
    assert read_events(out) == told
    assert [event["event"] for event in told][:1] + [event["event"] for event in told][-2:] == ["stage", "held-out", "stage-end"]
    assert not out.with_name("out.partial").exists()


def test_what_a_person_hears_of_it(line, tmp_path):
    heard = []
    stages = [line.stage(steps=4, evaluate_every=2)]
    fit(line.Line(), stages, line.planes(9), line.planes(3), tmp_path / "out", 0, plainly(heard.append), settings=QUICK)
    assert [sorted(event) for event in heard] == [
        ["stage", "step", "steps"],
        *[["loss", "lr", "stage", "step", "steps"], ["held-out loss", "stage", "step"]] * 2,
    ]
    assert plainly(None) is None


def test_the_loss_told_is_the_weighted_mean_over_targets(line, tmp_path):
    told = []
    fit(
        line.Line(),
        [line.stage(steps=1, batch=6)],
        line.planes(6),
        [],
        tmp_path / "out",
        0,
        told.append,
        settings=Settings(device="cpu", log_every=1),
    )
    trainable = line.Line()
    trainable.module.train()
    batch, count = trainable.collate(line.planes(6), [0] * 6)
    assert count == 9
    expected = trainable.loss(trainable.module, batch).item() / count
    assert [e["loss"] for e in told if e["event"] == "step"] == [pytest.approx(expected, rel=1e-4)]


def test_accumulated_passes_equal_one_large_batch(line, tmp_path):
    made = []
    for batch, accumulate in ((6, 1), (2, 3)):
        out = tmp_path / f"{batch}"
        stages = [line.stage(steps=8, batch=batch, accumulate=accumulate)]
        fit(line.Line(line.LayerNet, noise=0.2), stages, line.planes(20), [], out, 3, settings=QUICK)
        made.append(weights(out))
    for name in made[0]:
        torch.testing.assert_close(made[0][name], made[1][name], rtol=1e-4, atol=1e-6)


def test_the_number_of_workers_changes_nothing(line, tmp_path):
    for workers in (1, 4):
        settings = Settings(device="cpu", workers=workers)
        fit(line.Line(dropout=0.2, noise=0.2), [line.stage()], line.planes(20), [], tmp_path / str(workers), 3, settings=settings)
    same(weights(tmp_path / "1"), weights(tmp_path / "4"))


def test_another_seed_gives_other_weights(line, tmp_path):
    for seed in (0, 1):
        fit(line.Line(), [line.stage()], line.planes(20), [], tmp_path / str(seed), seed, settings=QUICK)
    assert not torch.equal(weights(tmp_path / "0")["last.weight"], weights(tmp_path / "1")["last.weight"])


@pytest.mark.parametrize("at", [2, 4, 8])
def test_an_interrupted_fit_ends_like_one_that_was_not(line, tmp_path, at):
    stages = [line.stage(steps=10, evaluate_every=5)]
    data = (line.planes(30), line.planes(8, 1))
    whole = fit(line.Line(dropout=0.2, noise=0.1), stages, *data, tmp_path / "whole", 5, settings=QUICK)
    with pytest.raises(InterruptError):
        fit(line.Line(dropout=0.2, noise=0.1), stages, *data, tmp_path / "out", 5, breaking(at), settings=QUICK)
    assert not (tmp_path / "out").exists()
    told = []
    again = line.Line(dropout=0.2, noise=0.1)
    facts = fit(again, stages, *data, tmp_path / "out", 5, told.append, settings=QUICK)
    same(weights(tmp_path / "whole"), weights(tmp_path / "out"))
    assert [s["loss"] for s in facts["stages"]] == [s["loss"] for s in whole["stages"]]
    steps = [event["step"] for event in read_events(tmp_path / "out") if event["event"] == "step"]
    assert steps == [2, 4, 6, 8, 10]
    if at > 3:
        assert told[0]["event"] == "resumed"
        assert len(again.seen) < 10 * 4 + 4 * 3


def test_killed_in_mid_stage_the_same_call_gives_the_same_weights(line, tmp_path):
    script = Path(line.__file__)
    ended = subprocess.run([sys.executable, script, tmp_path / "out", "kill"], check=False, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert json.loads((tmp_path / "out.partial" / "progress.json").read_bytes())["stages"][1]["step"] == 6
    stages = [line.stage("first", 6, evaluate_every=3), line.stage("second", 15, trains=("last",), accumulate=2)]
    for name in ("whole", "out"):
        trainable = line.Line(dropout=0.2, noise=0.1)
        fit(trainable, stages, line.planes(30), line.planes(8, 1), tmp_path / name, 5, settings=QUICK)
        assert [stage for stage, _ in trainable.saved] == (["second"] if name == "out" else ["first", "second"])
        assert trainable.saved[-1] == ("second", ["first", "second"])
    for name in ("first", "second"):
        same(weights(tmp_path / "whole", name), weights(tmp_path / "out", name))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_equal_one_with_the_same_effective_batch(line, tmp_path):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    ports = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "--num_cpu_threads_per_process", "1"]
    ended = subprocess.run(
        [*launch, *ports, Path(line.__file__), tmp_path / "two", "two"], check=False, capture_output=True, text=True, env=dict(os.environ)
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    stages = [line.stage("whole", 10, batch=4, accumulate=2, evaluate_every=5)]
    told = []
    fit(line.Line(line.LayerNet, noise=0.1), stages, line.planes(30), line.planes(7, 1), tmp_path / "one", 5, told.append, settings=QUICK)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
    main, other = (json.loads((tmp_path / f"two.rank{rank}.json").read_text()) for rank in (0, 1))
    assert (main["told"], other["told"]) == (len(told), 0)
    assert main["facts"] == other["facts"]
    assert main["facts"]["processes"] == 2
    there = read_events(tmp_path / "two")
    assert [(event["event"], event["step"]) for event in there] == [(event["event"], event["step"]) for event in told]
    assert [e["loss"] for e in there if "loss" in e] == pytest.approx([e["loss"] for e in told if "loss" in e], rel=1e-3)


def test_the_same_fit_again_does_nothing_and_another_is_refused(line, tmp_path):
    out = tmp_path / "out"
    first = fit(line.Line(), [line.stage()], line.planes(20), [], out, 0, settings=QUICK)
    again = line.Line()
    assert fit(again, [line.stage()], line.planes(20), [], out, 0, settings=QUICK) == first
    assert not again.began
    with pytest.raises(StorageError, match=r"holds another fit \(seed 0, now 1\)"):
        fit(line.Line(), [line.stage()], line.planes(20), [], out, 1, settings=QUICK)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(StorageError, match="holds something else"):
        fit(line.Line(), [line.stage()], line.planes(20), [], tmp_path / "mine", 0, settings=QUICK)
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial" / "thesis.txt").write_text("x")
    with pytest.raises(StorageError, match="something in it already"):
        fit(line.Line(), [line.stage()], line.planes(20), [], tmp_path / "new", 0, settings=QUICK)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert (tmp_path / "new.partial" / "thesis.txt").exists()


def test_other_settings_do_not_go_on_from_a_state(line, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InterruptError):
        fit(line.Line(), [line.stage()], line.planes(20), [], out, 0, breaking(6), settings=QUICK)
    with pytest.raises(UsageError, match=r"begun with other settings: stages\.0\.schedule\.lr 0\.02, now 0\.01"):
        fit(line.Line(), [line.stage(lr=0.01)], line.planes(20), [], out, 0, settings=QUICK)
    with pytest.raises(UsageError, match=r"other settings: data\.train"):
        fit(line.Line(), [line.stage()], line.planes(20, 9), [], out, 0, settings=QUICK)
    facts = fit(line.Line(), [line.stage(lr=0.01)], line.planes(20), [], out, 0, resume=False, settings=QUICK)
    assert facts["stages"][0]["steps"] == 12


def test_patience_takes_the_best_weights(line, tmp_path):
    values = iter([3.0, 1.0, 2.0, 2.0, 0.5])
    kept = {}

    def watched(trainable):
        value = next(values)
        kept[value] = trainable.module.last.weight.detach().clone()
        return {"wrong": value}

    stages = [line.stage(steps=100, evaluate_every=4, patience=2, watch="wrong")]
    facts = fit(line.Line(extra=watched), stages, line.planes(20), line.planes(4, 1), tmp_path / "out", 0, settings=QUICK)
    said = facts["stages"][0]
    assert (said["steps"], said["best_step"], said["stopped"], said["held_out"]["wrong"]) == (16, 8, True, 1.0)
    assert torch.equal(weights(tmp_path / "out")["last.weight"], kept[1.0])
    with pytest.raises(UsageError, match="no held-out wrong"):
        fit(line.Line(), stages, line.planes(20), line.planes(4, 1), tmp_path / "other", 0, settings=QUICK)


def test_patience_that_is_interrupted_takes_the_same_weights(line, tmp_path):
    stages = [line.stage(steps=40, lr=0.5, evaluate_every=2, patience=3)]
    data = (line.planes(20), line.planes(6, 1))
    whole = fit(line.Line(noise=0.3), stages, *data, tmp_path / "whole", 0, settings=QUICK)
    with pytest.raises(InterruptError):
        fit(line.Line(noise=0.3), stages, *data, tmp_path / "out", 0, breaking(whole["stages"][0]["steps"] - 1), settings=QUICK)
    facts = fit(line.Line(noise=0.3), stages, *data, tmp_path / "out", 0, settings=QUICK)
    same(weights(tmp_path / "whole"), weights(tmp_path / "out"))
    assert [s["best_step"] for s in facts["stages"]] == [s["best_step"] for s in whole["stages"]]


def test_a_part_is_trained_and_the_rest_stays_to_the_bit(line, tmp_path):
    before = {name: tensor.clone() for name, tensor in line.Line().module.state_dict().items()}
    fit(line.Line(), [line.stage(trains=("last",))], line.planes(20), [], tmp_path / "out", 0, settings=QUICK)
    after = weights(tmp_path / "out")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"last.weight", "last.bias"}, "the statistics of a frozen batch norm stay too"


def test_rates_scale_the_learning_rate_of_a_part(line, tmp_path):
    stages = [line.stage(steps=1, rates={"last": 1e-6}, clip=0.0)]
    before = line.Line().module.state_dict()["last.weight"].clone()
    fit(line.Line(), stages, line.planes(20), [], tmp_path / "out", 0, settings=QUICK)
    assert (weights(tmp_path / "out")["last.weight"] - before).abs().max() < 1e-6


def test_tasks_are_drawn_by_weight(line, tmp_path):
    examples = {"rare": line.planes(5), "common": line.planes(50, 1)}
    trainable = line.Line()
    fit(trainable, [line.stage(steps=100, tasks={"rare": 3.0, "common": 1.0})], examples, {}, tmp_path / "out", 0, settings=QUICK)
    rare = {request.text for request, _ in examples["rare"]}
    share = sum(text in rare for text in trainable.seen) / len(trainable.seen)
    assert 0.68 < share < 0.82
    with pytest.raises(DataError, match=r"no examples of comon"):
        fit(line.Line(), [line.stage(tasks={"comon": 1.0})], examples, {}, tmp_path / "other", 0, settings=QUICK)


def test_seconds_end_a_stage(line, tmp_path):
    stages = [Stage(name="whole", schedule=Schedule(lr=0.01, seconds=0.3), batch=4)]
    told = []
    facts = fit(line.Line(), stages, line.planes(20), [], tmp_path / "out", 0, told.append, settings=Settings(device="cpu", log_every=1))
    assert 0.3 <= facts["stages"][0]["seconds"] < 5
    rates = [event["lr"] for event in told if event["event"] == "step"]
    assert rates[-1] < max(rates)


def test_bf16_learns_in_float32_weights(line, tmp_path):
    settings = Settings(device="cpu", precision="bf16")
    facts = fit(line.Line(), [line.stage(steps=60, lr=0.05)], line.planes(20), line.planes(5, 1), tmp_path / "out", 0, settings=settings)
    assert facts["precision"] == "bf16"
    assert weights(tmp_path / "out")["last.weight"].dtype == torch.float32
    assert facts["stages"][0]["loss"] < 2.0
    assert fit(line.Line(), [line.stage()], line.planes(9), [], tmp_path / "no", 0, settings=QUICK)["precision"] == "no"


def test_a_loss_that_is_not_finite_stops_the_fit(line, tmp_path):
    with pytest.raises(UsageError, match=r"stage whole: the loss is (inf|nan) at step"):
        fit(line.Line(), [line.stage(steps=50, lr=1e30, clip=0.0)], line.planes(9), [], tmp_path / "out", 0, settings=QUICK)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "each needs a name"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1)), Stage(name="a", schedule=Schedule(lr=1, steps=1))], "a name of its own"),
        ([Stage(name="a", schedule=Schedule(lr=1))], "length is given by nothing"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1, seconds=1))], "by steps and seconds"),
        ([Stage(name="a", schedule=Schedule(lr=0, steps=1))], "lr = 0"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1), batch=0)], "batch = 0"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1), patience=1)], "patience without evaluate_every"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1), tasks={"task": 0.0})], "weight of a task"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1), trains=("head",))], "train = head: no parameter"),
        ([Stage(name="a", schedule=Schedule(lr=1, steps=1), checkpointing=True)], "no gradient checkpointing"),
    ],
)
def test_stages_that_contradict_themselves_are_refused(line, tmp_path, stages, said):
    with pytest.raises(UsageError, match=said):
        fit(line.Line(), stages, line.planes(9), [], tmp_path / "out", 0, settings=QUICK)


def test_nothing_to_train_on_is_refused(line, tmp_path):
    with pytest.raises(DataError, match="no example to train on"):
        fit(line.Line(), [line.stage()], [], [], tmp_path / "out", 0, settings=QUICK)


def test_memory_that_runs_out_is_one_line(line, tmp_path, monkeypatch):
    def full(self, module, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(line.Line, "loss", full)
    with pytest.raises(UsageError, match="stage whole does not fit into memory"):
        fit(line.Line(), [line.stage()], line.planes(9), [], tmp_path / "out", 0, settings=QUICK)
