"""Image synthesis: prompts out, pictures in; the real picture is never part of a request."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medbench import api
from medbench.builtin.protocols.text_to_image import TextToImage
from medbench.cards import MetricCard, ReaderCard, ScoreFacts
from medbench.hookspecs import hookimpl
from medbench.registry import load, load_registry
from medbench.roots import ensure_twin, twin_folder
from medbench.runs import RunFolder
from medbench.tasks import Task
from medbench.testing import FakeModel, plugin
from medbench.types import Failed, Image, Picture, Sample

SAMPLES = [
    Sample(
        id=f"s{n}",
        group=f"g{n}",
        split="test",
        prompt=f"polyp {n}",
        images=(Image(path=f"/d/{n}.png", digest=f"d{n}", role="target"),),
    )
    for n in range(3)
]
PARAMS = TextToImage.Params


class Outputs:
    facts = {}

    def __getitem__(self, request):
        return Failed(kind="model", error="e") if "1" in request.prompt else Picture(path=f"/o/{request.prompt}-{request.seed}.png")


def test_a_request_is_the_prompt_and_a_seed_of_its_own():
    requests = list(TextToImage().requests(SAMPLES, PARAMS(width=64, height=48)))
    assert [request.prompt for request in requests] == ["polyp 0", "polyp 1", "polyp 2"]
    assert len({request.seed for request in requests}) == 3
    assert {(request.width, request.height) for request in requests} == {(64, 48)}
    assert all(request.images == () for request in requests)


def test_a_seed_depends_on_the_sample_and_the_run_alone():
    alone = next(TextToImage().requests(SAMPLES[2:], PARAMS(seed=5)))
    assert alone == list(TextToImage().requests(SAMPLES, PARAMS(seed=5)))[2]
    assert alone.seed != next(TextToImage().requests(SAMPLES[2:], PARAMS(seed=6))).seed


def test_several_draws_are_conditions():
    found = list(TextToImage().predictions(SAMPLES, Outputs(), PARAMS(per_prompt=2)))
    assert [p.condition for p in found] == [{"draw": 0}, {"draw": 1}] * 3
    assert len({p.value.path for p in found if isinstance(p.value, Picture)}) == 4


def test_a_failed_drawing_stays_failed():
    found = list(TextToImage().predictions(SAMPLES, Outputs(), PARAMS()))
    assert [type(p.value) for p in found] == [Picture, Failed, Picture]


def test_examples_give_the_real_picture_as_target():
    examples = list(TextToImage().examples(SAMPLES, PARAMS()))
    assert [target.path for _, target in examples] == ["/d/0.png", "/d/1.png", "/d/2.png"]
    assert [request for request, _ in examples] == list(TextToImage().requests(SAMPLES, PARAMS()))


def test_the_sheet_shows_drawn_pictures_with_their_prompts_above_the_real_ones():
    protocol, params = TextToImage(), PARAMS()
    predictions = list(protocol.predictions(SAMPLES, Outputs(), params))
    (sheet,) = protocol.figures(SAMPLES, predictions, Outputs(), params)
    drawn, real = sheet.strips
    assert {tile.caption for tile in drawn.tiles} == {"polyp 0", "polyp 2"}
    assert [tile.path for tile in real.tiles] == [f"/d/{tile.caption[-1]}.png" for tile in drawn.tiles]


def test_nothing_drawn_is_no_sheet():
    failed = [p for p in TextToImage().predictions(SAMPLES, Outputs(), PARAMS()) if isinstance(p.value, Failed)]
    assert list(TextToImage().figures(SAMPLES, failed, Outputs(), PARAMS())) == []


class Brightness:
    """Mean brightness of the drawn pictures less that of the real ones."""

    def __init__(self, convention=None): ...

    def measure(self, pairs, reals):
        def mean(path):
            with Pillow.open(path) as image:
                return float(np.asarray(image.convert("L")).mean())

        return {
            "drawn": np.array([mean(pair.value.path) for pair in pairs]),
            "real": np.array([mean(sample.images[0].path) for sample in reals.evaluated]),
            "train": np.array([mean(sample.images[0].path) for sample in reals.train]),
        }

    def reduce_sets(self, rows, drawn, real):
        return {"gap": float(rows["drawn"][drawn].mean() - rows["real"][real].mean())}

    def notes(self, rows, drawn, real):
        return {"gap": f"{len(real)} real, {len(rows['train'])} of train"}


class Plugin:
    """Offers the metric."""

    @hookimpl
    def medbench_cards(self):
        scores = {"gap": ScoreFacts(unit="score", low=None, high=None)}
        return [MetricCard(name="brightness", load=f"{__name__}:Brightness", takes=("picture",), scores=scores, weighted=False)]


def draw(request):
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8), (request.seed % 256, 0, 0)).save(buffer, "PNG")
    return Picture(data=buffer.getvalue(), width=8, height=8)


@pytest.fixture
def registry():
    return load_registry(plugin, Plugin())


@pytest.fixture
def drawn(tmp_path, registry):
    """Run a drawing model on the twin, scored by a set metric."""
    task = Task(name="draw", title="t", dataset="medvqa-gi-2024", protocol=("text-to-image",), metrics=("brightness",))

    def carry_out(model, **options):
        return api.run(task, model, registry=registry, data="twin", runs_dir=tmp_path / "runs", **options)

    return carry_out


def test_a_run_on_the_twin_draws_scores_and_keeps_every_picture(drawn, tmp_path):
    model = FakeModel(draw)
    record = drawn(model)
    (gap,) = record.scores
    assert gap.n == record.data.n == len(model.history)
    assert gap.low < gap.value < gap.high
    n_real, n_train = int(gap.note.split()[0]), int(gap.note.split()[2])
    assert 0 < n_real <= record.data.n
    assert n_train > n_real
    (run,) = (tmp_path / "runs" / "draw" / "fake").iterdir()
    kept = list((run / "pictures").iterdir())
    assert len(kept) == len({request.seed % 256 for request in model.history})
    assert "contact-sheet" in (run / "figures.json").read_text()


def test_a_moved_run_can_be_scored_again_without_its_outputs(drawn, registry, tmp_path):
    record = drawn(FakeModel(draw))
    (run,) = (tmp_path / "runs" / "draw" / "fake").iterdir()
    moved = run.rename(tmp_path / "moved")
    for row in (moved / "rows").iterdir():
        row.unlink()
    again = api.score(moved, registry=registry, runs_dir=tmp_path / "runs")
    assert again.scores == record.scores
    assert all(Path(moved / "pictures" / path.name).is_file() for path in (moved / "pictures").iterdir())


def test_the_sheet_of_a_moved_run_finds_its_drawn_pictures(drawn, tmp_path):
    drawn(FakeModel(draw))
    (run,) = (tmp_path / "runs" / "draw" / "fake").iterdir()
    assert '"pictures/' in (run / "figures.json").read_text()
    moved = run.rename(tmp_path / "moved")
    sheet = next(figure for figure in RunFolder(moved).read_figures() if figure.name == "contact-sheet")
    shown = [tile.path for strip in sheet.strips if strip.heading == "drawn" for tile in strip.tiles]
    assert shown
    assert all(Path(path).is_file() and Path(path).is_relative_to(moved) for path in shown)


def test_pictures_of_any_tool_are_scored_under_their_prompts_and_shown(registry, tmp_path):
    card = registry.get(ReaderCard, "medvqa-gi-2024")
    ensure_twin(card, root := twin_folder(card))
    prompts = list(dict.fromkeys(sample.prompt for sample in load(card)().read(root, "test", {})))[:12]
    folder = tmp_path / "made"
    folder.mkdir()
    for number in range(len(prompts)):
        Pillow.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.jpg")
    table = tmp_path / "prompts.csv"
    table.write_text("".join(["file;prompt\n", *(f"{number}.jpg;{prompt}\n" for number, prompt in enumerate(prompts))]), encoding="utf-8")
    task = Task(name="draw", title="t", dataset="medvqa-gi-2024", protocol=("text-to-image",), metrics=("brightness",))
    record = api.score(task=task, pictures=folder, predictions=table, data="twin", registry=registry, runs_dir=tmp_path / "runs")
    stated = record.model.loaded
    assert (stated["file"], stated["table"], stated["matched_by"]) == ("made", "prompts.csv", "prompt")
    assert record.scores[0].n == 12
    assert any("prompts have no picture" in remark for remark in record.remarks)
    (run,) = (tmp_path / "runs" / "draw" / "made").iterdir()
    sheet = next(figure for figure in RunFolder(run).read_figures() if figure.name == "contact-sheet")
    drawn = [tile for strip in sheet.strips if strip.heading == "drawn" for tile in strip.tiles]
    assert {tile.caption for tile in drawn} == set(prompts)
