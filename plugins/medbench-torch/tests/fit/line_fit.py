"""A network of a few numbers that learns a noisy plane, for the tests of the loop; as a script, one process of a real launch."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from medbench_torch.fit import Schedule, Settings, Stage, chosen, fit
from safetensors.torch import save_file
from torch import nn

from medbench.types import Embed, Vector


class Net(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout))
        self.last = nn.Linear(8, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.last(self.first(x)).squeeze(-1)


class LayerNet(Net):
    """Without batch norm, whose statistics belong to one process's batch."""

    def __init__(self, dropout=0.0):
        super().__init__(dropout)
        self.first[1] = nn.LayerNorm(8)


class Line:
    """Its targets weigh 1 or 2, so that a mean of means would not be the mean."""

    def __init__(self, net=Net, *, dropout=0.0, noise=0.0, extra=None):
        torch.manual_seed(7)
        self.module = net(dropout)
        self.noise, self.extra = noise, extra
        self.began, self.saved, self.seen = [], [], []

    def identity(self):
        return {"noise": self.noise}

    def begin(self, stage):
        self.began.append(stage.name)

    def parameters_of(self, trains):
        return chosen(self.module, trains)

    def collate(self, examples, seeds, *, training=True):
        x, y, weight = [], [], []
        for (request, target), seed in zip(examples, seeds, strict=True):
            inputs = torch.tensor([float(v) for v in request.text.split()])
            if training:
                self.seen.append(request.text)
                inputs = inputs + self.noise * torch.randn(3, generator=torch.Generator().manual_seed(seed))
            value = torch.tensor(target.array().copy())
            x.append(inputs)
            y.append(value[0])
            weight.append(value[1])
        return {"x": torch.stack(x), "y": torch.stack(y), "weight": torch.stack(weight)}, int(sum(weight))

    def loss(self, module, batch):
        return (batch["weight"] * (module(batch["x"]) - batch["y"]).square()).sum()

    def evaluate(self, module, examples):
        return self.extra(self) if self.extra else {}

    def save(self, folder, stage, state, facts):
        self.saved.append((stage.name, [stated["name"] for stated in facts["stages"]]))
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, folder / f"{stage.name}.safetensors")


def planes(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number in range(n):
        x = torch.randn(3, generator=generator)
        y = torch.stack([x @ torch.tensor([1.0, -2.0, 0.5]) + 0.3, torch.tensor(1.0 + number % 2)])
        made.append((Embed(text=" ".join(f"{v:.4f}" for v in x.tolist())), Vector(data=y.numpy().tobytes())))
    return made


def stage(name="whole", steps=12, *, lr=0.02, **more):
    return Stage(name=name, schedule=Schedule(lr=lr, steps=steps), **{"batch": 4, **more})


def main(out, how):
    torch.set_num_threads(1)  # as in the tests: another number adds up in another order
    kept = {"workers": 2, "save_every": 3, "log_every": 2, "device": "cpu"}

    def kill(event):
        if how == "kill" and event["stage"] == "second" and event["event"] == "step" and event["step"] >= 8:
            os.kill(os.getpid(), signal.SIGKILL)

    if how == "kill":
        stages = [stage("first", 6, evaluate_every=3), stage("second", 15, trains=("last",), accumulate=2)]
        fit(Line(dropout=0.2, noise=0.1), stages, planes(30), planes(8, 1), Path(out), 5, kill, settings=Settings(**kept))
    else:
        told = []
        facts = fit(
            Line(LayerNet, noise=0.1),
            [stage("whole", 10, batch=2, accumulate=2, evaluate_every=5)],
            planes(30),
            planes(7, 1),
            Path(out),
            5,
            told.append,
            settings=Settings(**kept),
        )
        rank = os.environ["RANK"]
        Path(f"{out}.rank{rank}.json").write_text(json.dumps({"told": len(told), "facts": facts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
