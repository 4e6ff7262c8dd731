from __future__ import annotations

import json
import shutil
import subprocess
import sys

import medbench_biovil
import msgspec
import numpy as np
import pytest
import torch
from medbench_biovil import medbench_cards
from medbench_biovil.encoder import IMAGE_FILES
from medbench_biovil.model import BioVilT
from medbench_biovil.pixels import seen_box
from medbench_biovil.sizes import PRESETS
from medbench_torch.testing import check_facts_complete
from safetensors.torch import load_file, save_file
from scipy import ndimage

from medbench import api
from medbench.cards import ReaderCard
from medbench.converting import convert
from medbench.errors import MedbenchError, UsageError
from medbench.hookspecs import hookimpl
from medbench.registry import load, load_registry
from medbench.testing import check_model
from medbench.types import Embed, Failed, Ground, HeatMap, Image

(CARD,) = medbench_cards()
TINY = {"preset": "tiny", "device": "cpu", "dtype": "float32"}


def replies(method, requests):
    return [output for _, output in sorted(method(requests), key=lambda pair: pair[0])]


def unit(vector):
    return vector.array() / np.linalg.norm(vector.array())


def test_it_keeps_what_its_card_promises(films):
    one, two, three, prior = films
    asked = [
        Embed(images=(one,)),
        Embed(text="There is no pneumonia."),
        Embed(images=(two, prior)),
        Embed(images=(prior, three)),
        Embed(text="Findings consistent with pneumonia " * 9),
        Ground(images=(one,), phrase="left basal opacity"),
        Ground(images=(two,), phrase="effusion"),
        Embed(images=(three,)),
    ]
    outputs = check_model(CARD, {**TINY, "batch_size": 2}, asked)
    assert {len(output.array()) for output in outputs if not isinstance(output, HeatMap)} == {16}


def test_a_prior_changes_the_vector_and_its_order_does_not(films):
    one, two, _, prior = films
    model = BioVilT(**TINY)
    alone, pair, turned, other = replies(
        model.embed, [Embed(images=(one,)), Embed(images=(one, prior)), Embed(images=(prior, one)), Embed(images=(two, prior))]
    )
    assert np.array_equal(pair.array(), turned.array())
    assert not np.allclose(alone.array(), pair.array(), atol=1e-3)
    assert not np.allclose(pair.array(), other.array(), atol=1e-3)


def test_pictures_without_roles_it_knows_fail_alone(films):
    one, two, _, prior = films
    model = BioVilT(**TINY)
    made = replies(model.embed, [Embed(images=(one, two)), Embed(images=(prior,)), Embed(images=(one,)), Embed(images=(prior, prior))])
    assert [isinstance(output, Failed) for output in made] == [True, True, False, True]
    assert "2 pictures and 0 of the role prior" in made[0].error
    mapped = replies(model.ground, [Ground(images=(Image(path="/nowhere.png"),), phrase="x"), Ground(images=(one,), phrase="x")])
    assert [type(output) for output in mapped] == [Failed, HeatMap]


def test_a_prompts_last_marks_say_nothing_and_others_do():
    model = BioVilT(**TINY)
    bare, marked, inside, other = replies(model.embed, [Embed(text=t) for t in ("No effusion", "No effusion.!?", "No. effusion", "No")])
    assert np.array_equal(bare.array(), marked.array())
    assert not np.allclose(bare.array(), inside.array())
    assert not np.allclose(bare.array(), other.array())


def test_a_map_is_the_smoothed_cosine_of_each_patch_with_the_phrase(films):
    model = BioVilT(**TINY)
    encoder = model._loaded[0]
    (heat,) = replies(model.ground, [Ground(images=films[:1], phrase="an opacity.")])
    from medbench.images import decode

    with torch.no_grad():
        patches = encoder.networks.image(encoder.prepare(decode(films[0], "L"))[None].expand(-1, 3, -1, -1))[0]
        text = encoder.encode_texts(["an opacity"])[0]
    cosines = torch.nn.functional.cosine_similarity(patches, text[:, None, None], dim=0).double().numpy()
    assert (heat.rows, heat.columns, heat.interpolation) == (4, 4, "nearest")
    assert np.allclose(np.array(heat.grid).reshape(4, 4), ndimage.gaussian_filter(cosines, 1.5), atol=1e-5)
    assert heat.box == seen_box(200, 160, PRESETS["tiny"])
    (bare,) = replies(BioVilT(**TINY, sigma=0.0).ground, [Ground(images=films[:1], phrase="an opacity")])
    assert np.allclose(np.array(bare.grid).reshape(4, 4), cosines, atol=1e-5)


def test_a_vector_is_the_mean_of_the_projected_patches(films):
    model = BioVilT(**TINY)
    (vector,) = replies(model.embed, [Embed(images=films[1:2])])
    encoder = model._loaded[0]
    from medbench.images import decode

    with torch.no_grad():
        patches = encoder.networks.image(encoder.prepare(decode(films[1], "L"))[None].expand(-1, 3, -1, -1))[0]
    assert np.allclose(vector.array(), patches.mean((1, 2)).numpy(), atol=1e-6)
    assert not np.isclose(np.linalg.norm(vector.array()), 1.0)


def test_a_published_folder_is_loaded_strictly_and_its_pickle_only_when_trusted(published, small, films):
    given = {"weights": str(published), "device": "cpu", "dtype": "float32"}
    with pytest.raises(MedbenchError, match="a pickle, which is not read") as caught:
        BioVilT(**given).facts()
    assert "trust_pickle" in caught.value.hint
    model = BioVilT(**given, trust_pickle=True)
    facts = check_facts_complete(model, more=("text_tokens", "sigma", "image_preset"))
    assert (facts["untrained"], facts["text_tokens"]) == (False, 40)
    state = torch.load(published / IMAGE_FILES[1])
    own = model._loaded[0].networks.image.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())
    said, longer = replies(model.embed, [Embed(text="No pleural effusions."), Embed(text="no " * 90)])
    assert not isinstance(longer, Failed), "a text beyond the places of the network is cut"
    assert unit(said).shape == (16,)


def test_a_converted_folder_gives_the_same_without_a_pickle(published, small, films, tmp_path):
    out = tmp_path / "converted"
    registry = load_registry(medbench_biovil)
    with pytest.raises(MedbenchError, match="a pickle, which is not read") as refused:
        convert(registry, "biovil-t", {"weights": str(published)}, out, trust_pickle=False)
    assert refused.value.hint.endswith("trust its maker with --trust-pickle")
    assert list(tmp_path.iterdir()) == []
    assert convert(registry, "biovil-t", {"weights": str(published)}, out, trust_pickle=True) == out
    assert not list(out.glob("*.pt"))
    asked = [Embed(images=films[:1]), Embed(text="no effusion")]
    before = replies(BioVilT(weights=str(published), device="cpu", trust_pickle=True).embed, asked)
    after = replies(BioVilT(weights=str(out), device="cpu").embed, asked)
    assert [one.data for one in before] == [one.data for one in after]
    with pytest.raises(UsageError, match="exists"):
        convert(registry, "biovil-t", {"weights": str(published)}, out, trust_pickle=True)
    apart = shutil.move(shutil.copytree(published, tmp_path / "text") / IMAGE_FILES[1], tmp_path / "image.pt")
    parts = {"weights": str(tmp_path / "text"), "image_weights": str(apart)}
    again = convert(registry, "biovil-t", parts, tmp_path / "again", trust_pickle=True)
    for path in out.glob("*.safetensors"):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_the_image_side_may_lie_elsewhere(published, small, tmp_path):
    apart = tmp_path / "image.safetensors"
    save_file(torch.load(published / IMAGE_FILES[1]), apart)
    folder = shutil.copytree(published, tmp_path / "text")
    (folder / IMAGE_FILES[1]).unlink()
    with pytest.raises(MedbenchError, match="no weights of the image side"):
        BioVilT(weights=str(folder)).facts()
    facts = BioVilT(weights=str(folder), image_weights=str(apart)).facts()
    assert facts["image_weights_digest"]


def without(name):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        save_file({key: tensor for key, tensor in tensors.items() if key != name}, folder / "model.safetensors")

    return change


def as_kind(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def with_more_words(folder):
    (folder / "vocab.txt").write_text("\n".join(f"word{number}" for number in range(99)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("cls_projection_head.dense_to_output.bias"), "1 tensor missing"),
        (without("bert.encoder.layer.0.output.dense.weight"), "1 tensor missing"),
        (as_kind, "a bert model, not cxr-bert"),
        (with_more_words, "words, and the network knows 60"),
        (lambda folder: (folder / "vocab.txt").unlink(), "vocab.txt: no such file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights of the text side"),
        (lambda folder: torch.save({"projector.model.0.weight": torch.zeros(1)}, folder / IMAGE_FILES[1]), "missing"),
    ],
)
def test_what_is_not_the_published_model_is_refused(change, said, published, small, tmp_path):
    folder = shutil.copytree(published, tmp_path / "folder")
    change(folder)
    with pytest.raises(MedbenchError, match=said) as caught:
        BioVilT(weights=str(folder), trust_pickle=True).facts()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"preset": "small"}, "preset=small: not known"),
        ({"sigma": -1.0}, "sigma=-1"),
        ({"preset": "tiny", "image_weights": "x"}, "image_weights and preset"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        BioVilT(**options)


def test_planning_imports_no_torch():
    code = "import sys, medbench_biovil.model; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class InProcess:
    """The package's card, for this process: a child for each run would cost the tests seconds."""

    @hookimpl
    def medbench_cards(self):
        return (msgspec.structs.replace(medbench_biovil.CARDS[0], isolated=False),)


RUNS = {"mscxr-t": "ms-cxr-t", "mscxr-grounding": "ms-cxr", "radnli": "radnli"}


@pytest.mark.parametrize("task", RUNS)
def test_every_kind_of_task_it_was_made_for_runs_on_a_small_twin(task, tmp_path):
    registry = load_registry(InProcess())
    load(registry.get(ReaderCard, RUNS[task]))().write_twin(tmp_path / "twin", 0, 4)
    given = {"data": str(tmp_path / "twin"), "runs_dir": str(tmp_path / "runs"), "registry": registry}
    record = api.run(task, "biovil-t", model_options={"preset": "tiny"}, **given)
    assert (record.n_failed, record.model.untrained) == (0, True)
    assert record.scores
